// Why the chat domain refuses. Codes are ErrorCode of client.proto.

import { errorList } from "../runtime/index.ts";

const refused = (sentence: string) => ({ retryable: false, executed: "no", sentence }) as const;

export const chatErrors = errorList({
  BAD_FRAME: refused("An integer of the content is above 2^53 - 1."),
  NOT_A_MEMBER: refused("You are not a member of this channel."),
  NO_SUCH_CHANNEL: refused("There is no such channel."),
  NO_SUCH_USER: refused("There is no such user."),
  NOT_ALLOWED: refused("Your role in this channel does not allow this."),
  GROUP_FULL: refused("The group has as many members as a group may have."),
  ALREADY_EXISTS: refused("A channel of this name exists already."),
  CONTENT_EMPTY: refused("The message has no content."),
  TEXT_TOO_LONG: refused("The text is longer than a message may be."),
  TEXT_MALFORMED: refused("The text is not well-formed Unicode: it holds half of a surrogate pair."),
  CONTENT_NOT_ACCEPTED: refused("A client cannot send this kind of content."),
  OUT_OF_ORDER: {
    retryable: true,
    executed: "no",
    sentence: "The channel takes the numbers of a producer one after another; expectedNumber comes next.",
  },
  NUMBER_REUSED: refused("This number of the producer was kept with another content: go on as a new producer."),
  ALREADY_KEPT: {
    retryable: false,
    executed: "yes",
    sentence: "This number was kept long ago: find it in the history by producer and number, and compare.",
  },
  TOO_MANY_PRODUCERS: refused("Too many producers of this user are new at once; use one of those that are known."),
  UNAUTHENTICATED: refused("The log-in has ended; log in again."),
  TICKET_USED: refused("The ticket was used before; ask for a new one."),
});
