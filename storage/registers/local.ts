// Registers where one process has the data: compared before they are put.
//
// (R1) A write is put only if it beats what is kept and what waits to be kept. Rows are kept in the order in which they
//      were put, so a register never goes down, not even between two commits.

import { nameBytes, numberFrom, putNumber } from "../kv/numbers.ts";
import type { KeyValue } from "../kv/port.ts";
import type { Register, RegisterFamily, RegisterStore, RegisterWrite } from "./port.ts";

const TIMESTAMP_BYTES = 8;

export function createLocalRegisters(keyValue: KeyValue): RegisterStore {
  /** The highest write of each register that is not kept yet; bounded by what the key-value store lets wait. */
  const pending = new Map<string, Pending>();

  const put = (write: RegisterWrite, whenKept: () => void): boolean => {
    const name = `${write.family}\0${write.owner}\0${write.name}`;
    const cluster = nameBytes(write.name);
    const waiting = pending.get(name);
    const value = encode(write);
    const before = waiting?.value ?? keyValue.get(write.family, write.owner, cluster);
    if (before !== undefined && Buffer.compare(value, before) <= 0) {
      // Whoever loses to a write in flight is answered when that one is kept: until then nothing is known to be durable.
      waiting?.followers.push(whenKept);
      return waiting !== undefined;
    }
    const mine: Pending = { value, followers: [whenKept] };
    keyValue.put({
      table: write.family,
      partition: write.owner,
      cluster,
      value,
      keeper: {
        kept() {
          if (pending.get(name) === mine) pending.delete(name);
          for (const follower of mine.followers) follower();
        },
      },
    });
    pending.set(name, mine);
    return true;
  };

  return {
    async read(family: RegisterFamily, owner: string) {
      return keyValue.range(family, owner, {}).map(decode);
    },
    write(writes) {
      return new Promise((resolve) => {
        let missing = 1;
        const kept = () => {
          missing -= 1;
          if (missing === 0) resolve();
        };
        for (const write of writes) if (put(write, kept)) missing += 1;
        kept();
      });
    },
  };
}

interface Pending {
  readonly value: Uint8Array;
  readonly followers: (() => void)[];
}

/** The timestamp first, so that comparing bytes compares timestamps and then values. */
function encode({ timestamp, value }: Register): Uint8Array {
  const bytes = new Uint8Array(TIMESTAMP_BYTES + value.byteLength);
  putNumber(bytes, timestamp);
  bytes.set(value, TIMESTAMP_BYTES);
  return bytes;
}

function decode(row: { readonly cluster: Uint8Array; readonly value: Uint8Array }): Register {
  return {
    name: Buffer.from(row.cluster).toString(),
    timestamp: numberFrom(row.value),
    value: row.value.subarray(TIMESTAMP_BYTES),
  };
}
