// What an orchestrator and Prometheus ask of every node, whatever its roles.

import type { Registry } from "prom-client";
import type { App } from "./context.ts";

export interface Health {
  /** Whether the node takes work. */
  readonly ready: () => boolean;
  readonly metrics: Registry;
}

export function healthRoutes(app: App, { ready, metrics }: Health): void {
  const hidden = { schema: { hide: true } };
  app.get("/healthz", hidden, async () => ({ alive: true }));
  app.get("/readyz", hidden, async (_request, reply) => {
    const isReady = ready();
    return reply.code(isReady ? 200 : 503).send({ ready: isReady });
  });
  app.get("/metrics", hidden, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
}
