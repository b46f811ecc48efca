import { placeOf } from "../protocol/address.ts";

/** Wrong proofs that cost nothing: a mistyped key is tried again. */
const FREE_FAILURES = 3;
const FIRST_DELAY_MS = 1000;
const MOST_DELAY_MS = 60_000;
/** Without another attempt for so long behind its delay an address is forgotten. */
const FORGET_MS = 10 * 60_000;
/** Addresses that are remembered: the one that failed longest ago goes first. */
const MAX_ADDRESSES = 10_000;

interface Failures {
  readonly count: number;
  readonly untilMs: number;
}

/** Slows down those who try keys: each wrong proof beyond the first ones doubles the wait of its address. */
export class AuthBackoff {
  /** By network, the one that failed longest ago first. */
  readonly #failures = new Map<string, Failures>();

  /** How many are remembered. */
  get size(): number {
    return this.#failures.size;
  }

  /** Seconds until `address` may try again, rounded up; 0 = now. */
  waitSeconds(address: string, nowMs: number): number {
    const failures = this.#failures.get(placeOf(address));
    return failures === undefined ? 0 : Math.max(0, Math.ceil((failures.untilMs - nowMs) / 1000));
  }

  failed(address: string, nowMs: number): void {
    this.#forgetOld(nowMs);
    const network = placeOf(address);
    const count = (this.#failures.get(network)?.count ?? 0) + 1;
    // To the end of the order.
    this.#failures.delete(network);
    this.#failures.set(network, { count, untilMs: nowMs + delayMs(count) });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_ADDRESSES && oldest !== undefined) this.#failures.delete(oldest);
  }

  succeeded(address: string): void {
    this.#failures.delete(placeOf(address));
  }

  #forgetOld(nowMs: number): void {
    for (const [network, { untilMs }] of this.#failures) {
      // Those behind failed later; a longer delay keeps some a little longer than they need.
      if (nowMs - untilMs < FORGET_MS) return;
      this.#failures.delete(network);
    }
  }
}

function delayMs(failures: number): number {
  if (failures <= FREE_FAILURES) return 0;
  return Math.min(FIRST_DELAY_MS * 2 ** (failures - FREE_FAILURES - 1), MOST_DELAY_MS);
}
