import { DeadlineError, withDeadline } from "../clock.ts";
import type { Policy } from "../config/policy.ts";
import { RperfError } from "../errors.ts";
import { type DerivedSecrets, exchangeOf, isSameMac } from "../protocol/auth.ts";
import { type AuthOffer, MAC_BYTES, NONCE_BYTES } from "../protocol/messages.ts";
import { AuthBackoff } from "./auth-backoff.ts";
import type { Applicant } from "./gate.ts";

/** How long a client may take to answer a challenge. */
const PROOF_TIMEOUT_MS = 10_000;

/** What a client that has a key is told by, whether the server does not know its id or the proof is wrong. */
const NOT_PROVEN = "the server does not take this key: its id or its secret is another's";
const KEY_WANTED = "this server takes no client without a key (rperf has --key-file and RPERF_KEY)";

/** A client that has proven to have a key. */
export interface Proven {
  readonly keyId: string;
  /** By which it has proven it. */
  readonly secret: Uint8Array;
  readonly derived: DerivedSecrets;
}

/** Asks clients for their keys. */
export class Authenticator {
  /** Stands for every key that is not known: whoever asks sees the same answers, after the same work. */
  readonly #unknown = crypto.getRandomValues(new Uint8Array(MAC_BYTES));
  readonly #backoff = new AuthBackoff();

  /** Null for a client that may come without a key. Rejects with `peer-protocol`, whose message is for the client. */
  async authenticate(applicant: Applicant, policy: Policy): Promise<Proven | null> {
    const offer = applicant.configuration.extensions?.auth ?? null;
    if (policy.auth === "off") return null;
    if (offer !== null) return this.#prove(applicant, offer, policy);
    if (policy.auth === "optional") return null;
    throw new RperfError("peer-protocol", KEY_WANTED);
  }

  /** Whether who was let through once would be by the policy in force now. Throws `peer-protocol` where not. */
  check(proven: Proven | null, { auth, keys }: Policy): void {
    if (proven === null && auth === "required") throw new RperfError("peer-protocol", KEY_WANTED);
    if (proven === null || auth === "off") return;
    const secret = keys.get(proven.keyId);
    if (secret === undefined || !Buffer.from(secret).equals(proven.secret)) {
      throw new RperfError("peer-protocol", NOT_PROVEN);
    }
  }

  async #prove(applicant: Applicant, offer: AuthOffer, { keys }: Policy): Promise<Proven> {
    const { remoteAddress, configuration, body, keyingMaterial } = applicant;
    this.#checkBackoff(remoteAddress);
    const known = keys.get(offer.keyId);
    const serverNonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const transcript = { clientNonce: offer.nonce, serverNonce, keyingMaterial, body };
    const { serverMac, clientMac, ...derived } = exchangeOf(known ?? this.#unknown, transcript, configuration.role);
    const proof = proofWithin(applicant);
    applicant.tell({ kind: "challenge", nonce: serverNonce, mac: serverMac });
    const { mac } = await proof;
    // However many challenges an address had at the same time, it gets no more proofs looked at than one after the other.
    this.#checkBackoff(remoteAddress);
    const isRight = isSameMac(mac, clientMac);
    if (isRight && known !== undefined) {
      this.#backoff.succeeded(remoteAddress);
      return { keyId: offer.keyId, secret: known, derived };
    }
    this.#backoff.failed(remoteAddress, performance.now());
    throw new RperfError("peer-protocol", NOT_PROVEN);
  }

  #checkBackoff(address: string): void {
    const waitSeconds = this.#backoff.waitSeconds(address, performance.now());
    if (waitSeconds === 0) return;
    const message = `too many wrong keys came from your address; try again in ${waitSeconds} s`;
    throw new RperfError("peer-protocol", message);
  }
}

async function proofWithin(applicant: Applicant) {
  try {
    return await withDeadline(applicant.proof(), PROOF_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new RperfError("peer-protocol", `no proof came for ${PROOF_TIMEOUT_MS / 1000} s`, { cause: error });
  }
}
