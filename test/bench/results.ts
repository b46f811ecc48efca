// What became of the cases, and what follows from it. Pure.
import { type BenchCase, type Contender, labelOf } from "./case.ts";
import { judge, type Verdict } from "./goals.ts";
import type { MetricKey, Readings } from "./metrics.ts";
import { median, type Series } from "./statistics.ts";

/** One run: what it gave, or why it gave nothing. */
export type Run = { readonly readings: Readings } | { readonly failure: string };

export interface EntryResult {
  readonly contender: Contender;
  /** One per round. */
  readonly runs: readonly Run[];
}

export interface CaseResult {
  readonly benchCase: BenchCase;
  readonly seconds: number;
  /** In the order of the case's contenders; tools that are not here are missing. */
  readonly entries: readonly EntryResult[];
}

/** The figures of one metric; a failed run has none. */
export function seriesOf(entry: EntryResult, metric: MetricKey): Series {
  return entry.runs.map((run) => ("readings" in run ? (run.readings[metric] ?? null) : null));
}

export function medianOf(entry: EntryResult, metric: MetricKey): number | null {
  return median(seriesOf(entry, metric));
}

/** Our own entry, the case's first contender; null when it was left out. */
export function oursOf({ benchCase, entries }: CaseResult): EntryResult | null {
  return entries.find(({ contender }) => contender === benchCase.contenders[0]) ?? null;
}

/** One verdict for each goal of the case. */
export function verdictsOf(result: CaseResult): readonly Verdict[] {
  // Every contender in its place, so that ours stays the first.
  const measured = result.benchCase.contenders.map((contender) => {
    const entry = result.entries.find((each) => each.contender === contender);
    const series = (metric: MetricKey) => (entry === undefined ? [] : seriesOf(entry, metric));
    return { label: labelOf(contender), series };
  });
  return result.benchCase.goals.map((goal) => judge(goal, measured));
}
