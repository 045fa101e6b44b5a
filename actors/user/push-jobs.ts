// Decides who has to be told by a push notification, and puts a job for it on the push queue. One for all users of a node.
//
// (P1) A job is made only after the pointer that it rests on was durable, and verified afterwards (FENCE 10). One for silent
//      devices names the newest message, whose own pointer may still be on its way: the channel has that unconfirmed, so if
//      this owner dies the next one is told of it again.
// (P2) With no session attached the job is made at once: what a channel has said since the pointer was last written is one
//      job, for the newest message. With sessions attached it is made when no device has acknowledged within pushAfterMs
//      of the delivery. What was read, or acknowledged by one device, needs none.
// (P3) An entry whose job is made at once is confirmed to its channel only when the queue has kept the job, or refused it. A
//      node that dies in between leaves the entry unconfirmed, so the channel tells the user's next activation again, and
//      that one makes the job again: at least once; the queue knows the second one by its id.
//      Not covered: sessions that are attached and silent while the node dies. Their entry was confirmed, so the person is
//      told with the channel's next message. A planned hand-off makes their jobs at once instead of forgetting them.
// (P4) The queue's trouble is not the chat's: a job that it refuses is counted, and delays a confirmation by no more than the
//      queue's own limit. It is made again pushAfterMs later, if the person has not heard by then: as if a device were silent.
//      Given up are jobs that clear, jobs beyond pushWatchedMax, and those of an owner that leaves while the queue refuses; the
//      next message says how many are unread.
//
// For whoever is attached and acknowledges, all of this is a comparison or two when the pointer is written.

import { type PushJob, PushJobKind } from "../../proto/index.ts";
import { type Clock, type Logger, toMadangError } from "../../runtime/index.ts";
import type { InboxOwner } from "./inbox-writer.ts";
import type { Pointer } from "./pointer.ts";

/** Where jobs go: the push queue. */
export interface PushPort {
  /** Resolves when the job is kept, and rejects within some ten seconds if it is not. */
  enqueue(job: PushJob): Promise<void>;
}

export interface PushJobsOptions {
  readonly queue: PushPort;
  readonly clock: Clock;
  readonly log: Logger;
  readonly pushAfterMs: number;
  readonly pushWatchedMax: number;
}

/** Counters since the start, but for `watched`, which says how it is now. */
export interface PushJobStats {
  readonly notify: number;
  readonly clear: number;
  /** Jobs that the queue refused: somebody is told later, or not. */
  readonly failed: number;
  /** Pointers that may need a job later: attached devices have not acknowledged yet, or the queue has refused the last one. */
  readonly watched: number;
}

interface Watched {
  readonly owner: InboxOwner;
  readonly pointer: Pointer;
}

/** How late a silent device may be noticed. */
const LOOK_EVERY_MS = 500;

/** There is something that no device has acknowledged, and no job was made for it. */
export function owes({ owedId, readId, deliveredId, left }: Pointer): boolean {
  return owedId > readId && owedId > deliveredId && !left;
}

export class PushJobs {
  readonly #options: PushJobsOptions;
  readonly #counts = { notify: 0, clear: 0, failed: 0 };
  readonly #underWay = new Set<Promise<void>>();
  #watched: Watched[] = [];
  #armed = false;
  #failing = false;

  constructor(options: PushJobsOptions) {
    this.#options = options;
  }

