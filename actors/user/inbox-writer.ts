// Writes the pointers of all users of a node together: what changes within a window is one write a pointer, one commit for
// all, one verify a shard, and one confirmation a channel. Nobody waits for most pointers, so their window is long; it is shorter
// for one that a push job waits for, and short for a watermark that is to be told to others. A long window has parts, each with an
// end of its own, and a channel is in one of them: all pointers of some seconds at once would hold up the messages that come meanwhile.
//
// (W1) A pointer is confirmed to its channel only after it was durable and verified afterwards, and only if this activation
//      has given it its version.
//      A push job that the entry needs is kept before that, too (push-jobs.ts).
// (W2) What could not be written stays dirty and is tried again; the channel's wake row covers the time between.

import type { ChannelService } from "../../proto/index.ts";
import {
  type ActorContext,
  type Clock,
  hash32,
  type Logger,
  type References,
  toMadangError,
} from "../../runtime/index.ts";
import type { RegisterStore, RegisterWrite } from "../../storage/index.ts";
import { Dirty, type Pointer, pointerWrites } from "./pointer.ts";
import type { PushJobs } from "./push-jobs.ts";

export interface InboxWriterOptions {
  readonly clock: Clock;
  readonly registers: RegisterStore;
  readonly channels: References<typeof ChannelService>;
  readonly pointerFlushMs: number;
  readonly pushFlushMs: number;
  readonly watermarkFlushMs: number;
  readonly log: Logger;
  /** Absent where nobody is told by push notifications. */
  readonly pushJobs: PushJobs | undefined;
}

/** Whose pointer it is. */
export interface InboxOwner {
  readonly userId: number;
  readonly context: ActorContext;
  /** The tenure is over: nothing may be confirmed any more. */
  readonly isLost: boolean;
  /** Some session is attached. */
  readonly isAttached: boolean;
  /** Watermarks have moved: the other members of the channel want to know. */
  receipt(pointer: Pointer): void;
  /** A push job was made for this pointer, some time after it was written. */
  pushed(pointer: Pointer): void;
}

interface Row {
  readonly owner: InboxOwner;
  readonly pointer: Pointer;
}

/** It ends again and again, for each of its parts at a time of its own: at fixed times, or those who write at once would do so for ever. */
interface Window {
  readonly forMs: number;
  /** What was marked since the last end of each part. */
  readonly parts: Row[][];
}

/** Of a long window. */
const PART_MS = 100;

interface Written extends Row {
  readonly dirty: number;
  readonly lastId: number;
}

export class InboxWriter {
  readonly #options: InboxWriterOptions;
  /** A row may lie in several: whichever window ends first takes all that is dirty. */
  readonly #later: Window;
  readonly #forPush: Window;
  readonly #soon: Window;
  #flushing: Promise<void> = Promise.resolve();
  /** Behind the write that is under way. */
  #due: (readonly Row[])[] = [];
  /** The write of a window that is under way. */
  #running: Promise<void> = Promise.resolve();
  #leaving: Row[] = [];
  #departure: Promise<void> | undefined;

  constructor(options: InboxWriterOptions) {
    this.#options = options;
    this.#later = newWindow(options.pointerFlushMs, Math.ceil(options.pointerFlushMs / PART_MS));
    this.#forPush = newWindow(options.pushFlushMs, Math.ceil(options.pushFlushMs / PART_MS));
    this.#soon = newWindow(options.watermarkFlushMs, 1);
  }

