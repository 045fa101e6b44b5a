// What an actor looks like to whoever calls it: the methods of its proto service, typed.

import type { MethodDescriptor, ServiceDescriptor } from "../proto/index.ts";

export interface CallOptions {
  /** How long the caller waits, all retries included; default `callDeadlineMs` of the configuration. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** W3C Trace Context of whoever asks. */
  readonly traceparent?: string;
}

type Call<M> =
  M extends MethodDescriptor<infer Request, infer Reply>
    ? M extends { readonly oneway: true }
      ? (request: Request, traceparent?: string) => void
      : (request: Request, options?: CallOptions) => Promise<Reply>
    : never;

/** Calls reject with a MadangError. One-way methods return at once and never fail. */
export type Reference<S extends ServiceDescriptor> = {
  readonly [Name in keyof S["methods"]]: Call<S["methods"][Name]>;
};

/** The one-way methods only, for many actors at once. */
export type Multicast<S extends ServiceDescriptor> = {
  readonly [Name in keyof S["methods"] as S["methods"][Name] extends { readonly oneway: true } ? Name : never]: Call<
    S["methods"][Name]
  >;
};

/** From the name of an actor to its reference: `channel("g1").post(…)`. */
export interface References<S extends ServiceDescriptor> {
  (id: string): Reference<S>;
  /** One message to many actors: grouped by the nodes that they live on, encoded once. */
  many(ids: readonly string[]): Multicast<S>;
}
