// A trial: overlapping owners of one shard, over replicas in bad weather, under clients that send anything to any owner,
// and a checker that knows what was acknowledged. One seed gives one trial.

import {
  createVirtualClock,
  pause,
  type Random,
  randomBelow,
  seededRandom,
  type Tenure,
  type VirtualClock,
} from "../../runtime/index.ts";
import { recordOf } from "../log/cell.ts";
import { createFencedLogs } from "../log/fenced.ts";
import { bucketOf, type ChannelLog, type ChannelLogStore, type LogHint } from "../log/port.ts";
import { type Replica, readTogether } from "../memory/replica.ts";
import { createReplicas, fairWeather, type Replicas, type Weather } from "../memory/replicas.ts";
import { storageDefaults } from "../settings.ts";
import type { Rule } from "./mutations.ts";
import type { CellRow, QuorumStore } from "./port.ts";
import { QuorumFence } from "./quorum.ts";

/** A rule of the protocol, or the one that binds whoever reads: no answer without a verify. */
export type LeftOut = Rule | "verifyBeforeReads";

export interface Trial {
  readonly violation: string | undefined;
  readonly acks: number;
  readonly reads: number;
}

const SHARD = 1;
const CHANNEL = "g1";
const OWNERS_MAX = 4;
const SENDS = 8;
const OVERLAP_MS = 600;
const REST_MS = 4_000;
const OBSERVE_EVERY_MS = 20;

const NEVER_MS = 1e9;
const settings = { ...storageDefaults, retryPauseMs: 5, retryPauseMaxMs: 80, batchRowsMax: 2 };
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const identityOf = (record: Uint8Array) => text(record).split("|")[0];

export async function runTrial(seed: number, leaveOut?: LeftOut): Promise<Trial> {
  const world = new World(seed, leaveOut);
  await world.run();
  return { violation: world.checker.violation, acks: world.checker.acks.size, reads: world.checker.reads };
}

/** What was promised so far, and by whom; the first promise that is broken stays. */
class Checker {
  violation: string | undefined;
  reads = 0;
  readonly acks = new Map<number, { readonly content: string; readonly epoch: number }>();
  readonly #idOf = new Map<string, number>();
  readonly #opened: { readonly epoch: number; readonly rows: ReadonlyMap<number, string> }[] = [];

  broken(what: string): void {
    this.violation ??= what;
  }

