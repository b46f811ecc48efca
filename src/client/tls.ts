import type { TlsTrust } from "../config/tls.ts";
import { DeadlineError, withDeadline } from "../clock.ts";
import type { ControlChannel } from "../control/channel.ts";
import { messageOf, RperfError } from "../errors.ts";

/** A server gives a handshake up after as long. */
const HANDSHAKE_TIMEOUT_MS = 5000;
const DOUBT = "is it rperf with --tls-cert?";

/** What Bun is told of a connection to the server called `host`, which is to be verified here. */
export function tlsOptions({ ca }: TlsTrust, host: string): Bun.TLSOptions & { readonly minVersion: number } {
  // Nothing before TLS 1.3 (RFC 8446, 4.1.2). Bun's own verdict, on the chain and the name, knows of no fingerprints.
  return { serverName: host, rejectUnauthorized: false, minVersion: 0x0304, ...(ca === null ? {} : { ca }) };
}

/** What came of a TLS handshake. */
export interface Handshake {
  /** Whether both sides have finished it, so that the other has the key of its certificate. */
  readonly isDone: boolean;
  /** Why it was not done, or why the certificate is not that of a server that is known; null = it is. */
  readonly complaint: Error | null;
}

/** What Bun's event tells, whose boolean is false also where only the name is another. */
export function handshakeOf(socket: Bun.Socket<ControlChannel>, isGood: boolean, error: Error | null): Handshake {
  const complaint = error ?? (isGood ? null : new Error("no reason is known"));
  try {
    // Not to be had before the end (SSL_export_keying_material of BoringSSL), whatever came of the certificate.
    socket.exportKeyingMaterial(1, "EXPORTER-rperf-done");
    return { isDone: true, complaint };
  } catch {
    return { isDone: false, complaint };
  }
}

/** Whom a connection is to reach; `where` names it in errors. */
interface Expected {
  readonly trust: TlsTrust;
  readonly where: string;
}

/**
 * Resolves once the other end is known to be the server that was asked for, or to have the certificate that is trusted.
 * Rejects with `tls-failed`, the connection ended.
 */
export async function verifyServer(
  socket: Bun.Socket<ControlChannel>,
  handshake: Promise<Handshake>,
  expected: Expected,
): Promise<void> {
  try {
    verify(socket, await withDeadline(handshake, HANDSHAKE_TIMEOUT_MS), expected);
  } catch (error) {
    socket.data.abort();
    if (!(error instanceof DeadlineError)) throw error;
    throw failure(`no TLS with ${expected.where} within ${HANDSHAKE_TIMEOUT_MS / 1000} s; ${DOUBT}`, error);
  }
}

function verify(
  socket: Bun.Socket<ControlChannel>,
  { isDone, complaint }: Handshake,
  { trust, where }: Expected,
): void {
  if (!isDone) throw failure(`no TLS 1.3 with ${where} (${lastWordOf(complaint)}); ${DOUBT}`, complaint);
  if (trust.fingerprint === null) {
    if (complaint === null) return;
    throw failure(`the certificate of ${where} is not trusted: ${messageOf(complaint)}`, complaint);
  }
  const found = socket.getPeerCertificate().fingerprint256.replaceAll(":", "").toLowerCase();
  if (found === trust.fingerprint) return;
  throw failure(`the certificate of ${where} is not that of --tls-fingerprint: its SHA-256 is ${found}`, null);
}

/** "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER" and the like. */
function lastWordOf(error: Error | null): string {
  return messageOf(error).split(":").at(-1) ?? "";
}

function failure(message: string, cause: Error | null): RperfError {
  return new RperfError("tls-failed", message, { cause });
}
