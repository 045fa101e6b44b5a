// Which member of the ring a request goes to.
//
// (M1) A replica of what is asked: it has the data itself.
// (M2) Of the replicas the one that this node prefers. What leaves together then shares packets and wake-ups, here, at that
//      member and between the members. Nodes prefer different ones: the members are a circle, and each node begins elsewhere.
// (M3) A replica that has far more without an answer than another is passed over: it is slow, or it is paused.

import {
  type Client,
  type EmptyCallback,
  type ExecutionOptions,
  type Host,
  type HostMap,
  policies,
  types,
} from "cassandra-driver";
import { hash32 } from "../../runtime/index.ts";

/** Where a partition lies on the ring: worked out once, and told to the driver with each request. */
export interface Place {
  readonly routingKey: Buffer;
  /** Of the ring's partitioner. The driver takes it in place of the key, which it need not hash again. */
  readonly token: object;
}

export class PreferredMembers extends policies.loadBalancing.DefaultLoadBalancingPolicy {
  readonly #name: string;
  readonly #inFlightMin: number;
  #client: Client | undefined;
  #hosts: HostMap | undefined;
  #circle: readonly Host[] | undefined;
  /** The driver has one list for all that lies on the same replicas, until the ring changes. */
  #preferred = new WeakMap<readonly Host[], readonly Host[]>();

  /**
   * @param name of this node: from it follows where its circle begins.
   * @param inFlightMin requests without an answer at a member below which it is never passed over.
   */
  constructor(name: string, inFlightMin: number) {
    super();
    this.#name = name;
    this.#inFlightMin = inFlightMin;
  }

  override init(client: Client, hosts: HostMap, callback: EmptyCallback): void {
    this.#client = client;
    this.#hosts = hosts;
    const changed = () => {
      this.#circle = undefined;
      this.#preferred = new WeakMap();
    };
    hosts.on("add", changed);
    hosts.on("remove", changed);
    super.init(client, hosts, callback);
  }

  override newQueryPlan(
    keyspace: string,
    options: ExecutionOptions | null,
    callback: (error: Error, plan: Iterator<Host>) => void,
  ): void {
    const token = tokenOf(options) ?? options?.getRoutingKey();
    const replicas = token ? this.#replicas(options?.getKeyspace() ?? keyspace, token) : undefined;
    const circle = this.#near();
    const plan = inOrder(firstOf(replicas ?? circle, this.#inFlightMin), replicas ?? [], circle);
    callback(null as unknown as Error, plan);
  }

  /** @param routingKey of the partition (routing-key.ts). Throws before the driver has connected. */
  place(routingKey: Buffer): Place {
    return { routingKey, token: (this.#client as Client).metadata.newToken(routingKey) };
  }

  /** The member that this partition is asked of while none is slow; undefined while nothing is known of the keyspace. */
  preferred(keyspace: string, { token }: Place): Host | undefined {
    return this.#replicas(keyspace, token)?.[0];
  }

  /** (M1) Undefined while nothing is known of the keyspace. */
  #replicas(keyspace: string, token: object): readonly Host[] | undefined {
    const told = this.#client?.getReplicas(keyspace, token as Buffer) as readonly Host[] | null | undefined;
    if (!told) return undefined;
    let preferred = this.#preferred.get(told);
    if (preferred === undefined) {
      preferred = this.#near().filter((host) => told.includes(host));
      this.#preferred.set(told, preferred);
    }
    return preferred;
  }

  /** (M2) All of this data centre, from where this node begins. */
  #near(): readonly Host[] {
    if (this.#circle === undefined) {
      const hosts = (this.#hosts?.values() ?? []).filter((host) => this.getDistance(host) === types.distance.local);
      hosts.sort((a, b) => (a.address < b.address ? -1 : 1));
      const begin = hash32(this.#name) % Math.max(1, hosts.length);
      this.#circle = [...hosts.slice(begin), ...hosts.slice(0, begin)];
    }
    return this.#circle;
  }
}

/** Of a request that was sent with its place. */
function tokenOf(options: ExecutionOptions | null): object | undefined {
  return (options?.getRawQueryOptions() as Partial<Place> | undefined)?.token;
}

/** The driver keeps it from its types. */
const inFlight = (host: Host): number => (host as unknown as { getInFlight(): number }).getInFlight();

/** (M3) Undefined: none is up. */
function firstOf(hosts: readonly Host[], inFlightMin: number): Host | undefined {
  let least = Number.POSITIVE_INFINITY;
  for (const host of hosts) if (host.isUp()) least = Math.min(least, inFlight(host));
  const most = Math.max(2 * least, inFlightMin);
  return hosts.find((host) => host.isUp() && inFlight(host) <= most);
}

/** For as long as one does not answer, or cannot be asked. */
function* inOrder(first: Host | undefined, replicas: readonly Host[], all: readonly Host[]): Generator<Host> {
  if (first !== undefined) yield first;
  for (const host of replicas) if (host !== first && host.isUp()) yield host;
  for (const host of all) if (host !== first && host.isUp() && !replicas.includes(host)) yield host;
}
