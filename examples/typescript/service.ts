// A small service: announces something in a channel, looks whether a person is there, follows the channel.
//
//   npx tsx examples/typescript/service.ts d1.2
//
// Where and who: NATS_URL, MADANG_CLUSTER, NATS_USER, NATS_PASSWORD, as for the one in Python.

import { createService, newProducer, PresenceState, ServiceError } from "../../client/service/index.ts";

const { NATS_URL = "nats://127.0.0.1:4222", MADANG_CLUSTER = "madang", NATS_USER, NATS_PASSWORD } = process.env;
const [channelId = "d1.2"] = process.argv.slice(2);
const say = (fact: string) => process.stdout.write(`${fact}\n`);

const service = await createService({
  url: NATS_URL,
  cluster: MADANG_CLUSTER,
  name: "bot",
  ...(NATS_USER && { user: NATS_USER }),
  ...(NATS_PASSWORD && { password: NATS_PASSWORD }),
});
const channel = service.channel(channelId);

// A real service keeps producer and number on its disk before it sends, and sends the same again until it knows.
const producer = newProducer();
try {
  const { messageId } = await channel.announce({ producer, number: 1, text: "Maintenance at ten." });
  say(`kept as ${messageId}`);
} catch (error) {
  if (!(error instanceof ServiceError)) throw error;
  if (error.executed === "maybe") say("nobody knows: send the same again");
  else say(`refused, and it took no effect: ${error.code}`);
}

const { state } = await service.presence(1).ask();
say(state === PresenceState.ONLINE ? "user 1 is there" : "user 1 is not there");

// Keep `following.lastId`, and follow after it in the next life.
const following = channel.follow(0, async (entries) => {
  for (const entry of entries)
    say(`${entry.messageId}: ${entry.content?.text?.text ?? entry.content?.system?.text ?? ""}`);
});
process.once("SIGINT", () => void following.stop());
await following.done;
await service.close();
