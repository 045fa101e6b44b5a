import { randomBytes } from "node:crypto";
import { afterAll, beforeAll } from "vitest";
import { EPOCH_MAX } from "../../runtime/index.ts";
import { fenceContract } from "../fence/contract.ts";
import { QuorumFence } from "../fence/quorum.ts";
import { channelLogContract, type LogNode } from "../log/contract.ts";
import { createFencedLogs } from "../log/fenced.ts";
import { registerContract } from "../registers/contract.ts";
import { wakeContract } from "../wake/contract.ts";
import { makeKeyspace, type TestKeyspace } from "./keyspace.test-rig.ts";

let ring: TestKeyspace;
beforeAll(async () => {
  ring = await makeKeyspace();
});
afterAll(() => ring.drop());
