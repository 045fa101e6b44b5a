// Who is in the cluster.

export type Role = "actors" | "gateway" | "api" | "push";

export interface Member {
  /** `name#incarnation`, new at each start of the process. */
  readonly nodeId: string;
  readonly roles: readonly Role[];
  /** Of the program. While versions are mixed, nothing is balanced, and the newest gets new shards first. */
  readonly version: string;
  /** Where the node stands, as discovery compares it; empty: anywhere. */
  readonly region: string;
  /** A draining node takes no new shards and no new sessions. */
  readonly status: "up" | "draining";
  /** Addresses that clients are told; empty for roles that have none. */
  readonly wsUrl: string;
  readonly httpUrl: string;
  /** Sessions that a gateway has, as last told, and how many it takes. */
  readonly sessions: number;
  readonly sessionsMax: number;
}

export interface Membership {
  members(): readonly Member[];
  /** Whether it is or was a member, as far as anything is known of it now. What others send is a stranger's. */
  knows(nodeId: string): boolean;
  /** Called when a node is known to be gone: nothing more comes from it. */
  onLeft(listener: (nodeId: string) => void): void;
}

/** A member of which nothing but its name and its roles is known. */
export function newMember(nodeId: string, roles: readonly Role[]): Member {
  return { nodeId, roles, version: "", region: "", status: "up", wsUrl: "", httpUrl: "", sessions: 0, sessionsMax: 0 };
}
