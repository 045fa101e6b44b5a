// People who chat, wherever their server runs: they sign up, say what they have to say, and wait until everybody has everything.

import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { createMemoryStore } from "../../client/index.ts";
import { createFileStore } from "../../client/node.ts";
import { allKept, type Counts, type HeardRecord, type SendRecord } from "./count.ts";
import { Device } from "./person.ts";
import { LONGEST_CHARACTERS, longestText, saying } from "./texts.ts";

const PEOPLE = 100;
/** So many of them have a second device. */
const SECOND_DEVICES = 5;
/** This device is switched off while the server is away, with messages that nobody has acknowledged, and on again. */
const RESTARTED = 0;
const DIRECT_SENDS = 20;
const GROUP_SENDS = 5;
const TALK_MS = 8_000;
export const AWAY_MS = 1_000;
/** All texts of this round are sent at once, and so long afterwards something is killed: some are answered, some are not. */
const KILL_ROUND = 12;
const KILL_AFTER_MS = 8;
/** Sign-ups at once: a password takes a core for some tens of milliseconds. */
const SIGN_UPS_AT_ONCE = 8;
/** From the last send until everybody has everything. */
const FINISH_WITHIN_MS = 40_000;

const startedMs = performance.now();
export const say = (text: string) => {
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1).padStart(5);
  process.stdout.write(`${seconds} s  ${text}\n`);
};

export async function signUp(url: string, folder: string): Promise<Device[]> {
  const devices = Array.from({ length: PEOPLE + SECOND_DEVICES }, (_, at) => {
    const name = `person${at % PEOPLE}`;
    const records = new Map<string, Uint8Array>();
    const path = join(folder, "devices", `${at}`);
    const openStore = async () => (at === RESTARTED ? createFileStore(path) : createMemoryStore(records));
    return new Device(at < PEOPLE ? name : `${name}'s second device`, name, url, openStore);
  });
  await inTurns(devices.slice(0, PEOPLE), (device) => device.signUp());
  say(`${PEOPLE} people have signed up`);
  await inTurns(devices, async (device) => {
    await device.switchOn();
    await device.client.online();
  });
  say(`${devices.length} devices are online, ${SECOND_DEVICES} of them second ones`);
  return devices;
}

async function inTurns(devices: readonly Device[], task: (device: Device) => Promise<void>): Promise<void> {
  const waiting = [...devices];
  const worker = async () => {
    for (let device = waiting.shift(); device !== undefined; device = waiting.shift()) await task(device);
  };
  await Promise.all(Array.from({ length: SIGN_UPS_AT_ONCE }, worker));
}

export async function makeGroup(devices: readonly Device[]): Promise<string> {
  const [first, ...others] = devices.slice(0, PEOPLE);
  if (first === undefined) throw new Error("nobody is there");
  const memberIds = others.map(({ userId }) => userId);
  const group = await first.client.createGroup({ title: "마당", memberIds });
  say(`a group of ${PEOPLE} is made: ${group.id}`);
  return group.id;
}

/** Who says what, when, to whom: each to the next in the round, and to the group. */
export class Talk {
  readonly sends: SendRecord[] = [];
  readonly #devices: readonly Device[];
  readonly #group: string;
  /** Resolves when half of everything was said, with a burst on its way. */
  readonly half: Promise<void>;
  #halfIsSaid: () => void = () => {};

  constructor(devices: readonly Device[], group: string) {
    this.#devices = devices;
    this.#group = group;
    this.half = new Promise((resolve) => {
      this.#halfIsSaid = resolve;
    });
  }

  get answered(): number {
    return this.sends.filter(({ outcome }) => outcome.kind !== "waiting").length;
  }

  async run(): Promise<void> {
    const rounds = DIRECT_SENDS + GROUP_SENDS;
    for (let round = 0; round < rounds; round++) {
      for (let who = 0; who < PEOPLE; who++) {
        const device = await this.#ready(who);
        const toGroup = round % (rounds / GROUP_SENDS) === 0;
        const channelId = toGroup ? this.#group : this.#direct(who);
        this.sends.push(device.send(channelId, saying(who, round)));
        if (who === 1 && round === 2) this.sends.push(device.send(channelId, longestText()));
        if (who % 10 === 9 && round !== KILL_ROUND) await pause(TALK_MS / rounds / 10);
      }
      if (round === KILL_ROUND) {
        await pause(KILL_AFTER_MS);
        this.#halfIsSaid();
      }
    }
    say(`${this.sends.length} texts are sent, one of them of ${LONGEST_CHARACTERS} characters`);
  }

