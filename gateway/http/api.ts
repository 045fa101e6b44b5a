// The stateless HTTP API: any node with this role answers any request. Nodes without it answer for their health only.

import fastify, {
  type FastifyError,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
  type RouteOptions,
} from "fastify";
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { type Clock, type Logger, MadangError, type Random, runtimeErrors } from "../../runtime/index.ts";
import type { AccountStore } from "../../storage/accounts/index.ts";
import { createUntold, gatewayErrors } from "../errors.ts";
import type { ActorRefs } from "../refs.ts";
import { Attempts } from "./attempts.ts";
import { type ApiContext, type App, whoAsksBy } from "./context.ts";
import { chooseGateway, type GatewayChoice } from "./discovery.ts";
import { errorBody, httpErrors, statusOf } from "./errors.ts";
import { type Health, healthRoutes } from "./health.ts";
import { createPasswords } from "./passwords.ts";
import { channelRoutes } from "./routes/channels.ts";
import { operatorRoutes } from "./routes/operator.ts";
import { peopleRoutes } from "./routes/people.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import type { HttpSettings } from "./settings.ts";
import * as shapes from "./shapes.ts";
import { createTokens, type SigningKey } from "./tokens.ts";

export interface HttpApiOptions extends Health {
  readonly refs: ActorRefs;
  readonly accounts: AccountStore;
  readonly key: SigningKey;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly settings: HttpSettings;
  /** Those that take sessions at present. */
  readonly gateways: () => readonly GatewayChoice[];
}

export interface HttpApi {
  listen(host: string, port: number): Promise<{ readonly port: number }>;
  /** Answers a request without a socket, for tests. */
  readonly app: App;
  close(): Promise<void>;
}

export async function createHttpApi(options: HttpApiOptions): Promise<HttpApi> {
  const { settings, clock, log, refs, accounts } = options;
  const app = createApp({
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: settings.requestWithinMs,
    connectionTimeout: settings.requestWithinMs,
    forceCloseConnections: true,
  });

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

  const described: Described[] = [];
  app.addHook("onRoute", ({ method, url, schema }) => {
    if (schema?.response) schema.response = { ...schema.response, "4xx": shapes.error, "5xx": shapes.error };
    if (method !== "HEAD" && schema !== undefined && schema.hide !== true) described.push({ method, url, schema });
  });

  const context: ApiContext = {
    refs,
    accounts,
    tokens: createTokens(options.key, clock, settings),
    passwords: createPasswords(settings),
    attempts: new Attempts(clock, settings.attemptsWindowMs, settings.attemptsRememberedMax),
    settings,
    clock,
    gatewayFor(wish) {
      const gateway = chooseGateway(options.gateways(), wish, options.random);
      if (gateway === undefined) throw runtimeErrors.UNAVAILABLE({ message: "No gateway is there." });
      return gateway.url;
    },
  };
  const whoAsks = whoAsksBy(context);
  sessionRoutes(app, context, whoAsks);
  peopleRoutes(app, context, whoAsks);
  channelRoutes(app, context, whoAsks);
  operatorRoutes(app, context);

  healthRoutes(app, options);
  const hidden = { schema: { hide: true } };
  let documentation: ReturnType<typeof createDocumentation> | undefined;
  const document = async (request: FastifyRequest, reply: FastifyReply) => {
    documentation ??= createDocumentation(described, app.errorHandler);
    // A failure to load says nothing of the next time.
    const pages = await documentation.catch((error: unknown) => {
      documentation = undefined;
      throw error;
    });
    const { url, headers } = request;
    const { statusCode, rawPayload, ...answer } = await pages.inject({ url, headers }); // HEAD is answered from it
    if (statusCode === 404) return reply.callNotFound();
    const { connection: _, "transfer-encoding": __, ...kept } = answer.headers; // those are of the one connection
    reply.code(statusCode).headers(kept);
    return reply.send(rawPayload.length > 0 ? rawPayload : undefined);
  };
  for (const url of ["/openapi.json", "/docs", "/docs/*"]) app.get(url, hidden, document);

  return asServer(app);
}

/** For a node without the API: what its operator asks of it, and nothing else. */
export function createHealthServer(health: Health): HttpApi {
  const app = createApp({ forceCloseConnections: true });
  healthRoutes(app, health);
  return asServer(app);
}

function asServer(app: App): HttpApi {
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

function createApp(options: FastifyServerOptions = {}): App {
  const compilersFactory = { buildValidator: () => validatorCompiler, buildSerializer: () => serializerCompiler };
  return fastify({
    ...options,
    logger: false, // requests are logged above, without bodies and headers
    // Given here and not set later, so that the compilers that these replace are not loaded. Their types know Ajv only.
    schemaController: { compilersFactory } as unknown as NonNullable<FastifyServerOptions["schemaController"]>,
  } satisfies FastifyServerOptions).withTypeProvider<ZodTypeProvider>();
}

type Described = Pick<RouteOptions, "method" | "url" | "schema">;

/**
 * The OpenAPI document and its page, by an application of their own that has the routes and answers none of them. What it
 * needs takes a tenth of a second to load: the first who reads it waits for that, and not each start.
 */
async function createDocumentation(described: readonly Described[], onError: App["errorHandler"]): Promise<App> {
  const [swagger, swaggerUi] = await Promise.all([import("@fastify/swagger"), import("@fastify/swagger-ui")]);
  const app = createApp();
  app.setErrorHandler(onError);
  await app.register(swagger.default, {
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
  await app.register(swaggerUi.default, { routePrefix: "/docs" });
  for (const route of described) app.route({ ...route, handler: (_request, reply) => reply.callNotFound() });
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  await app.ready();
  return app;
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
