import { createPrivateKey, X509Certificate } from "node:crypto";
import { messageOf, RperfError } from "../errors.ts";
import { checkKeys } from "./checks.ts";

/** Whom a client trusts: whoever has this certificate, or a name that these authorities vouch for; never both. */
export interface TlsTrust {
  /** PEM; null = the system's. */
  readonly ca: string | null;
  /** SHA-256 of the certificate, 64 of 0-9 a-f; null = by authorities. */
  readonly fingerprint: string | null;
}

/** By what a server proves who it is, both PEM. */
export interface TlsIdentity {
  /** The server's own, and those up to an authority, if there are any. */
  readonly cert: string;
  readonly key: string;
}

/** What `openssl x509 -fingerprint -sha256` prints behind its equals sign, or the same without colons. */
export function parseFingerprint(text: string): string {
  const digits = text.replaceAll(":", "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw new RperfError("usage", "--tls-fingerprint must be 64 hexadecimal digits, the SHA-256 of a certificate");
}

/** Null = no TLS. */
export function checkTlsTrust(value: unknown): TlsTrust | null {
  if (value === undefined || value === null) return null;
  checkKeys("tls", value, ["ca", "fingerprint"]);
  const { ca = null, fingerprint = null }: { ca?: unknown; fingerprint?: unknown } = Object(value);
  if (ca !== null && fingerprint !== null) {
    throw new RperfError(
      "usage",
      "--tls-ca and --tls-fingerprint exclude each other: trust authorities or one certificate",
    );
  }
  return {
    ca: ca === null ? null : checkCertificate("--tls-ca", ca),
    fingerprint: fingerprint === null ? null : parseFingerprint(typeof fingerprint === "string" ? fingerprint : ""),
  };
}

/** Null = no TLS. */
export function checkTlsIdentity(value: unknown): TlsIdentity | null {
  if (value === undefined || value === null) return null;
  checkKeys("tls", value, ["cert", "key"]);
  const { cert, key }: { cert?: unknown; key?: unknown } = Object(value);
  const identity = { cert: checkCertificate("--tls-cert", cert), key: checkPrivateKey(key) };
  if (new X509Certificate(identity.cert).checkPrivateKey(createPrivateKey(identity.key))) return identity;
  throw new RperfError("usage", "--tls-key is not the key of the certificate in --tls-cert");
}

function checkCertificate(flag: string, pem: unknown): string {
  try {
    if (typeof pem === "string" && new X509Certificate(pem).raw.length > 0) return pem;
  } catch (cause) {
    throw new RperfError("usage", `${flag} holds no certificate in PEM (${messageOf(cause)})`, { cause });
  }
  throw new RperfError("usage", `${flag} must be a certificate in PEM`);
}

/** What is wrong with it is not told: it may be shown by that. */
function checkPrivateKey(pem: unknown): string {
  try {
    if (typeof pem === "string" && createPrivateKey(pem).type === "private") return pem;
  } catch {
    // Told below.
  }
  throw new RperfError("usage", "--tls-key must be a private key in PEM, without a passphrase");
}
