// What a node writes in one turn of the event loop leaves together, several partitions in one request: the driver and the
// coordinator spend on a request what they spend on many rows.
//
// (W1) It is no transaction. At the replicas each partition is a mutation of its own, with timestamps of its own, that lands
//      or does not, early or late, whatever becomes of the others. Nobody here counts on more, and docs/fence.md needs no more.
// (W2) Together leaves what has the same member as its first replica. It is little, for a ring warns of large requests, and the
//      slowest of it is what all of it waits for.
// (W3) A request of several that fails is opened: each write leaves again, alone, and succeeds or fails for itself. A partition
//      without a quorum is nobody else's trouble.
// (W4) What somebody waits for leaves at once and alone while little is on its way: then its answer is worth more than a request.

import type { Clock } from "../../runtime/index.ts";
import type { StorageSettings } from "../settings.ts";
import type { Statement, Value, Write } from "./client.ts";
import type { Place } from "./preferred-members.ts";

type Limits = Pick<StorageSettings, "togetherAbove" | "togetherWritesMax" | "togetherBytesMax">;

export interface DeparturesParts {
  /** One statement, or an unlogged batch, to who has `place`. */
  send(statements: readonly Statement[], place: Place): Promise<unknown>;
  /** Both of these throw while the driver knows no ring: then that write fails, and no other. */
  placeOf(partition: readonly Value[]): Place;
  /** The member that a partition is asked of while all is well; undefined while nobody knows. */
  memberFor(place: Place): object | undefined;
  /** Requests that are on their way to the ring, this one among them. */
  inFlight(): number;
  readonly limits: Limits;
  readonly clock: Pick<Clock, "soon">;
}

interface Leaving {
  readonly place: Place;
  readonly statements: readonly Statement[];
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** What gathers for one member. */
interface Parcel {
  writes: Leaving[];
  bytes: number;
}

/** Of a statement beside its value: keys, lengths, a timestamp. A ring counts them, too. */
const STATEMENT_BYTES = 64;

export class Departures {
  readonly #parts: DeparturesParts;
  /** By member; of those for whom something gathers now, the list. */
  readonly #parcels = new WeakMap<object, Parcel>();
  #gathering: Parcel[] = [];
  /** Stands for the member that nobody knows. */
  readonly #anywhere = {};
  /** Writes that left with others: a counter. */
  together = 0;

  constructor(parts: DeparturesParts) {
    this.#parts = parts;
  }

  leave({ partition, statements, bytes, awaited = false }: Write): Promise<unknown> {
    const { limits, placeOf, memberFor, inFlight } = this.#parts;
    const size = bytes + statements.length * STATEMENT_BYTES;
    return new Promise((resolve, reject) => {
      const leaving = { place: placeOf(partition), statements, resolve, reject };
      if (size > limits.togetherBytesMax || (awaited && inFlight() <= limits.togetherAbove))
        return this.#sendAlone(leaving); // (W4)
      const parcel = this.#parcelFor(memberFor(leaving.place) ?? this.#anywhere);
      if (parcel.bytes + size > limits.togetherBytesMax) this.#send(parcel);
      parcel.writes.push(leaving);
      parcel.bytes += size;
      if (parcel.writes.length >= limits.togetherWritesMax) this.#send(parcel);
    });
  }

  #parcelFor(member: object): Parcel {
    let parcel = this.#parcels.get(member);
    if (parcel === undefined) {
      parcel = { writes: [], bytes: 0 };
      this.#parcels.set(member, parcel);
    }
    if (parcel.writes.length === 0) this.#gather(parcel);
    return parcel;
  }

  /** It leaves when this turn of the event loop has done its work, if it did not before. */
  #gather(parcel: Parcel): void {
    if (this.#gathering.length === 0) {
      this.#parts.clock.soon(() => {
        const gathered = this.#gathering;
        this.#gathering = [];
        for (const some of gathered) this.#send(some);
      });
    }
    this.#gathering.push(parcel);
  }

  #send(parcel: Parcel): void {
    const { writes } = parcel;
    parcel.writes = [];
    parcel.bytes = 0;
    const [first] = writes;
    if (first === undefined) return;
    if (writes.length === 1) return this.#sendAlone(first);
    this.together += writes.length;
    const statements = writes.flatMap((write) => write.statements);
    this.#parts.send(statements, first.place).then(
      (answer) => {
        for (const { resolve } of writes) resolve(answer);
      },
      () => {
        for (const write of writes) this.#sendAlone(write); // (W3)
      },
    );
  }

  #sendAlone({ place, statements, resolve, reject }: Leaving): void {
    this.#parts.send(statements, place).then(resolve, reject);
  }
}
