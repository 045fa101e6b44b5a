import { afterAll, beforeAll } from "vitest";
import { EPOCH_MAX } from "../../runtime/index.ts";
import { fenceContract } from "../fence/contract.ts";
import { channelLogContract } from "../log/contract.ts";
import { registerContract } from "../registers/contract.ts";
import type { Stores } from "../stores.ts";
import { wakeContract } from "../wake/contract.ts";
import { makeKeyspace, newScope, nodeOver, scoped, type TestKeyspace } from "./keyspace.test-rig.ts";

let ring: TestKeyspace;
let stores: Stores;
beforeAll(async () => {
  ring = await makeKeyspace();
  stores = await ring.open("node#1");
});
afterAll(async () => {
  await stores.close();
  await ring.drop();
});

async function twoNodes() {
  const store = scoped(ring.store);
  const one = nodeOver(store, "one#1");
  const other = nodeOver(store, "other#1");
  return {
    one,
    other,
    async close() {
      one.fence.close();
      other.fence.close();
    },
  };
}

async function oneNode() {
  const scope = newScope();
  const { registers, wake } = stores;
  const ownerOf = (owner: string) => `${scope}/${owner}`;
  const shardOf = (shard: number) => scope * 64 + shard;
  const mine: Stores = {
    ...stores,
    registers: {
      read: (family, owner) => registers.read(family, ownerOf(owner)),
      write: (writes) => registers.write(writes.map((write) => ({ ...write, owner: ownerOf(write.owner) }))),
    },
    wake: {
      register: ({ shard, epoch }, slot, actor) => wake.register({ shard: shardOf(shard), epoch }, slot, actor),
      list: (shard) => wake.list(shardOf(shard)),
      remove: (shard, rows) => wake.remove(shardOf(shard), rows),
    },
  };
  return { stores: mine, async close() {} };
}

channelLogContract("CQL", twoNodes, [1, 5_000, EPOCH_MAX]);
fenceContract("CQL", twoNodes);
registerContract("CQL", oneNode);
wakeContract("CQL", oneNode);
