// Membership inside one process.

import type { Member, Membership } from "./port.ts";

export interface MemoryMembership {
  join(member: Member): Membership;
  leave(nodeId: string): void;
}

export function createMemoryMembership(): MemoryMembership {
  const members = new Map<string, Member>();
  const listeners = new Map<string, ((nodeId: string) => void)[]>();
  return {
    join(member) {
      members.set(member.nodeId, member);
      const own: ((nodeId: string) => void)[] = [];
      listeners.set(member.nodeId, own);
      return {
        members: () => [...members.values()],
        knows: (nodeId) => members.has(nodeId),
        onLeft: (listener) => void own.push(listener),
      };
    },
    leave(nodeId) {
      members.delete(nodeId);
      listeners.delete(nodeId);
      for (const own of listeners.values()) for (const listener of own) listener(nodeId);
    },
  };
}
