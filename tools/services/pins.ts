// Where the pinned versions lie: in the sources, also for the compiled program.

import { fileURLToPath } from "node:url";

const sources = import.meta.url.endsWith(".js") ? "../../../tools/services/" : "./";

export function pinFile(path: string): string {
  return fileURLToPath(new URL(sources + path, import.meta.url));
}
