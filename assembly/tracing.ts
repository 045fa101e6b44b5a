// Traces by OpenTelemetry, sent to a collector over OTLP. Loaded only where an endpoint is set: a node without one starts
// faster and holds none of it in memory.

import type { Random, Span, Tracer } from "../runtime/index.ts";

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
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace-base"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
  ]);
  const exporter = new OTLPTraceExporter({ url: settings.endpoint });
  const provider = new sdk.BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "madang", "service.instance.id": nodeId }),
    spanProcessors: [new sdk.BatchSpanProcessor(exporter, { maxQueueSize: settings.spansWaitingMax })],
  });
  const tracer = provider.getTracer("madang");
  const { ROOT_CONTEXT, SpanStatusCode, trace, TraceFlags } = api;

  const wrap = (span: ReturnType<typeof tracer.startSpan>): Span => {
    const { traceId, spanId } = span.spanContext();
    return {
      traceparent: `00-${traceId}-${spanId}-01`,
      end(error) {
        if (error !== undefined) {
          span.setAttribute("madang.error", error.code);
          span.setStatus({ code: SpanStatusCode.ERROR, message: error.code });
        }
        span.end();
      },
    };
  };

  return {
    tracer: {
      start(name, parent, attributes = {}) {
        if (parent === "") {
          return random.next() < settings.sampledShare ? wrap(tracer.startSpan(name, { attributes })) : undefined;
        }
        const [, traceId = "", spanId = ""] = parent.split("-");
        const remote = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
        const context = trace.setSpanContext(ROOT_CONTEXT, remote);
        return wrap(tracer.startSpan(name, { attributes }, context));
      },
    },
    close: () => provider.shutdown(),
  };
}
