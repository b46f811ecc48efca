import type { ClassLimits, Policy } from "../config/policy.ts";
import type { Configuration } from "../protocol/messages.ts";
import { formatBytes } from "../units.ts";
import { Classifier, type Identity } from "./classify.ts";
import { DailyUsage } from "./daily-usage.ts";
import { checkDay, checkLimits, plannedBytesOf } from "./limits.ts";
import { TOLERANCE } from "./traffic-watch.ts";

/** What a test has of what its class may have. */
export interface Claim {
  readonly limits: ClassLimits;
  /** Whom its bytes are counted for: "key ID", or the place. */
  readonly identity: string;
  /** Where its client is (see `placeOf`). */
  readonly place: string;
  /** Whether what it moves counts for anything. */
  readonly isCounted: boolean;
  /** Before the test has its place: by the policy in force now. Throws as `claim` does. */
  renew(nowSeconds: number): void;
  /** To be told of what the test moves. Why it must end, where the client has no more left for the day; else null. */
  count(bytes: number, nowSeconds: number): string | null;
  /** Another direction of the same test. Throws as `claim` does. */
  extend(configuration: Configuration, nowSeconds: number): void;
  /** Nothing more is moved: what was planned, and was not, is anybody's. More than once is no error. */
  end(): void;
}

/** Who is of which class, and has what of it left. */
export class ClassBooks {
  #classifier: Classifier;
  readonly #usage = new DailyUsage();

  constructor(policy: Policy) {
    this.#classifier = new Classifier(policy);
  }

  /** For claims that come from now on, and those that are renewed. */
  set policy(policy: Policy) {
    this.#classifier = new Classifier(policy);
  }

  /**
   * Bytes that are planned are the test's until they are moved, or the claim ends. `keyId`: proven; null without. Throws
   * `peer-protocol` that names the limit it is over.
   */
  claim(address: string, keyId: string | null, configuration: Configuration, nowSeconds: number): Claim {
    const claim = new TestClaim(() => this.#classifier.identify(address, keyId), this.#usage);
    claim.extend(configuration, nowSeconds);
    return claim;
  }
}

class TestClaim implements Claim {
  readonly #identify: () => Identity;
  readonly #usage: DailyUsage;
  #identity: Identity;
  #configurations: readonly Configuration[] = [];
  #plannedBytes = 0;
  #heldBytes = 0;
  #movedBytes = 0;

  constructor(identify: () => Identity, usage: DailyUsage) {
    this.#identify = identify;
    this.#identity = identify();
    this.#usage = usage;
  }

  get limits(): ClassLimits {
    return this.#identity.limits;
  }

  get identity(): string {
    return this.#identity.name;
  }

  get place(): string {
    return this.#identity.place;
  }

  get isCounted(): boolean {
    return this.limits.bytesPerDay !== null;
  }

  renew(nowSeconds: number): void {
    const configurations = this.#configurations;
    this.end();
    this.#identity = this.#identify();
    this.#configurations = [];
    this.#plannedBytes = 0;
    for (const configuration of configurations) this.extend(configuration, nowSeconds);
  }

  extend(configuration: Configuration, nowSeconds: number): void {
    const otherStreams = this.#configurations.reduce((sum, { streams }) => sum + streams, 0);
    checkLimits(this.limits, configuration, otherStreams);
    const plannedBytes = plannedBytesOf(configuration);
    const leftBytes = (this.limits.bytesPerDay ?? Infinity) - this.#usage.bytesOf(this.identity, nowSeconds);
    checkDay(
      this.limits,
      leftBytes + this.#heldBytes,
      plannedBytes === null ? null : plannedBytes + this.#plannedBytes,
    );
    this.#configurations = [...this.#configurations, configuration];
    this.#plannedBytes += plannedBytes ?? 0;
    if (this.isCounted) this.#hold(Math.ceil(plannedBytes ?? 0));
  }

  count(bytes: number, nowSeconds: number): string | null {
    const { bytesPerDay } = this.limits;
    if (bytesPerDay === null) return null;
    this.#hold(-Math.min(bytes, this.#heldBytes));
    this.#usage.add(this.identity, bytes, nowSeconds);
    this.#movedBytes += bytes;
    // What was planned was left: such a test may take that, and a little more.
    if (this.#movedBytes <= this.#plannedBytes * (1 + TOLERANCE)) return null;
    if (this.#usage.bytesOf(this.identity, nowSeconds) <= bytesPerDay) return null;
    return `the limit of class ${this.limits.name} is ${formatBytes(bytesPerDay)} in 24 hours`;
  }

  end(): void {
    this.#hold(-this.#heldBytes);
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#usage.hold(this.identity, bytes);
  }
}
