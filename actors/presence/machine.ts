// Whether a user is there, as a state chart. It runs as a pure function: an actor keeps only the name of its state.
//
//   online ──beats stop──▶ silent ──30 s after the last beat──▶ offline
//     ▲◀─────a beat────────┘ │                                    │
//     │                      └──────── log-out ───────────▶───────┤
//     └───────────────────────── a beat ──────────────────────────┘

import { setup, transition } from "xstate";

export type PresencePhase = "online" | "silent" | "offline";
export type PresenceEvent =
  | { readonly type: "beat" }
  | { readonly type: "beatsStopped" }
  | { readonly type: "expired" }
  | { readonly type: "loggedOut" };

const machine = setup({ types: { events: {} as PresenceEvent } }).createMachine({
  id: "presence",
  initial: "offline",
  states: {
    online: { on: { beatsStopped: "silent", loggedOut: "offline" } },
    silent: { on: { beat: "online", expired: "offline", loggedOut: "offline" } },
    offline: { on: { beat: "online" } },
  },
});

const snapshots = {
  online: machine.resolveState({ value: "online" }),
  silent: machine.resolveState({ value: "silent" }),
  offline: machine.resolveState({ value: "offline" }),
};

export function nextPhase(phase: PresencePhase, event: PresenceEvent): PresencePhase {
  const [next] = transition(machine, snapshots[phase], event);
  return next.value as PresencePhase;
}
