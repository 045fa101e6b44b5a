// Registers on the ring: a cell each, with the register's own timestamp as that of the write. The store keeps the highest
// by itself, and at equal ones the larger value, so nothing is read before it is written and late writers are harmless.
//
// (R1) A write that was answered is on a quorum. One of unknown outcome is sent again, the same bytes; then the caller is
//      told UNAVAILABLE, and it may be kept all the same.
// (R2) Rows have no marker and are never deleted: a row is its cell.

import type { types } from "cassandra-driver";
import type { Register, RegisterFamily, RegisterStore, RegisterWrite } from "../registers/port.ts";
import { type Attempts, attempt } from "./attempts.ts";
import {
  bigint,
  blob,
  type CqlClient,
  nothingWritten,
  type Paging,
  type Statement,
  type Write,
  type Written,
} from "./client.ts";

const updateOf = (family: RegisterFamily) =>
  `UPDATE ${family} USING TIMESTAMP ? SET value = ? WHERE owner = ? AND name = ?`;
const selectOf = (family: RegisterFamily) =>
  `SELECT name, value, WRITETIME(value) AS written FROM ${family} WHERE owner = ?`;

const updates = { head: updateOf("head"), inbox: updateOf("inbox"), presence: updateOf("presence") };
const selects = { head: selectOf("head"), inbox: selectOf("inbox"), presence: selectOf("presence") };

export const registerStatements = [...Object.values(updates), ...Object.values(selects)];

interface StoredRegister {
  readonly name: string;
  readonly value: Buffer;
  readonly written: bigint;
}

/** Registers of one owner and family. */
interface Parcel extends Write {
  readonly statements: Statement[];
  bytes: number;
}

export interface CqlRegisterStore extends RegisterStore {
  readonly written: Readonly<Written>;
}

export function createCqlRegisters(client: Pick<CqlClient, "read" | "write">, attempts: Attempts): CqlRegisterStore {
  const { settings } = attempts;
  const written = nothingWritten();
  const paging: Paging = {
    rowsFirst: settings.pageRowsMax,
    bytesOf: (row) => (row as unknown as StoredRegister).value.byteLength,
  };

  return {
    written,
    async read(family, owner) {
      const rows = await attempt(attempts, "read", () =>
        client.read({ query: selects[family], params: [owner] }, paging),
      );
      return rows.map(registerOf);
    },
    async write(writes) {
      const parcels = parcelsOf(writes, settings.batchRowsMax, settings.batchBytesMax);
      let next = 0;
      let failed = false;
      const sender = async () => {
        while (next < parcels.length && !failed) {
          const parcel = parcels[next++] as Parcel;
          try {
            await attempt(attempts, "write", () => client.write(parcel, written));
          } catch (error) {
            failed = true; // the caller comes back with all of it: what has not left need not leave now
            throw error;
          }
        }
      };
      const senders = Math.min(parcels.length, settings.registerWritesMax);
      await Promise.all(Array.from({ length: senders }, sender));
    },
  };
}

function parcelsOf(writes: readonly RegisterWrite[], rowsMax: number, bytesMax: number): Parcel[] {
  const parcels: Parcel[] = [];
  const open = new Map<string, Parcel>();
  for (const { family, owner, name, timestamp, value } of writes) {
    const ofOwner = `${family}\0${owner}`;
    let parcel = open.get(ofOwner);
    if (parcel === undefined || parcel.statements.length >= rowsMax || parcel.bytes + value.byteLength > bytesMax) {
      parcel = { partition: [owner], statements: [], bytes: 0 };
      open.set(ofOwner, parcel);
      parcels.push(parcel);
    }
    parcel.statements.push({ query: updates[family], params: [bigint(timestamp), blob(value), owner, name] });
    parcel.bytes += value.byteLength;
  }
  return parcels;
}

function registerOf(row: types.Row): Register {
  const { name, value, written } = row as unknown as StoredRegister;
  return { name, value, timestamp: Number(written) };
}
