// What an actor looks like to a service: the methods of its proto service, typed.

import type { MethodDescriptor, ServiceDescriptor } from "../../proto/index.ts";
import type { CallOptions, Calls } from "./calls.ts";

type Method<M> =
  M extends MethodDescriptor<infer Request, infer Reply>
    ? M extends { readonly oneway: true }
      ? (request: Request) => void
      : (request: Request, options?: CallOptions) => Promise<Reply>
    : never;

/** Calls reject with a ServiceError. One-way methods return at once and never fail. */
export type Reference<S extends ServiceDescriptor> = {
  readonly [Name in keyof S["methods"]]: Method<S["methods"][Name]>;
};

export function createReference<S extends ServiceDescriptor>(calls: Calls, service: S, id: string): Reference<S> {
  const methods = Object.entries(service.methods).map(([name, method]) => [
    name,
    method.oneway
      ? (request: unknown) => calls.tell(service.name, id, method, request)
      : (request: unknown, options?: CallOptions) => calls.call(service.name, id, method, request, options),
  ]);
  return Object.fromEntries(methods);
}
