// The assignment of all shards at one version: an immutable value, its bytes, and the steps between two of them.
//
// (T1) Versions rise by one a step within a term, and an epoch never falls.
// (T2) Bytes that are not a whole table of this cluster give PLACEMENT_CORRUPT, never a guess.

import { type PlacementDelta, PlacementTable } from "../../proto/index.ts";
import { EPOCH_MAX } from "../fence.ts";
import { clusterErrors } from "./errors.ts";
import type { ShardOwner } from "./port.ts";

export interface ShardTable {
  readonly term: number;
  readonly version: number;
  /** One a shard. A shard that nobody owns has the node id "". */
  readonly owners: readonly ShardOwner[];
  readonly bytes: Uint8Array;
  /** Of the bytes: equal versions of two histories differ in it. */
  readonly digest: number;
}

export interface ShardChange {
  readonly shard: number;
  readonly owner: ShardOwner;
}

/** In front of every table: what it is, and a digest of the rest. */
const MAGIC = 0x4d445031;
const HEADER_BYTES = 8;

export function makeTable(term: number, version: number, owners: readonly ShardOwner[]): ShardTable {
  const nodes = dictionary(owners);
  const body = PlacementTable.encode({
    term,
    version,
    nodes: [...nodes.keys()],
    owners: owners.map(({ nodeId }) => nodes.get(nodeId) ?? 0),
    epochs: owners.map(({ epoch }) => epoch),
  }).finish();
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  const header = new DataView(bytes.buffer);
  const digest = digestOf(body);
  header.setUint32(0, MAGIC);
  header.setUint32(4, digest);
  bytes.set(body, HEADER_BYTES);
  return { term, version, owners, bytes, digest };
}

export function emptyTable(term: number, shardCount: number): ShardTable {
  return makeTable(term, 0, new Array<ShardOwner>(shardCount).fill({ nodeId: "", epoch: 0 }));
}

/** (T2) */
export function decodeTable(bytes: Uint8Array, shardCount: number): ShardTable {
  const fault = (why: string, cause?: unknown) =>
    clusterErrors.PLACEMENT_CORRUPT({ message: `the placement table cannot be read: ${why}`, cause });
  if (bytes.length < HEADER_BYTES) throw fault("it is too short");
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const body = bytes.slice(HEADER_BYTES);
  if (header.getUint32(0) !== MAGIC) throw fault("it is something else");
  const digest = digestOf(body);
  if (header.getUint32(4) !== digest) throw fault("it is damaged or cut off");
  let told: PlacementTable;
  try {
    told = PlacementTable.decode(body);
  } catch (cause) {
    throw fault("it is malformed", cause);
  }
  const { term, version, nodes, owners, epochs } = told;
  if (owners.length !== shardCount || epochs.length !== shardCount)
    throw fault(`it has ${owners.length} shards, not ${shardCount}`);
  if (![term, version, ...epochs].every(Number.isSafeInteger)) throw fault("a number is out of range");
  if (epochs.some((epoch) => epoch > EPOCH_MAX)) throw fault("an epoch is out of range");
  if (owners.some((index) => index > nodes.length)) throw fault("it names a node that is not in it");
  return { term, version, owners: ownersOf(nodes, owners, epochs), bytes: bytes.slice(), digest };
}

/** The next version, by the coordinator of `term`. */
export function changeTable(table: ShardTable, term: number, changes: readonly ShardChange[]): ShardTable {
  const owners = [...table.owners];
  for (const { shard, owner } of changes) owners[shard] = owner;
  return makeTable(term, table.version + 1, owners);
}

export function deltaBetween(before: ShardTable, after: ShardTable): PlacementDelta {
  const shards = changedShards(before, after);
  const owners = shards.map((shard) => after.owners[shard] as ShardOwner);
  const nodes = dictionary(owners);
  return {
    term: after.term,
    version: after.version,
    digest: after.digest,
    nodes: [...nodes.keys()],
    shards,
    owners: owners.map(({ nodeId }) => nodes.get(nodeId) ?? 0),
    epochs: owners.map(({ epoch }) => epoch),
  };
}

/** Undefined if the step does not start here, or leads to something else than its sender has: then the table has to be read. */
export function applyDelta(table: ShardTable, delta: PlacementDelta): ShardTable | undefined {
  const { shards, owners, epochs, nodes } = delta;
  if (delta.version !== table.version + 1 || owners.length !== shards.length || epochs.length !== shards.length)
    return undefined;
  if (shards.some((shard) => shard >= table.owners.length) || owners.some((index) => index > nodes.length))
    return undefined;
  const changed = ownersOf(nodes, owners, epochs);
  const changes = shards.map((shard, at) => ({ shard, owner: changed[at] as ShardOwner }));
  const next = changeTable(table, delta.term, changes);
  return next.digest === delta.digest ? next : undefined;
}

export function changedShards(before: ShardTable | undefined, after: ShardTable): number[] {
  const changed: number[] = [];
  after.owners.forEach((owner, shard) => {
    const known = before?.owners[shard];
    if (known?.nodeId !== owner.nodeId || known.epoch !== owner.epoch) changed.push(shard);
  });
  return changed;
}

/** Node ids in the order of their first shard, counted from 1. */
function dictionary(owners: readonly ShardOwner[]): Map<string, number> {
  const nodes = new Map<string, number>();
  for (const { nodeId } of owners) if (nodeId !== "" && !nodes.has(nodeId)) nodes.set(nodeId, nodes.size + 1);
  return nodes;
}

function ownersOf(nodes: readonly string[], owners: readonly number[], epochs: readonly number[]): ShardOwner[] {
  return owners.map((index, at) => ({ nodeId: nodes[index - 1] ?? "", epoch: epochs[at] as number }));
}

/** FNV-1a. */
function digestOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash >>> 0;
}
