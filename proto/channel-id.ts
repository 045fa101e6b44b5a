// Names of channels: "g<group id>", or "d<lower user id>.<higher user id>" for the two of a 1:1, so that it needs no look-up
// and two people can never collide with two others.

const GROUP = /^g([1-9]\d{0,15})$/;
const DIRECT = /^d([1-9]\d{0,15})\.([1-9]\d{0,15})$/;

export type ChannelName =
  | { readonly kind: "group" }
  | { readonly kind: "direct"; readonly users: readonly [number, number] };

/** Undefined unless `id` is the one spelling of a channel's name. */
export function parseChannelId(id: string): ChannelName | undefined {
  const group = GROUP.exec(id);
  if (group !== null) return Number.isSafeInteger(Number(group[1])) ? { kind: "group" } : undefined;
  const found = DIRECT.exec(id);
  if (found === null) return undefined;
  const lower = Number(found[1]);
  const higher = Number(found[2]);
  if (!Number.isSafeInteger(lower) || !Number.isSafeInteger(higher) || lower > higher) return undefined;
  return { kind: "direct", users: [lower, higher] };
}

export function directChannelId(one: number, other: number): string {
  return one < other ? `d${one}.${other}` : `d${other}.${one}`;
}
