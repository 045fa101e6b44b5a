// Numbers of the whole node for Prometheus. The rooms count in plain fields; they are read when somebody scrapes.

import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { SocketServer } from "../gateway/index.ts";
import type { Node } from "../runtime/index.ts";
import type { Stores } from "../storage/index.ts";

export interface Measured {
  readonly node: Node;
  readonly sockets: SocketServer;
  readonly stores: Stores;
  readonly pointersWaiting: () => number;
}

export function createMetrics(): { readonly registry: Registry; measure(measured: Measured): void } {
  const registry = new Registry();
  // Each look at the event loop's delay wakes the process: ten a second tell enough, and an idle node stays idle.
  collectDefaultMetrics({ register: registry, prefix: "madang_", eventLoopMonitoringPrecision: 100 });
  return {
    registry,
    measure({ node, sockets, stores, pointersWaiting }) {
      const gauge = (name: string, help: string, read: () => number) =>
        new Gauge({
          name: `madang_${name}`,
          help,
          registers: [registry],
          collect() {
            this.set(read());
          },
        });
      gauge("connections", "WebSocket connections", () => sockets.stats().connections);
      gauge("sessions", "Authenticated WebSocket sessions", () => sockets.stats().sessions);
      gauge("frames_in_total", "Frames received", () => sockets.stats().framesIn);
      gauge("frames_out_total", "Frames sent", () => sockets.stats().framesOut);
      gauge("bytes_out_total", "Bytes of frames sent", () => sockets.stats().bytesOut);
      gauge("socket_writes_total", "Writes to sockets; one may carry many frames", () => sockets.stats().writes);
      gauge(
        "refused_connections_total",
        "Connections refused or closed for breaking a rule",
        () => sockets.stats().refused,
      );
      gauge(
        "sessions_behind_total",
        "Sessions that read too slowly and were told to sync",
        () => sockets.stats().fellBehind,
      );
      gauge("pushes_dropped_total", "Pushes not fed to sessions that are behind", () => sockets.stats().droppedPushes);
      gauge("activations", "Actors in memory", () => node.stats().activations);
      gauge("mailbox_messages", "Messages that wait in mailboxes", () => node.stats().waitingMessages);
      gauge("mailbox_bytes", "Bytes that wait in mailboxes", () => node.stats().waitingBytes);
      gauge("pointers_waiting", "Inbox pointers that wait to be written", pointersWaiting);
      gauge("commits_total", "Commits to the store", () => stores.stats().commits);
      gauge("commits_failed_total", "Commits that failed and were sent again", () => stores.stats().failedCommits);
      gauge("writes_total", "Rows written to the store", () => stores.stats().writes);
      gauge("writes_waiting", "Rows that wait for a commit", () => stores.stats().waitingWrites);
      gauge("writes_waiting_bytes", "Bytes that wait for a commit", () => stores.stats().waitingBytes);
      const kinds = (name: string, help: string, read: (kind: ReturnType<Node["stats"]>["kinds"][string]) => number) =>
        new Gauge({
          name: `madang_actor_${name}`,
          help,
          labelNames: ["kind"],
          registers: [registry],
          collect() {
            for (const [kind, stats] of Object.entries(node.stats().kinds)) this.set({ kind }, read(stats));
          },
        });
      kinds("activations", "Actors of a kind in memory", (kind) => kind.activations);
      kinds("turns_total", "Turns that began", (kind) => kind.turns);
      kinds("turns_failed_total", "Turns that failed their caller", (kind) => kind.failed);
      kinds("mail_expired_total", "Mail dropped unread because its time was over", (kind) => kind.expired);
      kinds("mail_refused_total", "Mail refused because a mailbox was full", (kind) => kind.overloaded);
      kinds("activation_failures_total", "Activations that failed", (kind) => kind.activationFailed);
    },
  };
}
