// What a receiver ought to say of the packets that reached it: a second opinion, written for clarity and not for speed.

export interface ArrivalOrder {
  /** Different packets that came. */
  readonly unique: number;
  readonly lost: number;
  readonly duplicated: number;
  /** RFC 4737 §3.3: it is lower than one that came before it. Copies of a packet that came already are not judged. */
  readonly reordered: number;
  /**
   * RFC 4737 §4.2, of each reordered packet as it came: how many packets lie between it and the earliest one that it
   * should have come before, that one included.
   */
  readonly extents: readonly number[];
}

/** `arrivals` are numbers of packets, 0 to `sent` - 1, as they came. */
export function arrivalOrderOf(arrivals: readonly number[], sent: number): ArrivalOrder {
  const seen = new Set<number>();
  /** The highest number among the first so many unique arrivals and the one at the place itself. */
  const highest: number[] = [];
  const extents: number[] = [];
  for (const number of arrivals) {
    if (seen.has(number)) continue;
    seen.add(number);
    const before = highest.at(-1) ?? -1;
    if (number < before) {
      let earliest = highest.length - 1;
      while ((highest[earliest - 1] ?? -1) > number) earliest -= 1;
      extents.push(highest.length - earliest);
    }
    highest.push(Math.max(before, number));
  }
  return {
    unique: seen.size,
    lost: sent - seen.size,
    duplicated: arrivals.length - seen.size,
    reordered: extents.length,
    extents,
  };
}