  /** The device that is switched off says its next text when it is on again. */
  async #ready(who: number): Promise<Device> {
    const device = this.#devices[who];
    if (device === undefined) throw new Error(`there is no person ${who}`);
    while (!device.isOn) await pause(50);
    return device;
  }

  #direct(who: number): string {
    const ids = [who, (who + 1) % PEOPLE].map((at) => this.#devices[at]?.userId ?? 0);
    return `d${Math.min(...ids)}.${Math.max(...ids)}`;
  }

  /** What each device was told of each of its channels. */
  heard(): HeardRecord[] {
    return this.#devices.flatMap((device) => this.channelsOf(device).map((channelId) => device.recordOf(channelId)));
  }

  /** The channels that the device has to know entirely. */
  channelsOf(device: Device): string[] {
    const who = this.#devices.indexOf(device) % PEOPLE;
    return [this.#group, this.#direct(who), this.#direct((who + PEOPLE - 1) % PEOPLE)];
  }
}

/** With messages in its outbox that were sent into the void. */
export async function restart(devices: readonly Device[]): Promise<void> {
  const device = devices[RESTARTED];
  if (device === undefined) return;
  await pause(AWAY_MS / 2);
  const waiting = device.client.outbox.length;
  await device.switchOff();
  say(`${device.name} is switched off with ${waiting} unacknowledged texts in its outbox`);
  await pause(AWAY_MS);
  await device.switchOn();
  say(`${device.name} is switched on again and has ${device.client.outbox.length} in its outbox`);
}

export async function finish(devices: readonly Device[], talk: Talk): Promise<void> {
  const untilMs = performance.now() + FINISH_WITHIN_MS;
  let toldMs = performance.now();
  for (;;) {
    const missing = missingOf(devices, talk);
    const waiting = talk.sends.length - talk.answered;
    if (waiting === 0 && missing === 0) return say("every send is answered, and every device has every message");
    if (performance.now() > untilMs) return say(`given up: ${waiting} sends wait, ${missing} deliveries are missing`);
    if (performance.now() - toldMs > 1_000) {
      toldMs = performance.now();
      const online = devices.filter(({ client }) => client.state.phase === "online").length;
      say(
        `${online} of ${devices.length} devices are online, ${waiting} sends wait, ${missing} deliveries are missing`,
      );
    }
    await pause(100);
  }
}

/** By what was acknowledged: the log itself is read later. */
function missingOf(devices: readonly Device[], talk: Talk): number {
  const last = new Map<string, number>();
  for (const { channelId, outcome } of talk.sends) {
    if (outcome.kind === "acknowledged") last.set(channelId, Math.max(last.get(channelId) ?? 0, outcome.messageId));
  }
  let missing = 0;
  for (const device of devices) {
    for (const channelId of talk.channelsOf(device)) {
      missing += Math.max(0, (last.get(channelId) ?? 0) - device.recordOf(channelId).entries.length);
    }
  }
  return missing;
}

export interface Found {
  /** Where the kept log was read. */
  readonly where: string;
  /** What was killed. */
  readonly killed: string;
}

export function report(counts: Counts, { where, killed }: Found, devices: readonly Device[]): void {
  const reconnections = devices.reduce((sum, device) => sum + device.reconnections - 1, 0);
  const row = (name: string, value: number, note = "") =>
    process.stdout.write(`  ${name.padEnd(20)}${String(value).padStart(8)}  ${note}\n`);
  process.stdout.write("\nWhat the clients recorded, against a full read of the kept log\n\n");
  row("sent", counts.sent, `by ${PEOPLE} people on ${devices.length} devices`);
  row("acknowledged", counts.acknowledged);
  row("refused", counts.refused);
  row("unanswered", counts.unanswered);
  row("kept", counts.kept, where);
  row("delivered", counts.delivered);
  row("attempts to reconnect", reconnections, killed);
  process.stdout.write("\n");
  row("lost", counts.lost, "an ack means kept");
  row("twice", counts.twice, "once");
  row("out of order", counts.outOfOrder, "one order");
  row("holes unrepaired", counts.holes, "no holes");
  process.stdout.write(`\n${allKept(counts) ? "Every promise was kept." : "A PROMISE WAS BROKEN."}\n`);
}
