// Numbers of the whole node for Prometheus. The rooms count in plain fields; they are read when somebody scrapes. Every node
// shows all of them: what a node has not got counts 0.

import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Chat } from "../actors/index.ts";
import type { SocketServer, SocketStats } from "../gateway/index.ts";
import type { PushQueue, PushQueueStats, PushWorker, PushWorkerStats } from "../push/index.ts";
import type { ClusterPlacement, Nats, NatsTransport, Node, NodeStats } from "../runtime/index.ts";
import type { RingStats, StoreStats, Stores } from "../storage/index.ts";

/** What a node of a cluster has beside a node without one. */
export interface ClusterNumbers {
  readonly placement: Pick<ClusterPlacement, "stats">;
  readonly nats: readonly Nats[];
  readonly transport: Pick<NatsTransport, "stats">;
}

export interface Measured {
  readonly node: Node;
  readonly sockets: SocketServer | undefined;
  readonly stores: Stores | undefined;
  readonly cluster: ClusterNumbers | undefined;
  readonly chat: Chat | undefined;
  readonly pushQueue: PushQueue | undefined;
  readonly pushWorker: PushWorker | undefined;
}

export function createMetrics(): { readonly registry: Registry; measure(measured: Measured): void } {
  const registry = new Registry();
  // Each look at the event loop's delay wakes the process: ten a second tell enough, and an idle node stays idle.
  collectDefaultMetrics({ register: registry, prefix: "madang_", eventLoopMonitoringPrecision: 100 });
  return { registry, measure: (measured) => register(registry, measured) };
}

