// Time, as a port. This file and random.ts are the only ones that touch the process's own clock and dice; everything else
// is handed a Clock, and so a simulator can run it.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds that never jump; only differences mean something. For deadlines, leases, beats. */
  monotonicMs(): number;
  /** Milliseconds since 1970 by the wall. Written down for people; never an order, never a lease. */
  wallMs(): number;
  /** Runs `task` once after `delayMs`. Does not keep the process alive. */
  after(delayMs: number, task: () => void): Timer;
  /** Runs `task` when this turn of the event loop has done its work. */
  soon(task: () => void): void;
  /** Runs `task` when what runs now, and all promises that it settles, have done their work: before anything else that is ready. */
  next(task: () => void): void;
}

class SystemTimer implements Timer {
  readonly #handle: ReturnType<typeof setTimeout>;

  constructor(handle: ReturnType<typeof setTimeout>) {
    this.#handle = handle;
    handle.unref?.();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, task) {
    return new SystemTimer(setTimeout(task, delayMs));
  },
  soon: (task) => void setImmediate(task),
  next: (task) => process.nextTick(task),
};

/** Resolves after `delayMs` of `clock`. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}
