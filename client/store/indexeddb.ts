// A store in the browser's database. One client at a time: two tabs need two names.

import { clientError } from "../errors.ts";
import type { ClientStore } from "./port.ts";

const RECORDS = "records";

/** `name` is the name of the database; `factory` stands in for the browser's own in tests. */
export async function createIndexedDbStore(name: string, factory: IDBFactory = indexedDB): Promise<ClientStore> {
  const opening = factory.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(RECORDS);
  const database = await outcome(opening);
  return {
    async load() {
      const records = database.transaction(RECORDS, "readonly").objectStore(RECORDS);
      const [keys, values] = await Promise.all([outcome(records.getAllKeys()), outcome(records.getAll())]);
      return new Map(keys.map((key, at) => [String(key), values[at] as Uint8Array]));
    },
    write(changes) {
      return new Promise((resolve, reject) => {
        // Strict: complete is told after the data has reached the disk (D2).
        const transaction = database.transaction(RECORDS, "readwrite", { durability: "strict" });
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(clientError("STORE_FAILED", { cause: transaction.error }));
        const records = transaction.objectStore(RECORDS);
        for (const { key, value } of changes) {
          if (value === undefined) records.delete(key);
          else records.put(value, key);
        }
      });
    },
    async close() {
      database.close();
    },
  };
}

function outcome<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(clientError("STORE_FAILED", { cause: request.error }));
  });
}
