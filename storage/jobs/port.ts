// Jobs: rows that are kept until they are done with. What a queue of one node is built upon; a cluster has a queue of its own
// for them, outside of the stores.

export interface JobRow {
  /** Given by the caller, rising: the order of the jobs. In [1, 2^53). */
  readonly number: number;
  readonly value: Uint8Array;
}

export interface JobStore {
  /** All jobs of a queue, by number ascending. */
  list(queue: string): Promise<JobRow[]>;
  /** Resolves when the job is durable. */
  put(queue: string, job: JobRow): Promise<void>;
  /** Resolves when it is durable that the job is gone. */
  remove(queue: string, number: number): Promise<void>;
}
