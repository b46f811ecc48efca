import type { Key } from "../config/keys.ts";
import { RperfError } from "../errors.ts";
import { type Exchange, exchangeOf, isSameMac } from "../protocol/auth.ts";
import { encodeClientMessage } from "../protocol/encode.ts";
import { encodeBody } from "../protocol/framing.ts";
import { type Configuration, NONCE_BYTES, type ServerMessage } from "../protocol/messages.ts";
import { TEST_ID_BYTES } from "../protocol/tcp-data.ts";

/** A configuration that offers a key, and what its proofs are about. */
export interface Offered {
  readonly configuration: Configuration;
  readonly clientNonce: Uint8Array;
}

type Challenge = Extract<ServerMessage, { kind: "challenge" }>;

/** The same configuration, without a test id of its own: that follows from the key. */
export function withKey(configuration: Configuration, { id: keyId }: Key): Offered {
  const clientNonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const auth = { keyId, nonce: clientNonce };
  const testId = new Uint8Array(TEST_ID_BYTES);
  const offered: Configuration =
    configuration.role === "download"
      ? { ...configuration, testId, extensions: configuration.extensions && { ...configuration.extensions, auth } }
      : { ...configuration, testId, extensions: configuration.extensions && { ...configuration.extensions, auth } };
  return { configuration: offered, clientNonce };
}

/**
 * What both sides have from the key once the server has proven that it has it; `where` names the server. Throws `auth-failed`
 * where it has not.
 */
export function exchangeWith(
  where: string,
  { secret }: Key,
  { configuration, clientNonce }: Offered,
  { nonce: serverNonce, mac }: Challenge,
  keyingMaterial: Uint8Array | null,
): Exchange {
  const body = encodeBody(encodeClientMessage(configuration));
  const exchange = exchangeOf(secret, { clientNonce, serverNonce, keyingMaterial, body }, configuration.role);
  if (isSameMac(mac, exchange.serverMac)) return exchange;
  const otherwise = "or somebody has changed what was sent";
  throw new RperfError(
    "auth-failed",
    `${where} does not know this key (its id or its secret is another's), ${otherwise}`,
  );
}
