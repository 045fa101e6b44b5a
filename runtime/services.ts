// Internal services: programs that are no nodes of the cluster, and what they may ask of it. A service receives under an id of
// its own and sends to any node, which passes its calls on. docs/services.md tells its side.

const PREFIX = "svc-";
// Both parts become tokens of subjects, and the name is what the network's permissions are bound to: neither holds a `#`, or
// one service could pass for another.
const ID = /^svc-([A-Za-z0-9_~-]{1,50})#([A-Za-z0-9_~-]{1,50})$/;

export interface ServiceId {
  readonly name: string;
  /** Of one life of the service: new at each start. */
  readonly incarnation: string;
}

/** Undefined for what is no service's id, such as a node's. */
export function parseServiceId(id: string): ServiceId | undefined {
  if (!id.startsWith(PREFIX)) return undefined;
  const [, name, incarnation] = ID.exec(id) ?? [];
  return name === undefined || incarnation === undefined ? undefined : { name, incarnation };
}

/** `svc-<name>#<incarnation>`: tells a service's id from a node's, and whose it is. */
export function isServiceId(id: string, name?: string): boolean {
  const parsed = parseServiceId(id);
  return parsed !== undefined && (name === undefined || parsed.name === name);
}

/** `allowed` holds "name:Service.method" and "name:Service.*". */
export function mayCall(allowed: readonly string[], name: string, service: string, method: string): boolean {
  return allowed.includes(`${name}:${service}.${method}`) || allowed.includes(`${name}:${service}.*`);
}
