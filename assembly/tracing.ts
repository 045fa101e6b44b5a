// Traces by OpenTelemetry, sent to a collector over OTLP. Loaded only where an endpoint is set: a node without one starts
// faster and holds none of it in memory.

import type { Random, Tracer } from "../runtime/index.ts";

export interface TracingSettings {
  /** Of a collector, such as http://127.0.0.1:4318/v1/traces; empty: no traces. OTEL_EXPORTER_OTLP_TRACES_ENDPOINT */
  readonly endpoint: string;
  readonly sampledShare: number;
  readonly spansWaitingMax: number;
}

export const tracingDefaults: TracingSettings = {
  endpoint: "",
  sampledShare: 0.01, // of the requests of clients: one in a hundred shows where time goes, and costs next to nothing
  spansWaitingMax: 4_096, // a collector that is away makes spans be dropped, not memory grow
};

export interface OpenTracing {
  readonly tracer: Tracer;
  /** Sends what waits. */
  close(): Promise<void>;
}

export async function openTracing(settings: TracingSettings, nodeId: string, random: Random): Promise<OpenTracing> {
  const { openTelemetry } = await import("./open-telemetry.ts");
  return openTelemetry(settings, nodeId, random);
}
