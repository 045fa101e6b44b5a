// What a scenario finds: engines that answer, a name that nobody else uses, and how often to measure.

export interface World {
  /** NATS_URL, CONSUL_HTTP_ADDR, CQL_CONTACT_POINTS, DATABASE_URL. */
  readonly environment: Readonly<Record<string, string>>;
  /** Can stand in subjects, keys and the names of keyspaces; another one for each scenario. */
  readonly name: string;
  /** Runs of what is measured, each beside one of its baseline. */
  readonly pairs: number;
  /** Of the warm-up that a measurement wants: 1, or less for a quick look. */
  readonly warmUpShare: number;
  /** Runs `task` while the ring keeps off the core of what is measured: else its caches are the ring's, and its CPU is noise. */
  withRingAside<T>(task: () => Promise<T>): Promise<T>;
}
