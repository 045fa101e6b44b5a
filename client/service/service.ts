// An internal service of a cluster: a program that is no node, calls actors, and follows channels. It has an id of its own for
// each of its lives; any node takes its calls, looks whether its name may make them, and passes them to the owner.

import {
  Batch,
  ChannelService,
  FollowerService,
  type Presence,
  PresenceService,
  type ServiceDescriptor,
  SettledNotice,
} from "../../proto/index.ts";
import { type Clock, type Random, randomProducer, systemClock, systemRandom } from "../ports.ts";
import { type CallOptions, Calls, PROTOCOL } from "./calls.ts";
import { type Channel, createChannel } from "./channel.ts";
import { serviceError } from "./errors.ts";
import { type Follow, Following, type OnEntries } from "./follow.ts";
import { connectByNats, type NatsAccess } from "./nats.ts";
import { Pieces } from "./pieces.ts";
import type { Connect, Connection, ConnectionEvents } from "./port.ts";
import { createReference, type Reference } from "./reference.ts";
import { type ServiceSettings, serviceDefaults } from "./settings.ts";

export interface ServiceOptions extends NatsAccess {
  /** As the nodes' settings name the cluster. */
  readonly cluster: string;
  /** As `MADANG_RUNTIME_SERVICES_ALLOWED` of the nodes and the permissions of NATS name the service: 1 to 50 of A–Z a–z 0–9 _ ~ - */
  readonly name: string;
  readonly settings?: Partial<ServiceSettings>;
  /** Told of what the service goes on from by itself; for logs. */
  readonly onProblem?: (problem: { readonly what: string; readonly error: unknown }) => void;
}

export interface Service {
  /** `svc-<name>#<incarnation>`, new for each life. */
  readonly id: string;
  /** Calls that are made while there is no connection wait for it, as long as their deadline allows. */
  readonly connected: boolean;
  channel(id: string): Channel;
  presence(userId: number): { ask(options?: CallOptions): Promise<Presence> };
  /** Any actor, by the service of actor.proto that describes it: `service.actor(UserService, "7").inbox(…)`. */
  actor<S extends ServiceDescriptor>(service: S, id: string): Reference<S>;
  /** Stops following; calls that wait end with CLOSED. */
  close(): Promise<void>;
}

/** Rejects with NATS_UNREACHABLE or NATS_REFUSED, and says which subject is not permitted. */
export function createService(options: ServiceOptions): Promise<Service> {
  const settings = { ...serviceDefaults, ...options.settings };
  return openService(options, { connect: connectByNats(options, settings), clock: systemClock, random: systemRandom });
}

export interface ServicePorts {
  readonly connect: Connect;
  readonly clock: Clock;
  readonly random: Random;
}

type OpenOptions = Pick<ServiceOptions, "cluster" | "name" | "settings" | "onProblem">;

/** Both stand in subjects. The nodes hold theirs to the same. */
const CLUSTER = /^[A-Za-z0-9_-]{1,64}$/;
const NAME = /^[A-Za-z0-9_~-]{1,50}$/;

export async function openService(options: OpenOptions, { connect, clock, random }: ServicePorts): Promise<Service> {
  const { cluster, name, onProblem = () => undefined } = options;
  const settings = { ...serviceDefaults, ...options.settings };
  if (!CLUSTER.test(cluster) || !NAME.test(name)) throw serviceError("BAD_NAME");
  const incarnation = randomProducer(random).toString(36);
  const id = `svc-${name}#${incarnation}`;
  const connection = await connect({ cluster, name, incarnation });
  const calls = new Calls({ id, connection, clock, random, settings });
  const service = new OpenService({ id, connection, calls, clock, random, settings, onProblem });
  connection.open(service);
  return service;
}

interface Parts {
  readonly id: string;
  readonly connection: Connection;
  readonly calls: Calls;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: ServiceSettings;
  readonly onProblem: NonNullable<ServiceOptions["onProblem"]>;
}

class OpenService implements Service, ConnectionEvents {
  readonly #parts: Parts;
  readonly #pieces: Pieces;
  readonly #follows = new Map<string, Set<Following>>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#pieces = new Pieces(parts.settings.piecesBytesMax);
  }

  get id(): string {
    return this.#parts.id;
  }

  get connected(): boolean {
    return this.#parts.connection.connected;
  }

  // ---- calls

  actor<S extends ServiceDescriptor>(service: S, id: string): Reference<S> {
    return createReference(this.#parts.calls, service, id);
  }

  channel(id: string): Channel {
    return createChannel(this.#parts.calls, id, (afterId, onEntries) => this.#follow(id, afterId, onEntries));
  }

  presence(userId: number): ReturnType<Service["presence"]> {
    const presence = this.actor(PresenceService, String(userId));
    return {
      async ask(options = {}) {
        const { presence: answer } = await presence.ask({ askerId: 0 }, options);
        if (!answer) throw serviceError("BAD_REPLY");
        return answer;
      },
    };
  }

  #follow(channelId: string, afterId: number, onEntries: OnEntries): Follow {
    const { calls, clock, random, settings, id } = this.#parts;
    const channel = createReference(calls, ChannelService, channelId);
    const together = this.#follows.get(channelId) ?? new Set();
    this.#follows.set(channelId, together);
    const onEnded = () => {
      together.delete(following);
      if (together.size > 0) return;
      this.#follows.delete(channelId);
      channel.unfollow({ follower: id });
    };
    const options = { channel, channelId, follower: id, afterId, onEntries, clock, random, settings, onEnded };
    const following = new Following(options);
    together.add(following);
    return following;
  }

  // ---- what comes from the nodes

  onBatch(from: string, lane: string, bytes: Uint8Array): void {
    try {
      let batch = Batch.decode(bytes);
      if (batch.protocol !== PROTOCOL) return;
      if (batch.piece.byteLength > 0) {
        const whole = this.#pieces.add(`${from}/${lane}`, batch);
        if (whole.byteLength === 0) return;
        batch = Batch.decode(whole);
      }
      for (const { reply, call } of batch.envelopes) {
        if (reply) this.#parts.calls.receive(reply);
        else if (call?.service === FollowerService.name && call.method === FollowerService.methods.settled.name) {
          this.#settled(SettledNotice.decode(call.payload));
        }
      }
    } catch (error) {
      this.#parts.onProblem({ what: "what a node sent could not be read", error });
    }
  }

  /** Notices of channels that nobody here follows any more are late; those of others were never asked for. */
  #settled(notice: SettledNotice): void {
    for (const following of this.#follows.get(notice.channelId) ?? []) following.settled(notice);
  }

  onNotDelivered(number: number): void {
    this.#parts.calls.notDelivered(number);
  }

  onConnected(connected: boolean): void {
    this.#pieces.clear();
    if (!connected) return;
    this.#parts.calls.reconnected();
    for (const together of this.#follows.values()) for (const following of together) following.reconnected();
  }

  onProblem(error: unknown): void {
    this.#parts.onProblem({ what: "the connection reports an error", error });
  }

  async close(): Promise<void> {
    const following = [...this.#follows.values()].flatMap((together) => [...together]);
    const stopped = following.map((follow) => follow.stop());
    this.#parts.calls.close();
    await Promise.allSettled(stopped);
    await this.#parts.connection.close();
  }
}
