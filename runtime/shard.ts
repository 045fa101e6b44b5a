// From the name of an actor to its shard. The kind takes no part, so that all actors of one user share a shard.

/** FNV-1a over the UTF-16 code units, finished by MurmurHash3's mixer: every bit of the name reaches every bit of the hash. */
export function hash32(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export function shardOf(actorId: string, shardCount: number): number {
  return hash32(actorId) % shardCount;
}

/** Mail for one actor stays in one lane, and a lane keeps its order. */
export const LANES = 8;

export function laneOf(actorId: string): number {
  return (hash32(actorId) >>> 16) % LANES;
}
