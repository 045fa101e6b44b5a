// The subjects of a cluster: few, and as long-lived as the node. Never one an actor.
//
//   madang.<cluster>.node.<id>.<lane>      batches for one node in one lane
//   madang.<cluster>.node.<id>.nack.<n>    where the server says that nobody listens: batch n was not delivered
//   madang.<cluster>.service.<name>.<incarnation>.<lane>, .nack.<n>    the same for one service
//   madang.<cluster>.route.<service>       batches of a service, for any node (queue group)
//   madang.<cluster>.control.<id>          control messages for one node
//   madang.<cluster>.control               control messages for all
//
// The name of a service is a token of its own, because a permission of NATS can leave out whole tokens only: that is how a
// service is bound to its own inbox while its incarnation changes.

import { assert } from "../errors.ts";
import { parseServiceId } from "../services.ts";

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
  const inbox = (id: string) => {
    const service = parseServiceId(id);
    return service === undefined ? `${root}.node.${id}` : `${root}.service.${service.name}.${service.incarnation}`;
  };
  return {
    lane: (id, lane) => `${inbox(id)}.${lane}`,
    nack: (id, batch) => `${inbox(id)}.nack.${batch}`,
    inbound: (id) => `${inbox(id)}.>`,
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
