// Internal services: programs that are no nodes of the cluster, and what they may ask of it. A service receives under an id of
// its own and sends to any node, which passes its calls on.

const PREFIX = "svc-";

/** `svc-<name>#<incarnation>`: tells a service's id from a node's, and whose it is. */
export function isServiceId(id: string, name?: string): boolean {
  return id.startsWith(name === undefined ? PREFIX : `${PREFIX}${name}#`);
}

/** `allowed` holds "name:Service.method" and "name:Service.*". */
export function mayCall(allowed: readonly string[], name: string, service: string, method: string): boolean {
  return allowed.includes(`${name}:${service}.${method}`) || allowed.includes(`${name}:${service}.*`);
}
