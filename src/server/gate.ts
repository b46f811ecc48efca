import { monotonicSeconds } from "../clock.ts";
import type { ClassLimits, Policy } from "../config/policy.ts";
import { RperfError } from "../errors.ts";
import type { DerivedSecrets } from "../protocol/auth.ts";
import type { ClientMessage, Configuration, ServerMessage } from "../protocol/messages.ts";
import { Authenticator } from "./authenticate.ts";
import { type Claim, ClassBooks } from "./class-books.ts";
import { goneError, type Place, Places, type Surroundings } from "./places.ts";

/** What is below takes a privilege to listen at (RFC 6335, 6): no receiver of a test should. */
const FIRST_USER_PORT = 1024;

const TWO_KEYS = "both configurations of a test must be of one key";

/** What a client says in answer to a challenge. */
export type Proof = Extract<ClientMessage, { kind: "proof" }>;

/** One configuration that asks to be let in. */
export interface Applicant {
  readonly remoteAddress: string;
  readonly configuration: Configuration;
  /** The configuration as it came over the wire, without the frame's length. */
  readonly body: Uint8Array;
  /** Binds a proof to the TLS connection (RFC 5705); null without TLS. */
  readonly keyingMaterial: Uint8Array | null;
  /** What the client got for the other direction of the same test; null when this is its first configuration. */
  readonly earlier: Lease | null;
  /** Aborted: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** It has a place, or waits for one: its connection is none that has said nothing. */
  isCounted(): void;
  /** Says something to the client before it is let in. */
  tell(message: ServerMessage): void;
  /** The next proof that the client gives. Rejects when the applicant is gone. */
  proof(): Promise<Proof>;
}

/** What a client was let in with; its place is the client's until it is given back. */
export interface Lease {
  readonly limits: ClassLimits;
  /** Whom the limits count for: "key ID", or the address. */
  readonly identity: string;
  /** Of the key that was proven; null = none. */
  readonly keyId: string | null;
  /** Of this configuration; null where its client has shown no key. */
  readonly derived: DerivedSecrets | null;
  /** What it has of what its class may have. */
  readonly claim: Claim;
  /** Takes in the other direction of the same test. Throws `peer-protocol` where it is over a limit, or has no room. */
  extend(configuration: Configuration): void;
  /** Gives the place back, and behind `gone` what its streams held; more than once is no error. */
  release(gone: Promise<unknown>): void;
}

/** All that stands between a configuration and the first port that is opened for it. */
export class Gate {
  #policy: Policy;
  readonly #authenticator = new Authenticator();
  readonly #books: ClassBooks;
  readonly #places: Places;
  #closedBecause: string | null = null;

  constructor(policy: Policy, surroundings: Surroundings) {
    this.#policy = policy;
    this.#books = new ClassBooks(policy);
    this.#places = new Places(policy, surroundings);
  }

  /** For those that come from now on, and those that wait: it may let them in at once, or send them away. */
  set policy(policy: Policy) {
    this.#policy = policy;
    this.#books.policy = policy;
    this.#places.limits = policy;
  }

  /** Throws `peer-protocol` where the streams would go to ports of the client's that belong to its system's services. */
  checkTargets(ports: readonly number[]): void {
    const low = ports.find((port) => port < FIRST_USER_PORT);
    if (low === undefined || this.#policy.allowsLowPorts) return;
    const message = `stream_ports has ${low}: this server sends to no port below ${FIRST_USER_PORT} (--allow-low-ports)`;
    throw new RperfError("peer-protocol", message);
  }

  /** Lets nobody in any more. */
  close(reason: string): void {
    this.#closedBecause = reason;
  }

  /** Rejects with `peer-protocol` whose message tells the client why it is not let in, and with `stopped` when it has gone. */
  async pass(applicant: Applicant): Promise<Lease> {
    const { earlier, configuration, remoteAddress } = applicant;
    if (this.#closedBecause !== null && earlier === null) throw new RperfError("peer-protocol", this.#closedBecause);
    const proven = await this.#authenticator.authenticate(applicant, this.#policy);
    const keyId = proven?.keyId ?? null;
    const derived = proven?.derived ?? null;
    // What it had may be given back by now, and what is taken from here on would be nobody's.
    if (applicant.signal.aborted) throw goneError();
    if (earlier !== null) {
      if (earlier.keyId !== keyId) throw new RperfError("peer-protocol", TWO_KEYS);
      earlier.extend(configuration);
      return { ...earlier, derived };
    }
    const claim = this.#books.claim(remoteAddress, keyId, configuration, monotonicSeconds());
    const place = await this.#place(applicant, claim, () => {
      this.#authenticator.check(proven, this.#policy);
      claim.renew(monotonicSeconds());
    });
    return {
      limits: claim.limits,
      identity: claim.identity,
      keyId,
      derived,
      claim,
      extend(other) {
        claim.extend(other, monotonicSeconds());
        place.extend(other);
      },
      release(gone) {
        claim.end();
        place.release(gone);
      },
    };
  }

  /** What held when a client began to wait may not hold any more when its turn comes: `renew` throws then. */
  async #place(applicant: Applicant, claim: Claim, renew: () => void): Promise<Place> {
    let place: Place | null = null;
    try {
      place = await this.#places.take(applicant, claim, renew);
      renew();
      return place;
    } catch (error) {
      claim.end();
      place?.release(Promise.resolve());
      throw error;
    }
  }
}
