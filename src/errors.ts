/**
 * Stable names of what can go wrong. Branch on these, never on the text of a message.
 *
 * - `usage`: the command line asks for something that cannot be.
 * - `resolve-failed`, `connect-refused`, `connect-timeout`, `connect-failed`: no control connection.
 * - `port-in-use`, `pool-exhausted`, `bind-failed`: no local port to listen on.
 * - `offload-refused`: the system refuses the UDP offload that was asked for.
 * - `option-refused`: the system refuses a socket option that was asked for: address, interface, congestion control, DSCP,
 *   segment size or source port.
 * - `tls-failed`: no TLS connection, or not with a server that is to be trusted.
 * - `auth-failed`: the server did not prove that it has the client's key.
 * - `peer-refused`: the peer answered with an error message of its own.
 * - `peer-protocol`: the peer sent what the protocol does not allow, or is no rperf at all.
 * - `peer-lost`: the control connection ended or fell silent.
 * - `outage`: the control connection was lost, and not had again before the deadline.
 * - `resume-refused`: the server answers, but holds no result to resume under the token.
 * - `stream-failed`: a data stream could not be opened, or broke.
 * - `stream-silent`: a receiver saw no data for too long.
 * - `pid-file`: the file cannot be written, or names a server that runs.
 * - `stopped`: this side was asked to stop.
 * - `internal`: a defect of rperf.
 */
export type ErrorCode =
  | "usage"
  | "resolve-failed"
  | "connect-refused"
  | "connect-timeout"
  | "connect-failed"
  | "port-in-use"
  | "pool-exhausted"
  | "bind-failed"
  | "offload-refused"
  | "option-refused"
  | "tls-failed"
  | "auth-failed"
  | "peer-refused"
  | "peer-protocol"
  | "peer-lost"
  | "outage"
  | "resume-refused"
  | "stream-failed"
  | "stream-silent"
  | "pid-file"
  | "stopped"
  | "internal";

/** The one base of every error that rperf raises on purpose; `cause` keeps what the system said. */
export class RperfError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "RperfError";
    this.code = code;
  }
}

/** Exit statuses of the program, as documented in the README. */
export const EXIT_OK = 0;
const EXIT_USAGE = 2;
export const EXIT_FORCED = 3;
export const EXIT_FAILED = 4;

/** The only place where an error becomes an exit status. */
export function exitStatusOf(error: unknown): number {
  return error instanceof RperfError && error.code === "usage" ? EXIT_USAGE : EXIT_FAILED;
}

/** The text of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, " ");
}

/** The system's code (`ECONNREFUSED`, …) of an error raised by a socket call, or null. */
export function systemCodeOf(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}