  /** Pointers that wait to be written. */
  get waiting(): number {
    return waitingIn(this.#later) + waitingIn(this.#forPush) + waitingIn(this.#soon);
  }

  /** `what` has changed; or who is attached has, and the pointer is dirty. */
  mark(owner: InboxOwner, pointer: Pointer, what: number): void {
    const before = pointer.dirty;
    pointer.dirty |= this.#options.pushJobs?.waitsFor(owner, pointer) ? what | Dirty.PUSH : what;
    const risen = pointer.dirty & ~before;
    if (risen & Dirty.TELL) this.#add(this.#soon, { owner, pointer });
    else if (risen & Dirty.PUSH) this.#add(this.#forPush, { owner, pointer });
    else if (before === 0) this.#add(this.#later, { owner, pointer });
  }

  #add(window: Window, row: Row): void {
    const { clock } = this.#options;
    const { forMs, parts } = window;
    const at = hash32(row.pointer.channelId) % parts.length;
    const rows = parts[at] as Row[];
    rows.push(row);
    if (rows.length > 1) return;
    const endMs = ((at + 1) * forMs) / parts.length;
    clock.after(forMs - ((clock.monotonicMs() - endMs + forMs) % forMs), () => void this.#then(take(window, at)));
  }

  /** Resolves when everything that was marked before is written and confirmed, or is known to have failed. */
  flush(): Promise<void> {
    return this.#then([...takeAll(this.#soon), ...takeAll(this.#forPush), ...takeAll(this.#later)]);
  }

  #then(rows: readonly Row[]): Promise<void> {
    this.#due.push(rows);
    this.#flushing = this.#flushing.then(() => {
      const due = this.#due.flat(); // those that have come due meanwhile, too, and whose own turn finds nothing
      this.#due = [];
      this.#running = this.#write(due);
      return this.#running;
    });
    return this.#flushing;
  }

  /**
   * For a user that leaves memory: its own pointers are written now, whatever the others of the node have to write. Resolves when
   * they, and those of them that were on their way, are written and confirmed, or are known to have failed.
   */
  async leave(owner: InboxOwner, pointers: readonly Pointer[]): Promise<void> {
    const underWay = pointers.some(({ writing }) => writing) ? this.#running : undefined;
    const dirty = pointers.filter((pointer) => pointer.dirty !== 0);
    for (const pointer of dirty) this.#leaving.push({ owner, pointer });
    if (dirty.length > 0) this.#departure ??= this.#depart();
    await Promise.all([underWay, dirty.length > 0 ? this.#departure : undefined]);
  }

  /** Those of a shard leave in one turn. */
  async #depart(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#options.clock.soon(resolve);
    });
    const rows = this.#leaving;
    this.#leaving = [];
    this.#departure = undefined;
    await this.#write(rows);
  }

  async #write(marked: readonly Row[]): Promise<void> {
    const rows = marked.filter(({ owner, pointer }) => pointer.dirty !== 0 && !owner.isLost);
    if (rows.length === 0) return;
    const writes: RegisterWrite[] = [];
    const written: Written[] = [];
    for (const { owner, pointer } of rows) {
      if (pointer.dirty === 0) continue; // it was in several windows
      this.#options.pushJobs?.foresee(owner, pointer);
      for (const write of pointerWrites(owner.context.id, pointer)) writes.push(write);
      written.push({ owner, pointer, dirty: pointer.dirty, lastId: pointer.lastId });
      pointer.dirty = 0;
      pointer.writing = true;
    }
    try {
      await this.#options.registers.write(writes);
    } catch (error) {
      for (const { pointer } of written) pointer.writing = false;
      this.#options.log.warn(
        { error: toMadangError(error), pointers: written.length },
        "pointers could not be written",
      );
      for (const { owner, pointer, dirty } of written) this.mark(owner, pointer, dirty); // (W2)
      return;
    }
    for (const { owner, pointer, dirty } of written) if (dirty & Dirty.TELL) owner.receipt(pointer);
    const { pushJobs } = this.#options;
    await this.#confirm(
      written.filter(({ dirty, pointer }) => dirty & Dirty.POINTER && (pointer.ours || pushJobs?.isToClear(pointer))),
    );
    for (const { pointer } of written) pointer.writing = false;
  }

  /** (W1) */
  async #confirm(written: readonly Written[]): Promise<void> {
    const verifies = new Map<number, Promise<boolean>>();
    for (const { owner } of written) {
      if (verifies.has(owner.context.shard)) continue;
      const verify = owner.context.verify().then(
        () => true,
        () => false,
      );
      verifies.set(owner.context.shard, verify);
    }
    const verified = new Map<number, boolean>();
    for (const [shard, verify] of verifies) verified.set(shard, await verify);
    const ready: Written[] = [];
    const late: Written[] = [];
    const jobs: Promise<void>[] = [];
    for (const row of written) {
      if (row.owner.isLost || !verified.get(row.owner.context.shard)) continue;
      const job = this.#options.pushJobs?.decide(row.owner, row.pointer, row.lastId);
      if (job !== undefined) jobs.push(job);
      if (row.pointer.ours) (job === undefined ? ready : late).push(row);
    }
    this.#tell(ready);
    // Other pointers are written meanwhile.
    if (late.length > 0) void Promise.all(jobs).then(() => this.#tell(late.filter(({ owner }) => !owner.isLost)));
  }

  #tell(rows: readonly Written[]): void {
    const byChannel = new Map<string, { userIds: number[]; throughIds: number[] }>();
    for (const { owner, pointer, lastId } of rows) {
      let notice = byChannel.get(pointer.channelId);
      if (notice === undefined) {
        notice = { userIds: [], throughIds: [] };
        byChannel.set(pointer.channelId, notice);
      }
      notice.userIds.push(owner.userId);
      notice.throughIds.push(lastId);
    }
    for (const [channelId, notice] of byChannel) this.#options.channels(channelId).confirm(notice);
  }
}

function newWindow(forMs: number, parts: number): Window {
  return { forMs: Math.max(1, forMs), parts: Array.from({ length: Math.max(1, parts) }, () => []) };
}

function waitingIn({ parts }: Window): number {
  let rows = 0;
  for (const part of parts) rows += part.length;
  return rows;
}

function take({ parts }: Window, at: number): Row[] {
  const rows = parts[at] as Row[];
  parts[at] = [];
  return rows;
}

/** The ends of its parts find nothing, or what came since. */
function takeAll(window: Window): Row[] {
  return window.parts.flatMap((_, at) => take(window, at));
}
