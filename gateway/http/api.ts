// The stateless HTTP API: any node with this role answers any request.

import fastifySwagger from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import fastify, { type FastifyError } from "fastify";
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import type { Registry } from "prom-client";
import { type Clock, type Logger, MadangError, runtimeErrors } from "../../runtime/index.ts";
import type { AccountStore } from "../../storage/accounts/index.ts";
import { createUntold, gatewayErrors } from "../errors.ts";
import type { ActorRefs } from "../refs.ts";
import { Attempts } from "./attempts.ts";
import { type ApiContext, type App, whoAsksBy } from "./context.ts";
import { errorBody, httpErrors, statusOf } from "./errors.ts";
import { createPasswords } from "./passwords.ts";
import { channelRoutes } from "./routes/channels.ts";
import { operatorRoutes } from "./routes/operator.ts";
import { peopleRoutes } from "./routes/people.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import type { HttpSettings } from "./settings.ts";
import * as shapes from "./shapes.ts";
import { createTokens, type SigningKey } from "./tokens.ts";

export interface HttpApiOptions {
  readonly refs: ActorRefs;
  readonly accounts: AccountStore;
  readonly key: SigningKey;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: HttpSettings;
  /** WebSocket address that clients are told. */
  readonly gatewayUrl: () => string;
  /** Whether the node takes work. */
  readonly ready: () => boolean;
  readonly metrics: Registry;
}

export interface HttpApi {
  listen(host: string, port: number): Promise<{ readonly port: number }>;
  /** Answers a request without a socket, for tests. */
  readonly app: App;
  close(): Promise<void>;
}

export async function createHttpApi(options: HttpApiOptions): Promise<HttpApi> {
  const { settings, clock, log, refs, accounts } = options;
  const app: App = fastify({
    logger: false, // requests are logged below, without bodies and headers
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: settings.requestWithinMs,
    connectionTimeout: settings.requestWithinMs,
    forceCloseConnections: true,
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);

  // A request that says it is JSON and has no body asks for nothing wrong.
  const parseJson = app.getDefaultJsonParser("error", "error");
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body === "") done(null, undefined);
    else parseJson(request, body as string, done);
  });

  const untold = createUntold(log, (code) => Object.hasOwn(statusOf, code));
  app.setErrorHandler<FastifyError>((thrown, request, reply) => {
    const error = toError(thrown);
    if (error.code === "INTERNAL")
      log.error({ method: request.method, route: request.routeOptions.url, error }, "a request failed");
    untold(error);
    if (error.retryAfterMs > 0) reply.header("retry-after", Math.ceil(error.retryAfterMs / 1_000));
    return reply.code(statusOf[error.code] ?? 500).send(errorBody(error));
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send(errorBody(httpErrors.BAD_FRAME({ message: "There is no such call. See /docs." }))),
  );
  app.addHook("onResponse", async (request, reply) => {
    const { method, routeOptions } = request;
    log.debug(
      { method, route: routeOptions.url, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      "answered",
    );
  });
  const origins = new Set(settings.corsOrigins);
  app.addHook("onRequest", async (request, reply) => {
    const { origin } = request.headers;
    if (origin === undefined || !origins.has(origin)) return;
    reply.headers({
      "access-control-allow-origin": origin,
      vary: "origin",
      "access-control-allow-headers": "authorization, content-type, idempotency-key",
      "access-control-allow-methods": "GET, POST, PATCH, DELETE",
    });
    if (request.method === "OPTIONS") await reply.code(204).send();
  });
  app.options("/*", { schema: { hide: true } }, (_request, reply) => reply.code(204).send());

  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Madang",
        version: "1",
        description: "Accounts, friends, groups and history. Messages travel over the WebSocket: see docs/wire.md.",
      },
      components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
      security: [{ bearer: [] }],
    },
    transform: jsonSchemaTransform,
  });
  await app.register(fastifySwaggerUi, { routePrefix: "/docs" });

  app.addHook("onRoute", ({ schema }) => {
    if (schema?.response) schema.response = { ...schema.response, "4xx": shapes.error, "5xx": shapes.error };
  });

  const context: ApiContext = {
    refs,
    accounts,
    tokens: createTokens(options.key, clock, settings),
    passwords: createPasswords(settings),
    attempts: new Attempts(clock, settings.attemptsWindowMs, settings.attemptsRememberedMax),
    settings,
    clock,
    gatewayUrl: options.gatewayUrl,
  };
  const whoAsks = whoAsksBy(context);
  sessionRoutes(app, context, whoAsks);
  peopleRoutes(app, context, whoAsks);
  channelRoutes(app, context, whoAsks);
  operatorRoutes(app, context);

  const hidden = { schema: { hide: true } };
  app.get("/healthz", hidden, async () => ({ alive: true }));
  app.get("/readyz", hidden, async (_request, reply) => {
    const ready = options.ready();
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  app.get("/metrics", hidden, async (_request, reply) =>
    reply.type(options.metrics.contentType).send(await options.metrics.metrics()),
  );
  app.get("/openapi.json", hidden, async () => app.swagger());

  return {
    app,
    async listen(host, port) {
      await app.listen({ host, port });
      const address = app.server.address();
      return { port: typeof address === "object" && address !== null ? address.port : port };
    },
    close: () => app.close(),
  };
}

/** Whatever went wrong, as one of ours. */
function toError(thrown: FastifyError | MadangError): MadangError {
  if (thrown instanceof MadangError) return thrown;
  if (hasZodFastifySchemaValidationErrors(thrown)) {
    const [first] = thrown.validation;
    return httpErrors.BAD_FRAME({ message: `${first?.instancePath ?? ""} ${first?.message ?? "is wrong"}`.trim() });
  }
  if (thrown.statusCode === 413) return gatewayErrors.FRAME_TOO_LARGE();
  if (thrown.statusCode !== undefined && thrown.statusCode < 500)
    return httpErrors.BAD_FRAME({ message: thrown.message });
  return runtimeErrors.INTERNAL({ cause: thrown });
}
