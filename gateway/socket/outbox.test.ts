import { expect, it } from "vitest";
import { type PushNotice, ServerFrame } from "../../proto/index.ts";
import { createVirtualClock } from "../../runtime/index.ts";
import { gatewayDefaults } from "../settings.ts";
import { Outbox } from "./outbox.ts";
import { phases, type Session } from "./session.ts";

/** An outbox whose turn of the event loop does not end before endTurn(), and the writes to sockets that came of it. */
function make() {
  const atTheEnd: (() => void)[] = [];
  const clock = { ...createVirtualClock(), soon: (task: () => void) => void atTheEnd.push(task) };
  const writes: string[][] = [];
  const outbox = new Outbox(clock, gatewayDefaults);
  const connect = (name: string): Session => {
    let corked: string[] | undefined;
    const socket = {
      cork(task: () => void) {
        corked = [];
        task();
        writes.push(corked);
        corked = undefined;
      },
      send(frame: Uint8Array) {
        const { request, delivery } = ServerFrame.decode(frame);
        const said = `${name} ${delivery ? "delivery" : `answer ${request}`}`;
        if (corked === undefined) writes.push([said]);
        else corked.push(said);
        return 1;
      },
      getBufferedAmount: () => 0,
    };
    return { phase: phases.open, socket, pending: undefined } as unknown as Session;
  };
  return { outbox, writes, connect, endTurn: () => atTheEnd.splice(0).forEach((task) => void task()) };
}

const heartbeat = (request: number) => ServerFrame.encode({ request, heartbeat: { active: false } }).finish();
const notice: PushNotice = { sessionId: 1, epoch: 1, prev: 0, version: 1, body: new Uint8Array(0) };
const thisIsDone = () => new Promise<void>((resolve) => process.nextTick(resolve));

it("pushes leave at the end of the turn, all of a socket in one write", async () => {
  const { outbox, writes, connect, endTurn } = make();
  const [a, b] = [connect("a"), connect("b")];
  for (const session of [a, b, a]) outbox.push(session, notice);
  await thisIsDone();
  expect(writes).toEqual([]);
  endTurn();
  expect(writes).toEqual([["a delivery", "a delivery"], ["b delivery"]]);
});

it("an answer leaves before the turn is over, behind what came before it, and nothing leaves twice", async () => {
  const { outbox, writes, connect, endTurn } = make();
  const [a, b] = [connect("a"), connect("b")];
  outbox.push(a, notice);
  outbox.push(b, notice);
  outbox.answer(a, heartbeat(1));
  outbox.answer(a, heartbeat(2));
  expect(writes).toEqual([]);
  await thisIsDone();
  expect(writes).toEqual([["a delivery", "a answer 1", "a answer 2"]]);
  outbox.push(a, notice);
  endTurn();
  expect(writes.slice(1)).toEqual([["a delivery"], ["b delivery"]]);
});