function register(registry: Registry, measured: Measured): void {
  const { node, sockets, stores, cluster, chat, pushQueue, pushWorker } = measured;
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `madang_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  const labelled = (name: string, help: string, label: string, read: () => Iterable<readonly [string, number]>) =>
    new Gauge({
      name: `madang_${name}`,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        for (const [value, count] of read()) this.set({ [label]: value }, count);
      },
    });

  const socket = (name: string, help: string, field: keyof SocketStats) =>
    gauge(name, help, () => sockets?.stats()[field] ?? 0);
  socket("connections", "WebSocket connections", "connections");
  socket("sessions", "Authenticated WebSocket sessions", "sessions");
  socket("frames_in_total", "Frames received", "framesIn");
  socket("frames_out_total", "Frames sent", "framesOut");
  socket("bytes_out_total", "Bytes of frames sent", "bytesOut");
  socket("socket_writes_total", "Writes to sockets; one may carry many frames", "writes");
  socket("refused_connections_total", "Connections refused or closed for breaking a rule", "refused");
  socket("sessions_behind_total", "Sessions that read too slowly and were told to sync", "fellBehind");
  socket("pushes_dropped_total", "Pushes not fed to sessions that are behind", "droppedPushes");

  gauge("activations", "Actors in memory", () => node.stats().activations);
  gauge("mailbox_messages", "Messages that wait in mailboxes", () => node.stats().waitingMessages);
  gauge("mailbox_bytes", "Bytes that wait in mailboxes", () => node.stats().waitingBytes);
  gauge("wake_rows", "Rows by which a fail-over would wake actors of this node", () => node.stats().wakeRows);
  gauge("pointers_waiting", "Inbox pointers that wait to be written", () => chat?.pointersWaiting() ?? 0);
  type KindNumbers = NodeStats["kinds"][string];
  const kinds = (name: string, help: string, read: (kind: KindNumbers) => number) =>
    labelled(`actor_${name}`, help, "kind", () =>
      Object.entries(node.stats().kinds).map(([kind, numbers]) => [kind, read(numbers)] as const),
    );
  kinds("activations", "Actors of a kind in memory", (kind) => kind.activations);
  kinds("turns_total", "Turns that began", (kind) => kind.turns);
  kinds("turns_failed_total", "Turns that failed their caller", (kind) => kind.failed);
  kinds("mail_expired_total", "Mail dropped unread because its time was over", (kind) => kind.expired);
  kinds("mail_refused_total", "Mail refused because a mailbox was full", (kind) => kind.overloaded);
  kinds("activation_failures_total", "Activations that failed", (kind) => kind.activationFailed);

  const store = (name: string, help: string, field: Exclude<keyof StoreStats, "ring">) =>
    gauge(name, help, () => stores?.stats()[field] ?? 0);
  store("commits_total", "Commits to the store", "commits");
  store("commits_failed_total", "Commits that failed and were sent again", "failedCommits");
  store("writes_total", "Rows written to the store", "writes");
  store("writes_waiting", "Rows that wait for a commit", "waitingWrites");
  store("writes_waiting_bytes", "Bytes that wait for a commit", "waitingBytes");
  const ring = (name: string, help: string, field: keyof RingStats) =>
    gauge(`ring_${name}`, help, () => stores?.stats().ring?.[field] ?? 0);
  ring("members", "Members that the ring has in this data centre", "members");
  ring("members_reached", "Members of the ring that this node reaches", "membersReached");
  ring("requests_in_flight", "Reads and writes of the ring that have no answer yet", "inFlight");
  ring("requests_waiting", "Reads and writes that wait for a place in flight", "waiting");
  ring("requests_total", "Requests to the ring", "requests");
  ring("writes_together_total", "Writes that shared a request to the ring with others", "writesTogether");
  ring("time_outs_total", "Requests to the ring of unknown outcome", "timeOuts");
  ring("speculations_total", "Requests that were asked of a second member, for the first was slow", "speculations");
  ring("errors_total", "Requests to the ring that failed", "errors");
  ring("refused_total", "Requests refused because too many waited", "refused");
  ring("batches_total", "Batches of channel entries", "batches");
  ring("batch_rows_total", "Channel entries in those batches", "batchRows");
  ring("verify_reads_total", "Reads by which the fence was verified", "verifyReads");
  ring("tenures_lost_total", "Shards that the fence took from this node", "tenuresLost");

  const jobs = (name: string, help: string, field: keyof ReturnType<Chat["pushJobs"]>) =>
    gauge(`push_${name}`, help, () => chat?.pushJobs()[field] ?? 0);
  jobs("notify_jobs_total", "Push jobs that user actors made for new messages", "notify");
  jobs("clear_jobs_total", "Push jobs that user actors made for what was read elsewhere", "clear");
  jobs("jobs_failed_total", "Push jobs that the queue did not take", "failed");
  jobs(
    "silent_devices",
    "Deliveries that an attached device has not acknowledged yet, or whose push job was refused and is made again",
    "watched",
  );
  const queue = (name: string, help: string, field: keyof PushQueueStats) =>
    gauge(`push_queue_${name}`, help, () => pushQueue?.stats()[field] ?? 0);
  queue("enqueued_total", "Jobs that the queue has kept", "enqueued");
  queue("duplicates_total", "Jobs that it had already", "duplicates");
  queue("refused_total", "Jobs that it had no room for", "refused");
  queue("delivered_total", "Jobs handed to this node's worker", "delivered");
  queue("done_total", "Jobs that the worker ended", "done");
  queue("retried_total", "Jobs that come again later", "retried");
  queue("dead_total", "Jobs that became dead letters", "dead");
  queue("waiting", "Jobs that no worker holds", "waiting");
  queue("held", "Jobs that this node's worker holds", "held");
  const worker = (name: string, help: string, field: keyof PushWorkerStats) =>
    gauge(`push_worker_${name}`, help, () => pushWorker?.stats()[field] ?? 0);
  worker("sent_total", "Notifications that a provider took", "sent");
  worker("collapsed_total", "Jobs that a newer one of the channel stands for", "collapsed");
  worker("needless_total", "Jobs for what was read or acknowledged meanwhile", "needless");
  worker("unreachable_total", "Jobs of users whom no provider reaches", "unreachable");
  worker("dead_tokens_total", "Devices that a provider no longer knows", "deadTokens");

  const mail = (name: string, help: string, field: Exclude<keyof NodeStats["mail"], "lanes">) =>
    gauge(`mail_${name}`, help, () => node.stats().mail[field]);
  const lanes = (name: string, help: string, field: keyof NodeStats["mail"]["lanes"][number]) =>
    labelled(`mail_${name}`, help, "lane", () =>
      node.stats().mail.lanes.map((lane, number) => [String(number), lane[field]] as const),
    );
  lanes("batches_in_total", "Batches from other nodes", "batchesIn");
  lanes("batches_out_total", "Batches to other nodes", "batchesOut");
  lanes("bytes_in_total", "Bytes of batches from other nodes", "bytesIn");
  lanes("bytes_out_total", "Bytes of batches to other nodes", "bytesOut");
  lanes("lost_in_total", "Times that something on its way to this node was lost", "lostIn");
  lanes("lost_out_total", "Times that another node told of a loss on its way from this one", "lostOut");
  mail("requests_total", "Batches from internal services, which come in no lane", "requests");
  mail("malformed_total", "Batches dropped: not readable, or of another protocol", "malformed");
  mail("strangers_total", "Batches dropped: their sender is no member", "strangers");
  mail("duplicates_total", "Batches dropped: they had come before", "duplicates");
  mail("not_delivered_total", "Batches that nobody listened for, or that could not leave", "notDelivered");
  mail("services_refused_total", "Calls of internal services that are not on their list", "refused");
  mail("calls_out", "Calls of this node that others work on", "callsOut");
  mail("calls_in", "Calls of others that are worked on here", "callsIn");
  gauge("nats_strange_total", "Messages dropped: no sender, or no lane", () => cluster?.transport.stats.strange ?? 0);
  gauge("nats_connected", "Connections to NATS that are up", () =>
    sum(cluster?.nats, (nats) => Number(nats.connected)),
  );
  gauge("nats_reconnects_total", "Times that a connection to NATS came back", () =>
    sum(cluster?.nats, (nats) => nats.reconnects),
  );

  const placement = (name: string, help: string, field: PlainPlacement) =>
    gauge(`placement_${name}`, help, () => cluster?.placement.stats()[field] ?? 0);
  placement("term", "Term of the coordinator, as this node knows it", "term");
  placement("version", "Version of this node's table", "version");
  placement("shards", "Shards that this node owns", "owned");
  placement("epoch_highest", "Highest epoch of a shard in this node's table", "highestEpoch");
  placement("members", "Living nodes, as this one sees them", "members");
  placement("leading", "1 while this node is the coordinator", "leading");
  placement("lease_over", "1 while this node's lease is over: it takes no new shard", "leaseOver");
  placement("suspicions_total", "Nodes that this one began to suspect", "suspicions");
  placement("elections_total", "Times that this node tried to become the coordinator", "elections");
  placement("lifts_total", "Tables made anew above what was known", "lifts");
  placement("cas_conflicts_total", "Writes to Consul that somebody else was faster with", "casConflicts");
  placement("consul_errors_total", "Calls of Consul that failed", "consulErrors");
  placement("corrupt_total", "Tables in Consul that could not be read", "corrupt");
  placement("sessions_remade_total", "Sessions with Consul that had to be made anew", "sessionsRemade");
  labelled("placement_moves_total", "Shards moved by this coordinator, by cause", "cause", () =>
    Object.entries(cluster?.placement.stats().moves ?? {}),
  );
  labelled("placement_dropped_total", "Control messages dropped, by reason", "reason", () =>
    Object.entries(cluster?.placement.stats().dropped ?? {}),
  );
  gauge(
    "handoffs_total",
    "Planned hand-offs of this coordinator",
    () => cluster?.placement.stats().handoffMs.count ?? 0,
  );
  gauge("handoff_ms_total", "Milliseconds that they took, in sum", () => cluster?.placement.stats().handoffMs.sum ?? 0);
  gauge("handoff_ms_max", "Milliseconds that the longest took", () => cluster?.placement.stats().handoffMs.max ?? 0);
}

type PlacementNumbers = ReturnType<ClusterPlacement["stats"]>;
/** Fields that are one number. */
type PlainPlacement = {
  [Field in keyof PlacementNumbers]: PlacementNumbers[Field] extends number ? Field : never;
}[keyof PlacementNumbers];

function sum<T>(parts: readonly T[] | undefined, read: (part: T) => number): number {
  return (parts ?? []).reduce((total, part) => total + read(part), 0);
}
