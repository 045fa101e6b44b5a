// The small values of the store. JSON, for operators read them there.

import type { Member, Role } from "../membership/port.ts";
import { clusterErrors } from "./errors.ts";

export interface ClusterValue {
  readonly shardCount: number;
  /** Tells apart two clusters that took the same name. */
  readonly clusterId: string;
}

export interface CoordinatorValue {
  /** Rises with each new coordinator. */
  readonly term: number;
  /** "": nobody, for the last one left. */
  readonly nodeId: string;
}

export function encodeValue(value: ClusterValue | CoordinatorValue | Member): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

export function decodeCluster(bytes: Uint8Array): ClusterValue {
  const { shardCount, clusterId } = parse(bytes) ?? {};
  if (Number.isSafeInteger(shardCount) && typeof clusterId === "string" && clusterId !== "")
    return { shardCount: shardCount as number, clusterId };
  throw clusterErrors.PLACEMENT_CORRUPT({ message: "the value `config` of the cluster cannot be read" });
}

/** Undefined if it cannot be read: then nobody leads, and the next one writes over it. */
export function decodeCoordinator(bytes: Uint8Array): CoordinatorValue | undefined {
  const { term, nodeId } = parse(bytes) ?? {};
  if (!Number.isSafeInteger(term) || typeof nodeId !== "string") return undefined;
  return { term: term as number, nodeId };
}

const roles: readonly string[] = ["actors", "gateway", "api", "push"] satisfies readonly Role[];

/** Undefined if it is none, or that of another node. */
export function decodeMember(nodeId: string, bytes: Uint8Array): Member | undefined {
  const told = parse(bytes);
  if (told === undefined || told.nodeId !== nodeId || !Array.isArray(told.roles)) return undefined;
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  const count = (value: unknown) => (typeof value === "number" && value >= 0 ? value : 0);
  return {
    nodeId,
    roles: told.roles.filter((role) => roles.includes(role)),
    version: text(told.version),
    region: text(told.region),
    status: told.status === "draining" ? "draining" : "up",
    wsUrl: text(told.wsUrl),
    httpUrl: text(told.httpUrl),
    sessions: count(told.sessions),
    sessionsMax: count(told.sessionsMax),
  };
}

/** A node id is `name#incarnation`. */
export function nameOf(nodeId: string): string {
  const mark = nodeId.lastIndexOf("#");
  return mark < 0 ? nodeId : nodeId.slice(0, mark);
}
