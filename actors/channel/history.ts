// From a page that is asked for to the ranges of the log that make it.

import { type History, HistoryDirection } from "../../proto/index.ts";
import type { LogRange } from "../../storage/index.ts";

export interface PageLimits {
  readonly historyPageMax: number;
  readonly historyPageDefault: number;
  readonly historyBytesMax: number;
}

/** One range, or two for a page around an id; none of them leaves what the reader may see. */
export function historyRange(
  { anchor, direction, limit }: History,
  firstVisibleId: number,
  lastId: number,
  limits: PageLimits,
): LogRange[] {
  const rows = Math.min(limit === 0 ? limits.historyPageDefault : limit, limits.historyPageMax);
  const range = (
    from: number,
    to: number,
    rowsMax: number,
    newestFirst: boolean,
    bytesMax = limits.historyBytesMax,
  ) => {
    const clipped = { from: Math.max(from, firstVisibleId), to: Math.min(to, lastId), rowsMax, bytesMax, newestFirst };
    return clipped.from <= clipped.to && rowsMax > 0 ? [clipped] : [];
  };
  switch (direction) {
    case HistoryDirection.BEFORE:
      return range(1, anchor === 0 ? lastId : anchor - 1, rows, true);
    case HistoryDirection.AFTER:
      return range(anchor + 1, lastId, rows, false);
    case HistoryDirection.AROUND: {
      const half = Math.ceil(rows / 2);
      const bytes = Math.ceil(limits.historyBytesMax / 2);
      return [...range(1, anchor, half, true, bytes), ...range(anchor + 1, lastId, rows - half, false, bytes)];
    }
    default:
      return [];
  }
}
