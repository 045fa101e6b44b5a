// The least that keeps a message on another machine and answers for it: one request over NATS, one write and one read at a quorum,
// one answer.
//
//   hop-node <keyspace>

import { connect } from "@nats-io/transport-node";
import cassandra from "cassandra-driver";
import { beMeasured } from "../processes.ts";
import { openRing } from "./ring.ts";

const [keyspace = ""] = process.argv.slice(2);
const { Long } = cassandra.types;
const CHANNELS = 200;
const INSERT = "INSERT INTO messages (channel_id, bucket, message_id, record) VALUES (?, ?, ?, ?)";
/** As the fence reads: a few small rows, of which there are none as a rule. */
const READ = "SELECT shard, epoch FROM revocations WHERE owner = ?";

const ring = await openRing(process.env.CQL_CONTACT_POINTS ?? "", keyspace);
const nats = await connect({ servers: URL.parse(process.env.NATS_URL ?? "")?.host ?? "" });
const answer = Buffer.alloc(24); // as long as an acknowledgement
let lastId = 0;

nats.subscribe(keyspace, {
  callback: (_error, message) => {
    void (async () => {
      const id = ++lastId;
      const params = [`hop${id % CHANNELS}`, Math.floor(id / 1_000), Long.fromNumber(id), Buffer.from(message.data)];
      while (!(await ring.execute(INSERT, params).catch(() => undefined)));
      while (!(await ring.execute(READ, ["hop"]).catch(() => undefined)));
      message.respond(answer);
    })();
  },
});
await nats.flush();

beMeasured({}, async () => {
  await nats.close();
  await ring.shutdown();
});
