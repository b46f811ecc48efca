import { monotonicSeconds } from "../clock.ts";
import { placeOf } from "../protocol/address.ts";
import type { TestId } from "../protocol/messages.ts";
import type { Handed } from "../streams/spec.ts";
import { Allowance } from "./allowance.ts";

/** How long the results of a test can be fetched, from the first loss of its client on. */
const KEEP_MS = 10 * 60_000;
/** Tests without a client that are remembered at most, and the memory for what they keep. */
const MAX_KEPT_TESTS = 1000;
const MAX_KEPT_BYTES = 32 * 1024 * 1024;

/** Each costs the telling of what was missed: a client on a bad link has some at once, then one each so many seconds. */
const MOST_RESUMPTIONS = 8;
const RESUMPTION_SECONDS = 4;

/** A test as the registry knows it. */
export interface RegisteredTest {
  /** Only its results are left. */
  readonly isFinished: boolean;
  /** Whose it is: nobody else may resume it, or send data for it. */
  readonly remoteAddress: string;
  readonly keptBytes: number;
  /** The way to hand a stream what came to the control port; null when it does not want it. */
  take(testId: TestId, streamIndex: number, handed: Handed["family"]): ((handed: Handed) => void) | null;
  /** It is forgotten: nothing can come for it any more. */
  expired(): void;
}

interface Kept {
  readonly timer: Timer;
  /** Where its client is (see `placeOf`). */
  readonly place: string;
}

/** How much of what is bounded a kept test takes. */
type Share = (test: RegisteredTest) => number;

/** Finds a test by the secret of its client, or by the test id that its data bear. */
export class TestRegistry {
  readonly #byToken = new Map<string, RegisteredTest>();
  readonly #byTestId = new Map<string, RegisteredTest>();
  /** Those that wait for their client, the oldest first. */
  readonly #kept = new Map<RegisteredTest, Kept>();
  /** When their time is over, in ms of the monotonic clock: a client that comes again does not prolong it. */
  readonly #untilMs = new WeakMap<RegisteredTest, number>();
  readonly #keepMs: number;
  readonly #resumptions = new WeakMap<RegisteredTest, Allowance>();

  constructor(keepMs = KEEP_MS) {
    this.#keepMs = keepMs;
  }

  /** Tests that are remembered by their tokens. */
  get size(): number {
    return this.#byToken.size;
  }

  add(test: RegisteredTest, token: string): void {
    this.#byToken.set(digest(token), test);
  }

  /** False where the test id is that of other streams, of this test or of another: data could not be told apart. */
  addData(test: RegisteredTest, testId: TestId): boolean {
    const key = keyOf(testId);
    if (this.#byTestId.has(key)) return false;
    this.#byTestId.set(key, test);
    return true;
  }

  /**
   * The test of this token, when `address` is its client's; "later" when that asks too often. By digests, whose comparison
   * tells nothing of a token.
   */
  resume(token: string, address: string): RegisteredTest | "later" | null {
    const test = this.#byToken.get(digest(token));
    if (test === undefined || test.remoteAddress !== address) return null;
    // Also of a client that comes again before the loss of its connection is known.
    const nowSeconds = monotonicSeconds();
    if (test.isFinished && this.#keptUntilMs(test) <= nowSeconds * 1000) return null;
    const allowance = this.#resumptions.get(test) ?? new Allowance(MOST_RESUMPTIONS, RESUMPTION_SECONDS, nowSeconds);
    this.#resumptions.set(test, allowance);
    return allowance.take(nowSeconds) ? test : "later";
  }

  /** The way to hand something that came from `address` to a stream; null when there is none. */
  taker(
    stream: { readonly testId: TestId; readonly streamIndex: number },
    family: Handed["family"],
    address: string,
  ): ((handed: Handed) => void) | null {
    const test = this.#byTestId.get(keyOf(stream.testId));
    if (test === undefined || test.remoteAddress !== address) return null;
    return test.take(stream.testId, stream.streamIndex, family);
  }

  /** Keeps what the test has to tell for a while, without its client. */
  keep(test: RegisteredTest): void {
    const untilMs = this.#keptUntilMs(test);
    const timer = setTimeout(() => this.#expire(test), Math.max(0, untilMs - performance.now()));
    timer.unref();
    this.#kept.set(test, { timer, place: placeOf(test.remoteAddress) });
    this.#makeRoom();
  }

  /** Its client is back. */
  release(test: RegisteredTest): void {
    clearTimeout(this.#kept.get(test)?.timer);
    this.#kept.delete(test);
  }

  remove(test: RegisteredTest): void {
    this.release(test);
    for (const map of [this.#byToken, this.#byTestId]) {
      for (const [key, other] of map) if (other === test) map.delete(key);
    }
  }

  /** No timer is left. */
  clear(): void {
    for (const { timer } of this.#kept.values()) clearTimeout(timer);
    this.#kept.clear();
    this.#byToken.clear();
    this.#byTestId.clear();
  }

  #keptUntilMs(test: RegisteredTest): number {
    const untilMs = this.#untilMs.get(test) ?? performance.now() + this.#keepMs;
    this.#untilMs.set(test, untilMs);
    return untilMs;
  }

  #makeRoom(): void {
    const one = (): number => 1;
    const bytesOf = (test: RegisteredTest): number => test.keptBytes;
    while (this.#kept.size > MAX_KEPT_TESTS) this.#expireOne(one);
    while (this.#sum(bytesOf) > MAX_KEPT_BYTES) this.#expireOne(bytesOf);
  }

  #sum(share: Share): number {
    let sum = 0;
    for (const test of this.#kept.keys()) sum += share(test);
    return sum;
  }

  /** The oldest of the place with the most: nobody else loses anything by whoever has much kept. */
  #expireOne(share: Share): void {
    const sums = new Map<string, number>();
    for (const [test, { place }] of this.#kept) {
      sums.set(place, (sums.get(place) ?? 0) + share(test));
    }
    const most = Math.max(...sums.values());
    for (const [test, { place }] of this.#kept) {
      if (sums.get(place) === most) return this.#expire(test);
    }
  }

  #expire(test: RegisteredTest): void {
    this.remove(test);
    test.expired();
  }
}

function digest(token: string): string {
  return new Bun.CryptoHasher("sha256").update(token).digest("hex");
}

function keyOf(testId: TestId): string {
  return testId.toHex();
}
