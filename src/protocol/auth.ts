/*
 * What both ends of an authenticated configuration compute; README.md, section 12 says what it is for. The transcript, all
 * lengths in bytes and big-endian:
 *
 *   +----------+----------------+----------+----------------+----------+-----------------+----------+-----------------+
 *   | 32       | client's nonce | 32       | server's nonce | 0 or 32  | TLS exporter's  | u32      | body of the     |
 *   | u32      | 32             | u32      | 32             | u32      | keying material | length   | configuration   |
 *   +----------+----------------+----------+----------------+----------+-----------------+----------+-----------------+
 */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { Configuration, TestId } from "./messages.ts";
import { MAC_BYTES } from "./messages.ts";
import { TEST_ID_BYTES } from "./tcp-data.ts";

const HASH = "sha256";
const LENGTH_BYTES = 4;
const TOKEN_BYTES = 16;

/** All that one exchange is about; a change of a single bit makes every proof of it wrong. */
export interface Transcript {
  /** NONCE_BYTES long, both. */
  readonly clientNonce: Uint8Array;
  readonly serverNonce: Uint8Array;
  /** Of the TLS connection (RFC 5705); null without TLS. */
  readonly keyingMaterial: Uint8Array | null;
  /** The configuration's frame without its length. */
  readonly body: Uint8Array;
}

/** What only those can know who have the secret. */
export interface DerivedSecrets {
  /** What the test's data begin with. */
  readonly testId: TestId;
  /** What its client comes back by. */
  readonly resumeToken: string;
}

export interface Exchange extends DerivedSecrets {
  /** MAC_BYTES long, both. */
  readonly serverMac: Uint8Array;
  readonly clientMac: Uint8Array;
}

/** Everything that the two ends of a configuration with `role` derive from a secret: HKDF (RFC 5869) and HMAC (RFC 2104). */
export function exchangeOf(secret: Uint8Array, transcript: Transcript, role: Configuration["role"]): Exchange {
  const salt = Buffer.concat([transcript.clientNonce, transcript.serverNonce]);
  const derive = (info: string, bytes: number) => new Uint8Array(hkdfSync(HASH, secret, salt, info, bytes));
  const encoded = encodeTranscript(transcript);
  const macBy = (info: string) => createHmac(HASH, derive(info, MAC_BYTES)).update(encoded).digest();
  return {
    serverMac: macBy("rperf 3 server"),
    clientMac: macBy("rperf 3 client"),
    testId: derive(`rperf 3 test id ${role}`, TEST_ID_BYTES),
    resumeToken: derive("rperf 3 resume", TOKEN_BYTES).toHex(),
  };
}

/** Compares in a time that tells nothing of where they differ; both are MAC_BYTES long. */
export function isSameMac(one: Uint8Array, other: Uint8Array): boolean {
  return timingSafeEqual(one, other);
}

/** Each field behind its length, so that no two transcripts have the same bytes. */
function encodeTranscript({ clientNonce, serverNonce, keyingMaterial, body }: Transcript): Uint8Array {
  const fields = [clientNonce, serverNonce, keyingMaterial ?? new Uint8Array(), body];
  return Buffer.concat(fields.flatMap((field) => [lengthOf(field), field]));
}

function lengthOf({ length }: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(LENGTH_BYTES);
  bytes.writeUInt32BE(length);
  return bytes;
}
