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

/**
 * `arrivals` are numbers of packets, 0 to `sent` - 1, as they came. Those below `first` are not judged, though the others
 * come before or behind them.
 */
export function arrivalOrderOf(arrivals: readonly number[], sent: number, first = 0): ArrivalOrder {
  const seen = new Set<number>();
  /** The highest number among the first so many unique arrivals and the one at the place itself. */
  const highest: number[] = [];
  const extents: number[] = [];
  for (const number of arrivals) {
    if (seen.has(number)) continue;
    seen.add(number);
    const before = highest.at(-1) ?? -1;
    if (number < before && number >= first) {
      let earliest = highest.length - 1;
      while ((highest[earliest - 1] ?? -1) > number) earliest -= 1;
      extents.push(highest.length - earliest);
    }
    highest.push(Math.max(before, number));
  }
  const unique = [...seen].filter((number) => number >= first).length;
  return {
    unique,
    lost: sent - first - unique,
    duplicated: arrivals.filter((number) => number >= first).length - unique,
    reordered: extents.length,
    extents,
  };
}

export interface LossBursts {
  readonly count: number;
  /** 0 without loss. */
  readonly longest: number;
  /** Null without loss. */
  readonly mean: number | null;
}

/** Runs of consecutive numbers, of `first` to `sent` - 1, that are not among the arrivals. */
export function lossBurstsOf(arrivals: readonly number[], sent: number, first = 0): LossBursts {
  const seen = new Set(arrivals);
  const lengths: number[] = [];
  let length = 0;
  for (let number = first; number <= sent; number += 1) {
    if (number < sent && !seen.has(number)) length += 1;
    else if (length > 0) {
      lengths.push(length);
      length = 0;
    }
  }
  const total = lengths.reduce((sum, each) => sum + each, 0);
  return {
    count: lengths.length,
    longest: Math.max(0, ...lengths),
    mean: lengths.length === 0 ? null : total / lengths.length,
  };
}
