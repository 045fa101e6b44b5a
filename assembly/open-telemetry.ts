// The tracer on OpenTelemetry's own packages. They are named here one by one, in a module that is loaded when it is needed: a
// package that is no module, loaded by itself at run time, has its names elsewhere once the program is bundled.

import { ROOT_CONTEXT, SpanStatusCode, TraceFlags, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { Random, Span } from "../runtime/index.ts";
import type { OpenTracing, TracingSettings } from "./tracing.ts";

export function openTelemetry(settings: TracingSettings, nodeId: string, random: Random): OpenTracing {
  const exporter = new OTLPTraceExporter({ url: settings.endpoint });
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "madang", "service.instance.id": nodeId }),
    spanProcessors: [new BatchSpanProcessor(exporter, { maxQueueSize: settings.spansWaitingMax })],
  });
  const tracer = provider.getTracer("madang");

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
