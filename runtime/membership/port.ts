// Who is in the cluster.

export type Role = "actors" | "gateway" | "api" | "push";

export interface Member {
  /** `name#incarnation`, new at each start of the process. */
  readonly nodeId: string;
  readonly roles: readonly Role[];
}

export interface Membership {
  members(): readonly Member[];
  /** Called when a node is known to be gone: nothing more comes from it. */
  onLeft(listener: (nodeId: string) => void): void;
}
