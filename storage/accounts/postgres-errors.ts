// From what PostgreSQL and its driver throw to errors of ours. What a client is told names no host and no table: the facts are
// in the cause, for the log.

import { type ErrorDetails, type Executed, MadangError, runtimeErrors } from "../../runtime/index.ts";
import { accountErrors } from "./errors.ts";

interface Thrown {
  readonly code?: string;
  readonly syscall?: string;
  readonly message?: string;
}

/** Another moment is better: the caller comes again after this. */
const BUSY_RETRY_MS = 1_000;
/** Two that ended each other's turn do not meet again. */
const CONFLICT_RETRY_MS = 50;

const unavailable = (details: ErrorDetails) =>
  runtimeErrors.UNAVAILABLE({ message: "The accounts cannot be reached now.", ...details });

export const overloaded = (cause?: unknown) =>
  runtimeErrors.OVERLOADED({
    message: "The accounts have too much to do; try again after retryAfterMs.",
    retryAfterMs: BUSY_RETRY_MS,
    cause,
  });

/** No answer at all, although the server ends each statement in time: the connection is dead, or the server is. */
export const unanswered = (executed: Executed) =>
  runtimeErrors.DEADLINE_EXCEEDED({ message: "The accounts did not answer in time.", executed });

/** Why there is no connection. */
export function fromConnect(thrown: unknown): MadangError {
  const { code = "", syscall, message = "" } = thrown as Thrown;
  if (message === "timeout exceeded when trying to connect") return overloaded(thrown); // all connections are busy
  if (/^(28|3D)/.test(code)) return accountErrors.DATABASE_REFUSED({ cause: thrown }); // who asks, or for what database
  if (syscall === "open") return accountErrors.DATABASE_REFUSED({ cause: thrown }); // a file that the address names
  if (isState(code) || syscall !== undefined || /^E[A-Z]+$/.test(code) || message.startsWith("Connection terminated")) {
    return unavailable({ cause: thrown });
  }
  return accountErrors.DATABASE_REFUSED({ cause: thrown }); // TLS that one of the two does not want, or a broken certificate
}

/**
 * Why a statement failed, and whether the connection can go on. What is not of the engine's state but of the statement is our
 * mistake, and left as it is.
 */
export function fromStatement(
  thrown: unknown,
  executed: Executed,
): { readonly error: unknown; readonly broken: boolean } {
  const { code = "", message = "" } = thrown as Thrown;
  if (code === "57014" || code === "55P03") {
    const error = runtimeErrors.DEADLINE_EXCEEDED({
      message: "The accounts did not answer in time.",
      executed: "no", // the server has rolled it back
      cause: thrown,
    });
    return { error, broken: false };
  }
  if (code === "40P01" || code === "40001") {
    return { error: unavailable({ cause: thrown, retryAfterMs: CONFLICT_RETRY_MS }), broken: false };
  }
  if (code === "42501") return { error: accountErrors.DATABASE_REFUSED({ cause: thrown }), broken: false }; // no permission
  if (code.startsWith("53")) return { error: unavailable({ cause: thrown }), broken: false }; // out of disk or memory
  if (code === "25006") return { error: unavailable({ cause: thrown }), broken: true }; // a replica now: connect anew
  if (/^(08|57P|25P03|58)/.test(code) || (!isState(code) && isOfConnection(thrown as Thrown, message))) {
    return { error: unavailable({ cause: thrown, executed }), broken: true };
  }
  return { error: thrown, broken: !isState(code) };
}

/** Five characters of SQLSTATE: the server itself said why. */
function isState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code);
}

function isOfConnection({ code, syscall }: Thrown, message: string): boolean {
  return (
    syscall !== undefined ||
    /^E[A-Z]+$/.test(code ?? "") ||
    /^(Connection terminated|Client (has encountered|was closed))/.test(message)
  );
}

/** The same error for the operator who starts a node: it says where, and what the server said. */
export function atPlace(thrown: unknown, place: string): unknown {
  if (!(thrown instanceof MadangError)) return thrown;
  const { code, retryable, executed, cause, retryAfterMs, detail, message } = thrown;
  const said = saidBy(cause);
  return new MadangError(
    code,
    { retryable, executed, sentence: message },
    {
      message: `PostgreSQL at ${place}: ${message}${said === "" ? "" : ` It said: ${said}`}`,
      cause,
      retryAfterMs,
      detail,
    },
  );
}

function saidBy(cause: unknown): string {
  if (cause === undefined) return "";
  const { code = "", message = "" } = cause as Thrown;
  return message === "" ? code : message; // several addresses of one name are refused without a message
}
