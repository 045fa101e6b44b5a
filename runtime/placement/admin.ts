// The cluster as an operator sees it from outside, and the orders that are given to its nodes.

import type { Order } from "../../proto/index.ts";
import type { Clock } from "../clock.ts";
import type { Control } from "../control/port.ts";
import { type MadangError, runtimeErrors } from "../errors.ts";
import type { Member } from "../membership/port.ts";
import { clusterErrors } from "./errors.ts";
import { decodeControl, encodeControl } from "./messages.ts";
import type { PlacementSettings } from "./settings.ts";
import type { PlacementStore } from "./store.ts";
import { decodeTable, type ShardTable } from "./table.ts";
import { type CoordinatorValue, decodeCluster, decodeCoordinator, decodeMember } from "./values.ts";

export interface ClusterState {
  readonly clusterId: string;
  readonly shardCount: number;
  readonly coordinator: CoordinatorValue;
  readonly members: readonly Member[];
  /** Undefined before the first coordinator has written one. */
  readonly table: ShardTable | undefined;
}

/** Undefined if no node of this cluster has ever started. Rejects with PLACEMENT_CORRUPT, or one of Consul's errors. */
export async function readCluster(store: PlacementStore): Promise<ClusterState | undefined> {
  const config = await store.read("config");
  if (config === undefined) return undefined;
  const { clusterId, shardCount } = decodeCluster(config.bytes);
  const [members, coordinator, table] = await Promise.all([
    store.members(),
    store.read("coordinator"),
    store.read("placement"),
  ]);
  return {
    clusterId,
    shardCount,
    coordinator: (coordinator && decodeCoordinator(coordinator.bytes)) ?? { term: 0, nodeId: "" },
    members: members.map(({ nodeId, bytes }) => decodeMember(nodeId, bytes)).filter((member) => member !== undefined),
    table: table && decodeTable(table.bytes, shardCount),
  };
}

export interface OrderOptions {
  /** Of a made-up node that is no member, such as `cli-5ac#1`; not yet opened, and not closed here. */
  readonly control: Control;
  readonly clusterId: string;
  readonly to: string;
  readonly order: Pick<Order, "move" | "drain">;
  readonly settings: PlacementSettings;
  readonly clock: Clock;
  readonly withinMs: number;
}

/** Resolves when it is done. Rejects with what the node answers, or DEADLINE_EXCEEDED. */
export function giveOrder(options: OrderOptions): Promise<void> {
  const { control, clusterId, to, order, settings, clock, withinMs } = options;
  return new Promise((resolve, reject) => {
    const timer = clock.after(withinMs, () => {
      const message = `${to} did not say within ${withinMs / 1_000} s that it is done`;
      reject(runtimeErrors.DEADLINE_EXCEEDED({ message }));
    });
    control.open({
      onMessage(from, bytes) {
        const { message, dropped } = decodeControl(clusterId, bytes, settings.controlBytesMax);
        if (dropped !== undefined || from !== to || message.orderReply == null) return;
        timer.cancel();
        const { code, message: why } = message.orderReply;
        if (code === "") resolve();
        else reject(errorOf(code, why));
      },
      onConnected() {},
    });
    control.send(to, encodeControl(clusterId, { order: { number: 1, ...order } }));
  });
}

function errorOf(code: string, message: string): MadangError {
  const known = code in clusterErrors.kinds ? clusterErrors[code as keyof typeof clusterErrors.kinds] : undefined;
  return known?.({ message }) ?? runtimeErrors.INTERNAL({ message: `${code}: ${message}` });
}
