// What somebody could send to a node who can publish on its NATS and knows its subjects, and the numbers in which it has to
// show.

import { randomBytes } from "node:crypto";
import { connect } from "@nats-io/transport-node";
import { Batch, ChannelService, ControlMessage } from "../../proto/index.ts";
import { subjectsOf } from "../../runtime/index.ts";

export interface Victim {
  readonly url: string;
  readonly cluster: string;
  readonly clusterId: string;
  readonly nodeId: string;
  /** Another node, whom a false coordinator calls dead. */
  readonly memberId: string;
  /** A channel that is in use. */
  readonly channelId: string;
}

export interface Told {
  readonly what: string;
  readonly metric: string;
  readonly atLeast: number;
}

const GHOST = "ghost#1";
const LANE = 3;
const TIMES = 20;
/** Below what the server takes in one message, and far above what anybody sends. */
const HUGE_BYTES = 900_000;
const nothing = new Uint8Array(0);
const noPieces = { piece: nothing, piecesBefore: 0, piecesLeft: 0 };

export async function annoy(victim: Victim): Promise<readonly Told[]> {
  const { nodeId, memberId, channelId, clusterId } = victim;
  const subjects = subjectsOf(victim.cluster);
  const nats = await connect({ servers: new URL(victim.url).host });
  const mail = (bytes: Uint8Array) =>
    nats.publish(subjects.lane(nodeId, LANE), bytes, { reply: subjects.nack(GHOST, 1) });
  const control = (bytes: Uint8Array) =>
    nats.publish(subjects.control(nodeId), bytes, { reply: subjects.control(GHOST) });
  const again = (task: () => void) => {
    for (let time = 0; time < TIMES; time++) task();
  };

  const { post } = ChannelService.methods;
  const content = { text: { text: "«forged»", replyTo: 0 } };
  const call = {
    callId: 7,
    from: GHOST,
    service: "Channel",
    method: post.name,
    ids: [channelId],
    deadlineMs: 1_000,
    payload: post.request.encode({ userId: 1, producer: 1, number: 1, content }).finish(),
    traceparent: "",
    hops: 0,
  };
  const batch = (protocol: number) => Batch.encode({ protocol, link: 1, envelopes: [{ call }], ...noPieces }).finish();
  const whole = batch(1);
  const beat = { version: 1, digest: 1, draining: false, leaseOver: false };
  const said = (protocol: number, cluster: string) =>
    ControlMessage.encode({ protocol, clusterId: cluster, beat }).finish();

  again(() => mail(randomBytes(100)));
  again(() => mail(batch(99)));
  again(() => mail(whole.subarray(0, whole.length - 30)));
  for (let time = 0; time < 3; time++) mail(randomBytes(HUGE_BYTES));
  again(() => nats.publish(`madang.${victim.cluster}.route.bot`, randomBytes(50))); // whichever node takes it
  again(() => mail(whole));
  again(() => nats.publish(subjects.lane(nodeId, LANE), whole)); // from nobody
  again(() => nats.publish(subjects.lane(nodeId, 9), whole, { reply: subjects.nack(GHOST, 1) }));

  again(() => control(randomBytes(100)));
  for (let time = 0; time < 3; time++) control(randomBytes(HUGE_BYTES));
  again(() => control(said(99, clusterId)));
  again(() => control(said(1, "another-cluster")));
  again(() => control(said(1, clusterId)));
  again(() => control(ControlMessage.encode({ protocol: 1, clusterId }).finish())); // a kind of a later version
  const lead = { term: 1_000_000, version: 1_000_000, gone: [memberId], kept: [] };
  again(() => control(ControlMessage.encode({ protocol: 1, clusterId, lead }).finish()));
  await nats.flush();
  await nats.close();

  const dropped = (reason: string) => `madang_placement_dropped_total{reason="${reason}"}`;
  return [
    {
      what: "garbage, another protocol, cut off, 900 KB of nothing",
      metric: "madang_mail_malformed_total",
      atLeast: 3 * TIMES + 3,
    },
    { what: "a call of a node that is no member", metric: "madang_mail_strangers_total", atLeast: TIMES },
    { what: "a batch from nobody, or in no lane", metric: "madang_nats_strange_total", atLeast: 2 * TIMES },
    { what: "control: garbage", metric: dropped("malformed"), atLeast: TIMES },
    { what: "control: too large", metric: dropped("tooLarge"), atLeast: 3 },
    {
      what: "control: another protocol, or a kind of a later version",
      metric: dropped("protocol"),
      atLeast: 2 * TIMES,
    },
    { what: "control: of another cluster", metric: dropped("foreign"), atLeast: TIMES },
    {
      what: "control: of a node that is no member, a coordinator's word too",
      metric: dropped("stranger"),
      atLeast: 2 * TIMES,
    },
  ];
}
