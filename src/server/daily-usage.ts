const SECONDS_PER_HOUR = 3600;
/** The hour that has begun and those before it: what is left out is more than 24 hours ago. */
const KEPT_HOURS = 25;
/** Some 200 bytes each. */
const MOST_IDENTITIES = 100_000;

interface HourOfUse {
  readonly hour: number;
  bytes: number;
}

/** Who moved how many bytes in the last 24 hours, by the hour; times are seconds on any clock that never steps back. */
export class DailyUsage {
  /** What running tests are yet to move. */
  readonly #heldOf = new Map<string, number>();
  /** The one that moved something last is last. */
  readonly #hoursOf = new Map<string, HourOfUse[]>();
  readonly #mostIdentities: number;

  constructor(mostIdentities = MOST_IDENTITIES) {
    this.#mostIdentities = mostIdentities;
  }

  /** For whom something is kept. */
  get identities(): number {
    return this.#hoursOf.size;
  }

  /** Those that have moved nothing for the longest are forgotten when there are too many. */
  add(identity: string, bytes: number, nowSeconds: number): void {
    if (bytes === 0) return;
    const hour = hourOf(nowSeconds);
    const hours = recent(this.#hoursOf.get(identity) ?? [], hour);
    const last = hours.at(-1);
    if (last?.hour === hour) last.bytes += bytes;
    else hours.push({ hour, bytes });
    this.#hoursOf.delete(identity);
    this.#hoursOf.set(identity, hours);
    const oldest = this.#hoursOf.keys().next();
    if (this.#hoursOf.size > this.#mostIdentities && oldest.done !== true) this.#hoursOf.delete(oldest.value);
  }

  /** Bytes that nobody else may take any more, until they are given back (below 0). */
  hold(identity: string, bytes: number): void {
    const held = (this.#heldOf.get(identity) ?? 0) + bytes;
    if (held > 0) this.#heldOf.set(identity, held);
    else this.#heldOf.delete(identity);
  }

  /** Those that are held are among them. */
  bytesOf(identity: string, nowSeconds: number): number {
    const hours = recent(this.#hoursOf.get(identity) ?? [], hourOf(nowSeconds));
    return hours.reduce((sum, { bytes }) => sum + bytes, this.#heldOf.get(identity) ?? 0);
  }
}

function hourOf(seconds: number): number {
  return Math.floor(seconds / SECONDS_PER_HOUR);
}

function recent(hours: readonly HourOfUse[], nowHour: number): HourOfUse[] {
  return hours.filter(({ hour }) => hour > nowHour - KEPT_HOURS);
}
