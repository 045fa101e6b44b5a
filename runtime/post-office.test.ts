import { expect, it } from "vitest";
import { Batch, PresenceService } from "../proto/index.ts";
import { createVirtualClock, runtimeDefaults } from "./index.ts";
import type { Mail } from "./mail.ts";
import { PostOffice } from "./post-office.ts";
import type { TransportEvents } from "./transport/port.ts";

const { ask, report } = PresenceService.methods;
const id = "7";

/** The post office of a node whose turn of the event loop does not end before endTurn(). */
function make() {
  const atTheEnd: (() => void)[] = [];
  const clock = { ...createVirtualClock(), soon: (task: () => void) => void atTheEnd.push(task) };
  const sent: Batch[] = [];
  const mails: Mail[] = [];
  let events: TransportEvents | undefined;
  const office = new PostOffice({
    nodeId: "here",
    clock,
    settings: runtimeDefaults,
    transport: {
      messageBytesMax: 1_000_000,
      open: (given) => void (events = given),
      send: (_to, _lane, bytes) => void sent.push(Batch.decode(bytes)),
      close: async () => {},
    },
    arrivals: {
      isMember: () => true,
      method: () => ask,
      arrived: (_service, _id, mail) => void mails.push(mail),
      ownerOf: () => "here",
      lostFrom() {},
      lostTo() {},
    },
  });
  return {
    office,
    mails,
    /** Of each batch that has left, whether its envelopes answer. */
    left: () =>
      sent.map(({ envelopes }) => envelopes.map(({ reply }) => (reply ? `answer ${reply.callId}` : "notice"))),
    receiveCalls(...callIds: number[]) {
      const call = { from: "there", service: "Presence", method: "ask", ids: [id], deadlineMs: 1_000, traceparent: "" };
      const payload = ask.request.encode({ askerId: 1 }).finish();
      const envelopes = callIds.map((callId) => ({ call: { ...call, callId, payload, hops: 0 } }));
      const pieces = { piece: new Uint8Array(0), piecesBefore: 0, piecesLeft: 0 };
      events?.onBatch("there", 0, Batch.encode({ protocol: 1, link: 0, envelopes, ...pieces }).finish());
    },
    tell() {
      const request = { gateway: "there", sessionId: 1, state: 0, lastBeatAgoMs: 0 };
      office.tell("there", "Presence", [id], { method: report, request, traceparent: "" } as Mail, 0);
    },
    endTurn: () => atTheEnd.splice(0).forEach((task) => void task()),
  };
}

const thisIsDone = () => new Promise<void>((resolve) => process.nextTick(resolve));

it("answers leave together before the turn is over, for somebody waits for them", async () => {
  const { mails, left, receiveCalls } = make();
  receiveCalls(1, 2, 3);
  mails[0]?.succeed({});
  void Promise.resolve().then(() => mails[1]?.succeed({}));
  expect(left()).toEqual([]);
  await thisIsDone();
  expect(left()).toEqual([["answer 1", "answer 2"]]);
  mails[2]?.succeed({});
  await thisIsDone();
  expect(left().slice(1)).toEqual([["answer 3"]]);
});

it("what nobody waits for leaves at the end of the turn, or along with an answer", async () => {
  const { mails, left, receiveCalls, tell, endTurn } = make();
  receiveCalls(1);
  tell();
  await thisIsDone();
  expect(left()).toEqual([]);
  mails[0]?.succeed({});
  await thisIsDone();
  expect(left()).toEqual([["notice", "answer 1"]]);
  tell();
  tell();
  endTurn();
  expect(left().slice(1)).toEqual([["notice", "notice"]]);
  endTurn();
  expect(left().length).toBe(2);
});
