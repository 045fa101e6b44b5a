// The sessions that are attached to a user: one a device, each on some gateway. There are only so many: the newest device
// always gets in, and the one that was attached longest ago leaves for it.

import type { GatewayService, GoAwayReason, Shed } from "../../proto/index.ts";
import type { Reference, References } from "../../runtime/index.ts";

export interface Session {
  readonly gatewayId: string;
  readonly gateway: Reference<typeof GatewayService>;
  readonly sessionId: number;
  readonly deviceId: number;
  readonly loginId: string;
  /** Version of the newest push that was handed to its gateway. */
  pushed: number;
}

export class Sessions {
  readonly #gateways: References<typeof GatewayService>;
  readonly #sessionsMax: number;
  /** The one that was attached longest ago comes first. */
  #list: Session[] = [];

  constructor(gateways: References<typeof GatewayService>, sessionsMax: number) {
    this.#gateways = gateways;
    this.#sessionsMax = sessionsMax;
  }

  get list(): readonly Session[] {
    return this.#list;
  }

  /** Attaches, and gives the sessions that this one replaces: of the same device, and those that are too many. */
  attach(gatewayId: string, sessionId: number, deviceId: number, loginId: string): readonly Session[] {
    const same = this.#list.find((session) => session.deviceId === deviceId);
    const again = same?.sessionId === sessionId && same.gatewayId === gatewayId;
    const others = this.#list.filter((session) => session !== same);
    const replaced = others.splice(0, Math.max(0, others.length + 1 - this.#sessionsMax));
    if (same !== undefined && !again) replaced.push(same);
    const gateway = this.#gateways(gatewayId);
    // Without the spare room that push would leave.
    this.#list = others.concat({ gatewayId, gateway, sessionId, deviceId, loginId, pushed: 0 });
    return replaced;
  }

  /** Compares and deletes: a late detach of an old session cannot remove a new one. */
  detach(gatewayId: string, sessionId: number): void {
    this.#list = this.#list.filter((session) => session.gatewayId !== gatewayId || session.sessionId !== sessionId);
  }

  find(gatewayId: string, sessionId: number): Session | undefined {
    return this.#list.find((session) => session.gatewayId === gatewayId && session.sessionId === sessionId);
  }

  tell(frame: Uint8Array, shed: Shed): void {
    for (const { gateway, sessionId } of this.#list) gateway.tell({ sessionId, frame, shed });
  }

  close(which: (session: Session) => boolean, reason: GoAwayReason): void {
    for (const { gateway, sessionId } of this.#list.filter(which)) gateway.close({ sessionId, reason });
    this.#list = this.#list.filter((session) => !which(session));
  }

  /** `epoch`: of the owner that lets them go. */
  reattach(epoch: number): void {
    for (const { gateway, sessionId } of this.#list) gateway.reattach({ sessionId, epoch });
    this.#list = [];
  }
}
