// Which gateway a client is to use: one of its region if there is one, not one that it could not reach, and of two taken by
// chance the one with more room. Two by chance and not the emptiest: a thousand who ask within the same second must not all be
// sent to the same one (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001).

import { type Random, randomBelow } from "../../runtime/index.ts";

export interface GatewayChoice {
  /** WebSocket address. */
  readonly url: string;
  readonly region: string;
  readonly sessions: number;
  readonly sessionsMax: number;
}

export interface Wish {
  /** Empty: anywhere. */
  readonly region: string;
  /** Addresses that did not answer of late. */
  readonly avoid: readonly string[];
}

/** Undefined when there is no gateway at all. Wishes are given up one by one before that. */
export function chooseGateway(
  gateways: readonly GatewayChoice[],
  { region, avoid }: Wish,
  random: Random,
): GatewayChoice | undefined {
  const fallingBack = [
    ({ url, region: its }: GatewayChoice) => !avoid.includes(url) && its === region,
    ({ url }: GatewayChoice) => !avoid.includes(url),
    () => true,
  ];
  for (const fits of fallingBack) {
    const fitting = gateways.filter(fits);
    const free = fitting.filter(({ sessions, sessionsMax }) => sessions < sessionsMax);
    const candidates = free.length > 0 ? free : fitting;
    const one = candidates[randomBelow(random, candidates.length)];
    const other = candidates[randomBelow(random, candidates.length)];
    if (one !== undefined && other !== undefined) return roomOf(one) >= roomOf(other) ? one : other;
  }
  return undefined;
}

function roomOf({ sessions, sessionsMax }: GatewayChoice): number {
  return sessionsMax === 0 ? 0 : 1 - sessions / sessionsMax;
}