  get stats(): PushJobStats {
    return { ...this.#counts, watched: this.#watched.length };
  }

  /** A message that counts as unread was delivered; 0: none. */
  owe(pointer: Pointer, messageId: number, author: number): void {
    if (messageId <= pointer.owedId) return;
    if (!owes(pointer)) this.heard(pointer);
    pointer.owedId = messageId;
    pointer.owedAuthor = author;
  }

  /** Its devices have as long from now as from a delivery: one of them has just acknowledged, or read, a part. */
  heard(pointer: Pointer): void {
    pointer.owedSinceMs = this.#options.clock.monotonicMs();
  }

  /** The pointer is about to be written: it carries what is about to be pushed, so that a later owner knows what to clear. */
  foresee(owner: InboxOwner, pointer: Pointer): void {
    if (!owner.isAttached && owes(pointer)) pointer.pushedId = pointer.owedId;
  }

  /** A job is made as soon as the pointer is written. */
  waitsFor(owner: InboxOwner, pointer: Pointer): boolean {
    return (!owner.isAttached && owes(pointer)) || this.isToClear(pointer);
  }

  /** Something was pushed that is read by now. */
  isToClear(pointer: Pointer): boolean {
    return pointer.pushedId !== 0 && pointer.readId >= pointer.pushedId;
  }

  /**
   * The pointer is durable up to `writtenId`, and verified (P1). Gives what has to end before the entry is confirmed (P3), or
   * undefined.
   */
  decide(owner: InboxOwner, pointer: Pointer, writtenId: number): Promise<void> | undefined {
    const cleared = this.isToClear(pointer) ? this.#clear(owner, pointer) : undefined;
    if (!owes(pointer)) pointer.owedId = 0;
    else if (pointer.owedId > writtenId)
      return cleared; // it came meanwhile: its own write follows
    else if (owner.isAttached && this.#watched.length < this.#options.pushWatchedMax) this.#watch(owner, pointer);
    else return this.#notify(owner, pointer);
    return cleared;
  }

  /** The owner leaves its node and cannot wait for acknowledgements any more; whoever comes next is asked by the worker. */
  hurry(owner: InboxOwner, pointer: Pointer): void {
    if (!owes(pointer)) return;
    const asked = owner.context.verify().then(
      () => (owes(pointer) ? this.#notify(owner, pointer) : undefined),
      () => undefined, // the tenure is over: its next owner decides
    );
    this.#track(asked);
  }

  /** Resolves when the jobs that were made before are kept or refused. */
  async flush(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  // ---- jobs

  #notify(owner: InboxOwner, pointer: Pointer): Promise<void> {
    this.#counts.notify += 1;
    const { owedId: messageId, owedAuthor: author } = pointer;
    pointer.owedId = 0;
    pointer.pushedId = messageId;
    return this.#enqueue(owner, pointer.channelId, messageId, PushJobKind.NOTIFY, author, () => {
      if (this.#watched.length >= this.#options.pushWatchedMax) return;
      this.owe(pointer, messageId, author); // unless a newer one is owed by now
      this.#watch(owner, pointer);
    });
  }

  #clear(owner: InboxOwner, pointer: Pointer): Promise<void> {
    this.#counts.clear += 1;
    pointer.pushedId = 0;
    return this.#enqueue(owner, pointer.channelId, pointer.readId, PushJobKind.CLEAR, 0, () => undefined);
  }

  #enqueue(
    { userId }: InboxOwner,
    channelId: string,
    messageId: number,
    kind: PushJobKind,
    author: number,
    onRefused: () => void,
  ): Promise<void> {
    const { queue, clock } = this.#options;
    const timeMs = clock.wallMs();
    return this.#track(
      queue.enqueue({ userId, channelId, messageId, kind, author, timeMs, deviceId: 0, notBeforeMs: 0 }).then(
        () => {
          this.#failing = false;
        },
        (error) => {
          this.#failed(error);
          onRefused(); // (P4)
        },
      ),
    );
  }

  #failed(error: unknown): void {
    this.#counts.failed += 1;
    if (this.#failing) return; // said once, counted each time
    this.#failing = true;
    this.#options.log.warn({ error: toMadangError(error) }, "a push job was refused by its queue");
  }

  #track(work: Promise<void>): Promise<void> {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
    return work;
  }

  // ---- devices that are silent

  #watch(owner: InboxOwner, pointer: Pointer): void {
    if (pointer.watched) return;
    pointer.watched = true;
    this.#watched.push({ owner, pointer });
    this.#arm();
  }

  #arm(): void {
    if (this.#armed || this.#watched.length === 0) return;
    this.#armed = true;
    this.#options.clock.after(LOOK_EVERY_MS, () => {
      this.#armed = false;
      this.#look();
      this.#arm();
    });
  }

  #look(): void {
    const { clock, pushAfterMs } = this.#options;
    const owedBeforeMs = clock.monotonicMs() - pushAfterMs;
    const silent: Watched[] = [];
    this.#watched = this.#watched.filter((watched) => {
      const { pointer } = watched;
      const isOwed = owes(pointer);
      if (isOwed && pointer.owedSinceMs > owedBeforeMs) return true;
      pointer.watched = false;
      if (isOwed) silent.push(watched);
      return false;
    });
    if (silent.length > 0) this.#track(this.#tellOf(silent));
  }

  /** The verify of the pointer is seconds old: one more, for whoever has lost the shard knows no acknowledgement (P1). */
  async #tellOf(silent: readonly Watched[]): Promise<void> {
    await Promise.all(
      silent.map(async ({ owner, pointer }) => {
        try {
          await owner.context.verify();
        } catch {
          return; // the tenure is over: its next owner decides
        }
        if (!owes(pointer)) return;
        const isTold = pointer.pushedId === pointer.owedId; // and refused: its pointer says so already
        const kept = this.#notify(owner, pointer);
        if (!isTold) owner.pushed(pointer);
        await kept;
      }),
    );
  }
}
