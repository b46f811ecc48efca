// What the bench computes of its figures. Pure.

/** One figure per round, in the order of the rounds; null where the run failed or had none. */
export type Series = readonly (number | null)[];

export interface Spread {
  readonly least: number;
  readonly most: number;
}

/** The figures that there are. */
export function presentOf(series: Series): number[] {
  return series.filter((figure) => figure !== null);
}

/** The middle of the figures, or the mean of the two in the middle; null of none. */
export function median(series: Series): number | null {
  const sorted = presentOf(series).toSorted((a, b) => a - b);
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  const upper = sorted[Math.floor(sorted.length / 2)];
  return lower === undefined || upper === undefined ? null : (lower + upper) / 2;
}

/** Least and greatest; null of none. */
export function spreadOf(series: Series): Spread | null {
  const present = presentOf(series);
  return present.length === 0 ? null : { least: Math.min(...present), most: Math.max(...present) };
}

/** The least value that at least `fraction` of the values do not exceed (nearest rank); null of none. */
export function percentile(values: Float64Array, fraction: number): number | null {
  const rank = Math.max(1, Math.ceil(fraction * values.length));
  return values.toSorted()[rank - 1] ?? null;
}

/** a ÷ b; null without either, and where b is 0. */
export function ratio(a: number | null, b: number | null): number | null {
  return a === null || b === null || b === 0 ? null : a / b;
}

/** a ÷ b within each round; null where a round lacks either. */
export function pairRatios(a: Series, b: Series): Series {
  return a.map((figure, round) => ratio(figure, b[round] ?? null));
}

/**
 * Jain's fairness index (Jain, Chiu, Hawe 1984, DEC-TR-301): 1 when all shares are equal, 1/n when one has everything; null
 * when there is nothing to share.
 */
export function jainIndex(shares: readonly number[]): number | null {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return squares === 0 ? null : (sum * sum) / (shares.length * squares);
}

/** The most of the intervals that hold at one time; one that ends as another starts does not overlap it. */
export function mostAtOnce(intervals: readonly (readonly [start: number, end: number])[]): number {
  const changes = intervals
    .flatMap(([start, end]) => [
      [start, 1],
      [end, -1],
    ])
    .toSorted(([timeA = 0, stepA = 0], [timeB = 0, stepB = 0]) => timeA - timeB || stepA - stepB);
  let now = 0;
  let most = 0;
  for (const [, step = 0] of changes) {
    now += step;
    most = Math.max(most, now);
  }
  return most;
}
