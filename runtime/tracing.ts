// Traces, as a port: what one request did on its way through gateway, actors and store. The context travels as a W3C
// traceparent, and only if the request was sampled: whatever comes without one costs nothing.

import type { MadangError } from "./errors.ts";

export interface Span {
  /** For whatever is asked under this span. */
  readonly traceparent: string;
  /** Once. */
  end(error?: MadangError): void;
}

export interface Tracer {
  /**
   * A span under `parent`, or the first of a trace when that is empty: then chance decides whether the request is sampled, and
   * undefined is given when it is not.
   */
  start(name: string, parent: string, facts?: Readonly<Record<string, string | number>>): Span | undefined;
}

export const noTracer: Tracer = { start: () => undefined };
