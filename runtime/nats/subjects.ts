// The subjects of a cluster: few, and as long-lived as the node. Never one an actor.
//
//   madang.<cluster>.node.<id>.<lane>      batches for one node, or for one service, in one lane
//   madang.<cluster>.node.<id>.nack.<n>    where the server says that nobody listens: batch n was not delivered
//   madang.<cluster>.route.<service>       batches of a service, for any node (queue group)
//   madang.<cluster>.control.<id>          control messages for one node
//   madang.<cluster>.control               control messages for all

import { assert } from "../errors.ts";

const TOKEN = /^[A-Za-z0-9_#~-]{1,120}$/;

/** Whether a name can stand in a subject: no dots, blanks or wildcards. */
export function isToken(name: string): boolean {
  return TOKEN.test(name);
}

export interface Subjects {
  lane(id: string, lane: number): string;
  nack(id: string, batch: number): string;
  /** All lanes of an id, and its nacks. */
  inbound(id: string): string;
  readonly routes: string;
  control(id: string): string;
  readonly everybody: string;
}

export const ROUTE_QUEUE = "madang";

export function subjectsOf(cluster: string): Subjects {
  assert(isToken(cluster), "the name of a cluster can stand in a subject");
  const root = `madang.${cluster}`;
  return {
    lane: (id, lane) => `${root}.node.${id}.${lane}`,
    nack: (id, batch) => `${root}.node.${id}.nack.${batch}`,
    inbound: (id) => `${root}.node.${id}.>`,
    routes: `${root}.route.*`,
    control: (id) => `${root}.control.${id}`,
    everybody: `${root}.control`,
  };
}

/** The n-th token of a subject, from 0; empty if there is none. */
export function tokenOf(subject: string, at: number): string {
  let start = 0;
  for (let skipped = 0; skipped < at; skipped++) {
    const dot = subject.indexOf(".", start);
    if (dot < 0) return "";
    start = dot + 1;
  }
  const end = subject.indexOf(".", start);
  return end < 0 ? subject.slice(start) : subject.slice(start, end);
}
