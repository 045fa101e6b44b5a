// The actors that the edge talks to, wherever they live.

import type { ChannelService, PresenceService, UserService } from "../proto/index.ts";
import type { References } from "../runtime/index.ts";

export interface ActorRefs {
  readonly channel: References<typeof ChannelService>;
  readonly user: References<typeof UserService>;
  readonly presence: References<typeof PresenceService>;
}
