// People who write to each other in pairs, through the actors of a running cluster: attached at a seat that takes what is pushed to
// them, as a gateway would, and throws it away.

import { type Seat, takeSeat } from "../../chaos/cluster/seat.ts";
import { directChannelId, GatewayService } from "../../proto/index.ts";
import { createGate } from "../../runtime/index.ts";
import { pause } from "../measure.ts";
import { stampedText } from "../texts.ts";

export interface People {
  readonly count: number;
  /** What was pushed to them. */
  readonly pushed: number;
  /** Messages that were sent again, for they had no answer in time or were refused. */
  readonly again: number;
  /** The next message of one of them to the other of the pair; resolves when it is acknowledged. */
  post(person: number): Promise<unknown>;
  close(): Promise<void>;
}

const DEADLINE_MS = 20_000;
/** A machine that is short of cores answers some too late: the same number is sent again, as a client does. */
const AGAIN_MAX = 5;
const AGAIN_AFTER_MS = 500;
/** First messages at a time: before a 1:1 begins, the database is asked whether both people exist. */
const BEGINNING = 16;

/** @param userIds an even number of people with accounts; neighbours are a pair. */
export async function attachPeople(
  settings: Readonly<Record<string, string>>,
  userIds: readonly number[],
): Promise<People> {
  const seat: Seat = await takeSeat(settings);
  const counted = { pushed: 0, again: 0 };
  seat.node.serve(GatewayService, {
    push: () => {
      counted.pushed += 1;
    },
    tell() {},
    close() {},
    reattach() {},
  });
  const gateway = seat.node.nodeId;
  await Promise.all(
    userIds.map((userId) => {
      const session = { sessionId: userId, deviceId: userId, loginId: "bench" };
      const attach = { ...session, gateway, cursor: 0, ticketId: "", ticketExpiresMs: 0 };
      return seat.users(String(userId)).attach(attach, { deadlineMs: DEADLINE_MS });
    }),
  );
  const references = userIds.map((userId, at) => seat.channels(directChannelId(userId, userIds[at ^ 1] as number)));
  const numbers = userIds.map(() => 0);
  const content = { text: { text: stampedText(0), replyTo: 0 } };
  const post = (person: number) => {
    const number = (numbers[person] as number) + 1;
    numbers[person] = number;
    const request = { userId: userIds[person] as number, producer: person + 1, number, content };
    const channel = references[person] as (typeof references)[number];
    const once = (left: number): Promise<unknown> =>
      channel.post(request, { deadlineMs: DEADLINE_MS }).catch(async (error) => {
        counted.again += 1;
        if (left === 0) throw error;
        await pause(AGAIN_AFTER_MS);
        return once(left - 1);
      });
    return once(AGAIN_MAX);
  };
  const beginning = createGate(BEGINNING);
  await Promise.all(userIds.map((_, person) => beginning(() => post(person))));
  return {
    count: userIds.length,
    get pushed() {
      return counted.pushed;
    },
    get again() {
      return counted.again;
    },
    post,
    close: () => seat.close(),
  };
}
