// What a measurement comes to: paired runs, medians, and the rows of the table.

export interface Result {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline: string;
  readonly baselineValue: number | null;
  readonly ratio: number | null;
  /** Of the ratio, or of the value where there is none: lowest and highest of the runs. */
  readonly spread: readonly [number, number] | null;
  readonly goal: string;
  readonly ok: boolean | null;
  readonly notMeasured: string;
}

export interface Goal {
  readonly text: string;
  readonly isMet: (result: { readonly value: number; readonly ratio: number | null }) => boolean;
}

export const goals = {
  ratioAtMost: (limit: number): Goal => ({
    text: `≤ ${limit} × baseline`,
    isMet: ({ ratio }) => ratio !== null && ratio <= limit,
  }),
  ratioAtLeast: (limit: number): Goal => ({
    text: `≥ ${limit} × baseline`,
    isMet: ({ ratio }) => ratio !== null && ratio >= limit,
  }),
  atMost: (limit: number, unit: string): Goal => ({ text: `≤ ${limit} ${unit}`, isMet: ({ value }) => value <= limit }),
  atLeast: (limit: number, unit: string): Goal => ({
    text: `≥ ${limit.toLocaleString("en")} ${unit}`,
    isMet: ({ value }) => value >= limit,
  }),
};

export interface Measurement {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
  readonly baseline?: { readonly name: string; readonly values: readonly number[] };
  readonly goal?: Goal;
  readonly notMeasured?: string;
}

/** Medians; the ratio is the median of the ratios of the pairs. */
export function resultOf({ name, unit, values, baseline, goal, notMeasured = "" }: Measurement): Result {
  const value = median(values);
  const ratios = baseline?.values.map((base, at) => (values[at] ?? value) / base) ?? [];
  const ratio = baseline === undefined ? null : median(ratios);
  const spreadOf = baseline === undefined ? values : ratios;
  return {
    name,
    value: rounded(value),
    unit,
    baseline: baseline?.name ?? "",
    baselineValue: baseline === undefined ? null : rounded(median(baseline.values)),
    ratio: ratio === null ? null : rounded(ratio),
    spread: spreadOf.length < 2 ? null : [rounded(Math.min(...spreadOf)), rounded(Math.max(...spreadOf))],
    goal: goal?.text ?? "",
    ok: goal === undefined ? null : goal.isMet({ value, ratio }),
    notMeasured,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Three digits that mean something. */
function rounded(value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(3));
}

/** A B B A, `pairs` times: drift of the machine falls on both. */
export async function interleaved<T>(
  pairs: number,
  a: () => Promise<T>,
  b: () => Promise<T>,
): Promise<{ readonly a: T[]; readonly b: T[] }> {
  const ran = { a: [] as T[], b: [] as T[] };
  for (let pair = 0; pair < pairs; pair++) {
    const order = pair % 2 === 0 ? (["a", "b"] as const) : (["b", "a"] as const);
    for (const which of order) ran[which].push(await (which === "a" ? a() : b()));
  }
  return ran;
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