  acked(identity: string, id: number, content: string, epoch: number): void {
    const before = this.acks.get(id);
    if (before !== undefined && before.content !== content) this.broken(`two contents at id ${id}`);
    if ((this.#idOf.get(identity) ?? id) !== id) this.broken(`${identity} acknowledged under two ids`);
    for (const { epoch: later, rows } of this.#opened) {
      if (later > epoch && rows.get(id) !== content)
        this.broken(`owner ${epoch} acknowledged what ${later} has not seen`);
    }
    this.#idOf.set(identity, id);
    if (before === undefined || before.epoch < epoch) this.acks.set(id, { content, epoch });
  }

  opened(epoch: number, rows: ReadonlyMap<number, string>): void {
    for (const [id, ack] of this.acks) {
      if (ack.epoch <= epoch && rows.get(id) !== ack.content)
        this.broken(`acknowledged ${id} unseen by owner ${epoch}`);
    }
    const identities = [...rows.values()].map((content) => content.split("|")[0]);
    if (new Set(identities).size < identities.length) this.broken("one send with two ids");
    this.#opened.push({ epoch, rows });
  }

  get highestAcked(): number {
    return Math.max(0, ...this.acks.keys());
  }
}

interface Node {
  readonly fence: QuorumFence;
  readonly logs: ChannelLogStore;
}

class World {
  readonly checker = new Checker();
  readonly clock: VirtualClock = createVirtualClock();
  readonly random: Random;
  readonly leaveOut: LeftOut | undefined;
  readonly #replicas: Replicas;
  readonly #bucketRows: number;
  readonly #nodes = new Map<string, Node>();
  readonly #pausedUntilMs = new Map<string, number>();
  /** Then a reader may be shown single rows of a batch, and owners have a rule against it. */
  readonly #repairs: boolean;
  #hint = 0;

  constructor(seed: number, leaveOut: LeftOut | undefined) {
    this.random = seededRandom(seed);
    this.leaveOut = leaveOut;
    const { clock, random } = this;
    const pick = (...choices: number[]) => this.#pick(...choices);
    this.#bucketRows = pick(1, 2, 3, 1_000);
    const weather: Weather = {
      delayMsMax: pick(2, 6),
      lateShare: pick(0.1, 0.3, 0.5),
      lateMsMax: pick(60, 300, 900),
      lostShare: pick(0, 0.1),
      doubledShare: pick(0, 0.2),
      repairShare: pick(0, 0, 0.6),
      // What completes while a read is under way has to wait for its end, where that is to be found out.
      fullShare: leaveOut === "verifyAfterAppend" ? 0 : pick(0, 0.3),
    };
    this.#repairs = weather.repairShare > 0;
    this.#replicas = createReplicas({ clock, random, weather, timeoutMs: pick(15, 40, 1_000) });
  }

  node(name: string): Node {
    const found = this.#nodes.get(name);
    if (found !== undefined) return found;
    const { clock } = this;
    const leaveOut =
      this.leaveOut === "verifyBeforeReads" || this.leaveOut === undefined ? {} : { leaveOut: this.leaveOut };
    const store = pausable(this.#replicas.storeFor(name), () => this.#whileAwake(name));
    // A second read beside the first would cover rightly what the mutation covers too early.
    const verify = this.leaveOut === "verifyAfterAppend" ? { verifiesAtOnce: 1, verifyLateMs: NEVER_MS } : {};
    const fence = new QuorumFence({ store, owner: name, clock, settings: { ...settings, ...verify }, ...leaveOut });
    const bucketRows = this.#bucketRows;
    const logs = createFencedLogs({ store, fence, clock, settings, identityOf, bucketRows, ...leaveOut });
    const node = { fence, logs };
    this.#nodes.set(name, node);
    return node;
  }

  #pick(...choices: number[]): number {
    return choices[randomBelow(this.random, choices.length)] as number;
  }

  /** A paused process neither begins anything nor hears of anything; what it has in flight goes on. */
  async #whileAwake(name: string): Promise<void> {
    for (let leftMs = 1; leftMs > 0; ) {
      leftMs = (this.#pausedUntilMs.get(name) ?? 0) - this.clock.monotonicMs();
      if (leftMs > 0) await pause(this.clock, leftMs);
    }
  }

  /** An id that was settled at some time, and a snapshot from some time before it. */
  hint(): LogHint {
    const drawn = randomBelow(this.random, 4);
    const settled = drawn < 2 ? 0 : this.#hint;
    return { settled, replayFrom: drawn % 2 === 0 ? settled + 1 : 1 + Math.floor(settled / 2) };
  }
  settled(id: number): void {
    this.#hint = Math.max(this.#hint, id);
  }

  async run(): Promise<void> {
    const { clock, random } = this;
    const pick = (...choices: number[]) => this.#pick(...choices);
    const owners: Owner[] = [];
    const count = 2 + randomBelow(random, OWNERS_MAX - 1);
    for (let epoch = 1; epoch <= count; epoch++) {
      // Now and then a node gets the shard back that it had before.
      const name = epoch > 2 && random.next() < 0.2 ? "node-1" : `node-${epoch}`;
      const owner = new Owner(this, this.node(name), { shard: SHARD, epoch });
      owners.push(owner);
      clock.after(randomBelow(random, pick(1, OVERLAP_MS / 6, OVERLAP_MS / 2)), () => void owner.start());
      for (let i = randomBelow(random, 3); i > 0; i--) {
        const forMs = 20 + randomBelow(random, OVERLAP_MS);
        clock.after(randomBelow(random, OVERLAP_MS), () => this.#pausedUntilMs.set(name, clock.monotonicMs() + forMs));
      }
    }
    for (let send = 0; send < SENDS; send++) {
      const tries = 1 + randomBelow(random, 5);
      for (let i = 0; i < tries; i++) {
        const owner = owners[randomBelow(random, owners.length)] as Owner;
        clock.after(randomBelow(random, OVERLAP_MS), () => owner.post(`m${send}`));
      }
    }
    for (let i = 0; i < 4 * count; i++) {
      const owner = owners[randomBelow(random, owners.length)] as Owner;
      const act = random.next() < 0.6 ? () => void owner.read() : () => void owner.reopen();
      clock.after(randomBelow(random, OVERLAP_MS), act);
    }
    for (let atMs = 0; atMs < OVERLAP_MS * 2; atMs += OBSERVE_EVERY_MS) {
      await clock.advance(OBSERVE_EVERY_MS);
      this.#observe();
    }
    this.#replicas.setWeather({ ...fairWeather, delayMsMax: 2 });
    // Twice, so that what is in flight may still land under the first of the last owners.
    for (const epoch of [50, 51]) {
      if (this.checker.violation !== undefined) break;
      await this.#inspect(epoch);
    }
    for (const { fence } of this.#nodes.values()) fence.close();
    await clock.advance(settings.retryPauseMaxMs);
  }

  /** What any two replicas show together, each log up to its first gap: no send stands in it twice. */
  #observe(): void {
    if (this.#repairs) return;
    const [a, b, c] = this.#replicas.members as [Replica, Replica, Replica];
    for (const pair of [
      [a, b],
      [b, c],
      [a, c],
    ]) {
      this.#observeLog((bucket) => readTogether(pair, CHANNEL, bucket));
    }
  }

  #observeLog(read: (bucket: number) => readonly CellRow[]): void {
    const identities = new Set<string>();
    let id = 1;
    for (let bucket = 0; bucketOf(id, this.#bucketRows) === bucket; bucket++) {
      for (const row of read(bucket)) {
        if (row.id !== id) return;
        const identity = identityOf(recordOf(row.cell)) as string;
        if (identities.has(identity)) this.checker.broken(`${identity} is kept under two ids`);
        identities.add(identity);
        id += 1;
      }
    }
  }

  /** A last owner in fair weather takes everything over, resends everything, and everything is acknowledged. */
  async #inspect(epoch: number): Promise<void> {
    const owner = new Owner(this, this.node(`node-${epoch}`), { shard: SHARD, epoch });
    void owner.start();
    await this.clock.advance(500);
    for (let send = 0; send < SENDS; send++) owner.post(`m${send}`);
    await this.clock.advance(REST_MS);
    if (!owner.ready) this.checker.broken(`owner ${epoch} could not take over in fair weather`);
    else if (owner.unanswered > 0) this.checker.broken(`owner ${epoch} left ${owner.unanswered} sends unanswered`);
  }
}

function pausable(store: QuorumStore, whileAwake: () => Promise<void>): QuorumStore {
  const through = async <T>(operation: () => Promise<T>): Promise<T> => {
    await whileAwake();
    try {
      return await operation();
    } finally {
      await whileAwake();
    }
  };
  return {
    insertClaim: (...call) => through(() => store.insertClaim(...call)),
    readClaims: (...call) => through(() => store.readClaims(...call)),
    deleteClaims: (...call) => through(() => store.deleteClaims(...call)),
    insertRevocation: (...call) => through(() => store.insertRevocation(...call)),
    readRevocations: (...call) => through(() => store.readRevocations(...call)),
    writeCells: (...call) => through(() => store.writeCells(...call)),
    readCells: (...call) => through(() => store.readCells(...call)),
    isFull: () => store.isFull(),
  };
}

/** A channel actor in small: dedupes, appends, acknowledges, reads. */
class Owner {
  readonly #world: World;
  readonly #node: Node;
  readonly #tenure: Tenure;
  #log: ChannelLog | undefined;
  #opening = false;
  readonly #idOf = new Map<string, number>();
  readonly #contents = new Map<number, string>();
  readonly #unanswered = new Map<string, number>();
  /** Sent while the log was being opened. */
  readonly #early: string[] = [];

  constructor(world: World, node: Node, tenure: Tenure) {
    this.#world = world;
    this.#node = node;
    this.#tenure = tenure;
  }

  get ready(): boolean {
    return this.#log !== undefined;
  }
  get unanswered(): number {
    return this.#unanswered.size;
  }

  async start(): Promise<void> {
    this.#opening = true;
    try {
      await this.#node.fence.claim(this.#tenure);
      await this.#open();
    } catch {
      this.#log = undefined; // lost before it began
    }
    this.#opening = false;
  }

  async #open(): Promise<void> {
    const events = {
      onSettled: (through: number) => this.#acknowledge(through),
      onLost: () => {
        this.#log = undefined;
      },
    };
    const log = await this.#node.logs.open(CHANNEL, this.#tenure, events, this.#world.hint());
    this.#idOf.clear();
    this.#contents.clear();
    this.#unanswered.clear();
    for await (const { id, record } of log.replay(1)) this.#remember(id, text(record));
    this.#log = log;
    this.#world.checker.opened(this.#tenure.epoch, new Map(this.#contents));
    for (const identity of this.#early.splice(0)) this.post(identity);
  }

  #remember(id: number, content: string): void {
    this.#contents.set(id, content);
    this.#idOf.set(content.split("|")[0] as string, id);
  }

  post(identity: string): void {
    const log = this.#log;
    if (log === undefined) {
      if (this.#opening) this.#early.push(identity);
      return;
    }
    const known = this.#idOf.get(identity);
    try {
      if (known === undefined) {
        const content = `${identity}|by ${this.#tenure.epoch}`;
        this.#remember(log.append(Buffer.from(content)), content);
      }
    } catch {
      this.#log = undefined; // lost
      return;
    }
    this.#unanswered.set(identity, this.#idOf.get(identity) as number);
    if (known !== undefined) log.settleAdopted().catch(() => {}); // onLost tells it
    this.#acknowledge(log.settled);
  }

  #acknowledge(through: number): void {
    this.#world.settled(through);
    for (const [identity, id] of this.#unanswered) {
      if (id > through) continue;
      this.#unanswered.delete(identity);
      this.#world.checker.acked(identity, id, this.#contents.get(id) as string, this.#tenure.epoch);
    }
  }

  async read(): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    const { checker, leaveOut } = this.#world;
    const mustShow = checker.highestAcked;
    try {
      await log.settleAdopted();
      if (leaveOut !== "verifyBeforeReads") await this.#node.fence.verify(this.#tenure);
    } catch {
      return; // lost: refused
    }
    checker.reads += 1;
    if (log.settled < mustShow) checker.broken(`a reader at owner ${this.#tenure.epoch} saw the past`);
  }

  async reopen(): Promise<void> {
    const log = this.#log;
    if (log === undefined || this.#opening) return;
    if (log.busy && this.#world.leaveOut !== "finishBatches") return;
    this.#log = undefined;
    this.#opening = true;
    log.close();
    try {
      await this.#open();
    } catch {
      this.#log = undefined; // lost
    }
    this.#opening = false;
  }
}
