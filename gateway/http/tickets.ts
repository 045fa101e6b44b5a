// What the socket asks about a ticket before anything else.

import type { AccountStore } from "../../storage/accounts/index.ts";
import type { TicketClaims } from "../socket/server.ts";
import { httpErrors } from "./errors.ts";
import type { Tokens } from "./tokens.ts";

/**
 * Rejects with TICKET_INVALID or TICKET_EXPIRED, and with UNAUTHENTICATED when the log-in has ended since the ticket was
 * fetched. Any gateway can look, for the key and the log-ins are the same on all nodes. A log-in that ends just after this look is refused by the user's actor, which is told of the end.
 */
export function createTicketCheck(
  tokens: Tokens,
  accounts: Pick<AccountStore, "isOpen">,
): (ticket: string) => Promise<TicketClaims> {
  return async (ticket) => {
    const claims = await tokens.verifyTicket(ticket);
    if (!(await accounts.isOpen(claims.loginId)))
      throw httpErrors.UNAUTHENTICATED({ message: "The log-in of this ticket has ended." });
    return claims;
  };
}
