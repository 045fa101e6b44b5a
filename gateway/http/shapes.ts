// The shapes of what is asked and answered, checked on the way in and described in the OpenAPI document.

import { z } from "zod";

const id = z.number().int().positive().max(Number.MAX_SAFE_INTEGER);
const idText = z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
/** What every engine keeps as it is: PostgreSQL knows no NUL. */
const wellFormed = (text: string) => text.isWellFormed() && !text.includes("\0");

export const name = z
  .string()
  .min(1)
  .max(32)
  .regex(/^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u, "letters, digits, and . _ - between them")
  .transform((text) => text.normalize("NFC"));
export const password = z.string().min(8).max(256);
export const displayName = z.string().trim().min(1).max(64).refine(wellFormed, "well-formed Unicode");
export const title = z.string().trim().max(128).refine(wellFormed, "well-formed Unicode");
export const role = z.enum(["member", "admin", "owner"]);

export const profile = z.object({ userId: id, name: z.string(), displayName: z.string() });
export const credentials = z.object({
  userId: id,
  deviceId: id,
  accessToken: z.string(),
  accessExpiresInS: z.number(),
  refreshToken: z.string(),
  refreshExpiresInS: z.number(),
});
export const device = z.object({ deviceId: id, name: z.string(), createdMs: z.number(), lastSeenMs: z.number() });
export const kept = z.object({ messageId: z.number() });
export const nothing = z.null().describe("No content");
/** Every answer of 400 and above. */
export const error = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    retryable: z.boolean(),
    executed: z.enum(["no", "maybe", "yes"]),
    retryAfterMs: z.number().optional(),
  }),
});

export const userParams = z.object({ userId: idText });
export const deviceParams = z.object({ deviceId: idText });
export const channelParams = z.object({ channelId: z.string().max(64) });
export const memberParams = z.object({ channelId: z.string().max(64), userId: idText });
export const pageQuery = z.object({
  before: idText.optional(),
  after: idText.optional(),
  around: idText.optional(),
  limit: z.coerce.number().int().min(1).max(200).optional(),
});
export const userBody = z.object({ userId: id });
export const memberBody = z.object({ userId: id, role: role.optional() });
export const groupBody = z.object({
  title,
  memberIds: z.array(id).max(1_000),
  historyVisible: z.boolean().optional(),
});
export const deviceBody = z.object({
  deviceId: id.optional(),
  name: z.string().trim().min(1).max(64).refine(wellFormed, "well-formed Unicode"),
});

export const channelSummary = z.object({
  channelId: z.string(),
  lastId: z.number(),
  ordinal: z.number(),
  readId: z.number(),
  readOrdinal: z.number(),
  unread: z.number(),
  left: z.boolean(),
});
export const channelDescription = z.object({
  channelId: z.string(),
  title: z.string(),
  lastId: z.number(),
  members: z.array(z.object({ userId: id, role })),
});
export const page = z.object({
  entries: z.array(z.record(z.string(), z.unknown())).describe("client.Entry in protobuf's JSON mapping"),
  firstVisibleId: z.number(),
  lastId: z.number(),
});

/** What a client says of where it is, and of gateways that it could not reach. `avoid` may come more than once. */
export const gatewayWish = z.object({
  region: z.string().max(64).default(""),
  avoid: z
    .union([z.string().max(256), z.array(z.string().max(256)).max(16)])
    .default([])
    .transform((value) => (typeof value === "string" ? [value] : value)),
});
