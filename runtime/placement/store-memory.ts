// The placement store inside one process, with the faults of a real one: a client that cannot reach it, replies that are lost,
// sessions that end, and data that an operator has set back.

import type { Clock, Timer } from "../clock.ts";
import { pause } from "../clock.ts";
import { clusterErrors } from "./errors.ts";
import type { PlacementKey, PlacementStore, Stored, StoredMember } from "./store.ts";

export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** There and back. */
  readonly delayMs?: number;
  readonly sessionTtlMs?: number;
}

/** What an operator has saved. */
export interface StoreSnapshot {
  readonly values: ReadonlyMap<PlacementKey, Stored>;
  readonly members: ReadonlyMap<string, StoredMember>;
  readonly index: number;
}

export interface MemoryStore {
  /** A client of its own for each node; `clock` is the node's, which a test may stop. */
  connect(name: string, clock?: Clock): PlacementStore;
  cut(name: string): void;
  /** What the client asks for happens, and it does not hear of it. */
  loseReplies(name: string): void;
  heal(): void;
  snapshot(): StoreSnapshot;
  /** Versions go back as well. */
  restore(snapshot: StoreSnapshot): void;
  overwrite(key: PlacementKey, bytes: Uint8Array): void;
  remove(key: PlacementKey): void;
  readonly sessions: number;
}

export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  const { clock, delayMs = 0, sessionTtlMs = 10_000 } = options;
  let values = new Map<PlacementKey, Stored>();
  let members = new Map<string, StoredMember>();
  let index = 0;
  let sessionCount = 0;
  const sessions = new Map<string, Timer>();
  const cuts = new Set<string>();
  const deaf = new Set<string>();
  const watchers = new Set<() => void>();

  const changed = () => {
    for (const tell of watchers) tell();
  };
  const put = (key: PlacementKey, bytes: Uint8Array) => {
    index += 1;
    values.set(key, { bytes: bytes.slice(), version: index });
    changed();
    return index;
  };
  const end = (session: string) => {
    sessions.get(session)?.cancel();
    if (!sessions.delete(session)) return;
    for (const [nodeId, member] of members) if (member.session === session) members.delete(nodeId);
    changed();
  };
  const arm = (session: string) => {
    sessions.get(session)?.cancel();
    sessions.set(
      session,
      clock.after(sessionTtlMs * 2, () => end(session)),
    );
  };
  const list = () => [...members.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));

  return {
    connect(name, own = clock) {
      let failures = 0;
      let open = true;
      const unreachable = () => {
        failures += 1;
        return clusterErrors.CONSUL_UNREACHABLE();
      };
      const ask = async <T>(task: () => T): Promise<T> => {
        await pause(own, delayMs / 2);
        if (cuts.has(name) || !open) throw unreachable();
        const answer = task();
        await pause(own, delayMs / 2);
        if (deaf.has(name)) throw unreachable();
        return answer;
      };
      const watch = (tell: () => void) => {
        let told = false;
        const later = () => {
          if (told) return;
          told = true;
          own.after(delayMs / 2, () => {
            told = false;
            if (watchers.has(later) && !cuts.has(name)) tell();
          });
        };
        watchers.add(later);
        later();
        return { close: () => void watchers.delete(later) };
      };
      return {
        read: (key) => ask(() => values.get(key)),
        write: (key, bytes, over, guard) =>
          ask(() => {
            if ((values.get(key)?.version ?? 0) !== over) return undefined;
            if (guard !== undefined && values.get(guard.key)?.version !== guard.version) return undefined;
            return put(key, bytes);
          }),
        members: () => ask(list),
        openSession: () =>
          ask(() => {
            const session = `session-${++sessionCount}`;
            arm(session);
            return session;
          }),
        renewSession: (session) =>
          ask(() => {
            if (!sessions.has(session)) return false;
            arm(session);
            return true;
          }),
        endSession: (session) => ask(() => end(session)),
        putMember: (nodeId, bytes, session) =>
          ask(() => {
            const holder = members.get(nodeId);
            if (!sessions.has(session) || (holder !== undefined && holder.session !== session)) return false;
            index += 1;
            members.set(nodeId, { nodeId, bytes: bytes.slice(), session });
            changed();
            return true;
          }),
        watchMembers: (listener) => watch(() => listener(list())),
        watchTable: (listener) => watch(() => listener(values.get("placement"))),
        wallMs: () => ask(() => clock.wallMs()),
        get failures() {
          return failures;
        },
        close() {
          open = false;
        },
      };
    },
    cut: (name) => void cuts.add(name),
    loseReplies: (name) => void deaf.add(name),
    heal() {
      cuts.clear();
      deaf.clear();
      changed();
    },
    snapshot: () => ({ values: new Map(values), members: new Map(members), index }),
    restore(saved) {
      values = new Map(saved.values);
      members = new Map(saved.members);
      index = saved.index;
      // Sessions that had ended live again until nobody has renewed them for long enough.
      for (const session of sessions.keys()) {
        if (![...members.values()].some((member) => member.session === session)) {
          sessions.get(session)?.cancel();
          sessions.delete(session);
        }
      }
      for (const { session } of members.values()) arm(session);
      changed();
    },
    overwrite: (key, bytes) => void put(key, bytes),
    remove(key) {
      index += 1;
      values.delete(key);
      changed();
    },
    get sessions() {
      return sessions.size;
    },
  };
}
