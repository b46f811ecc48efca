// Goals and whether they are met. Pure.
import { formatFigure, formatRatio, type MetricKey, METRICS } from "./metrics.ts";
import { median, presentOf, ratio, type Series } from "./statistics.ts";

/** What a figure may be. */
export type Bound =
  | { readonly kind: "at least"; readonly value: number }
  | { readonly kind: "at most"; readonly value: number }
  | { readonly kind: "below"; readonly value: number };

/** Our median against a peer's: the bound is of ours ÷ theirs. */
export interface RatioGoal {
  readonly kind: "ratio";
  readonly metric: MetricKey;
  /** The best of these labels that was measured counts; "peers" are all but the first of the case. */
  readonly against: readonly string[] | "peers";
  readonly bound: Bound;
}

/** A figure of one contender's in itself. */
export interface LimitGoal {
  readonly kind: "limit";
  readonly metric: MetricKey;
  /** The first of the case unless told. */
  readonly of?: string;
  /** Whether each run has to keep it, or the median. */
  readonly over: "every run" | "median";
  readonly bound: Bound;
}

export type Goal = RatioGoal | LimitGoal;

export const atLeast = (value: number): Bound => ({ kind: "at least", value });
export const atMost = (value: number): Bound => ({ kind: "at most", value });
export const below = (value: number): Bound => ({ kind: "below", value });

export interface Verdict {
  /** "≥ 1.3 × iperf3: 1.44, met". */
  readonly text: string;
  /** Null when something it needs was not measured. */
  readonly met: boolean | null;
}

/** The figures of one contender. */
export interface Measured {
  readonly label: string;
  readonly series: (metric: MetricKey) => Series;
}

const SIGNS = { "at least": "≥", "at most": "≤", below: "<" } as const;

/** `measured` in the order of the case, ours first. */
export function judge(goal: Goal, measured: readonly Measured[]): Verdict {
  return goal.kind === "ratio" ? judgeRatio(goal, measured) : judgeLimit(goal, measured);
}

function judgeRatio({ metric, against, bound }: RatioGoal, measured: readonly Measured[]): Verdict {
  const [ours, ...others] = measured;
  const rivals = against === "peers" ? others : others.filter(({ label }) => against.includes(label));
  const named = against === "peers" ? "the best peer" : against.join(" or ");
  const sign = METRICS[metric].better === "higher" ? -1 : 1;
  const best = rivals
    .flatMap(({ label, series }) => {
      const theirs = median(series(metric));
      return theirs === null ? [] : [{ label, theirs }];
    })
    .toSorted((a, b) => sign * (a.theirs - b.theirs))[0];
  const ourMedian = ours === undefined ? null : median(ours.series(metric));
  const aim = `${METRICS[metric].title}: ${SIGNS[bound.kind]} ${bound.value} × ${named}`;
  if (ourMedian === null || best === undefined) return { text: `${aim}: not measured`, met: null };
  const factor = ratio(ourMedian, best.theirs);
  const told = factor === null ? `${formatFigure(ourMedian, metric)} to none` : formatRatio(factor);
  const who = rivals.length > 1 || against === "peers" ? ` (${best.label})` : "";
  // As a product, which holds against a peer whose figure is 0 too.
  return verdict(`${aim}: ${told}${who}`, keeps(ourMedian, { ...bound, value: bound.value * best.theirs }));
}

function judgeLimit({ metric, of, over, bound }: LimitGoal, measured: readonly Measured[]): Verdict {
  const subject = of === undefined ? measured[0] : measured.find(({ label }) => label === of);
  const { title, unit } = METRICS[metric];
  const subjectName = of === undefined ? "" : ` of ${of}`;
  const everyRun = over === "every run" ? " in every run" : "";
  const aim = `${title}${subjectName}: ${SIGNS[bound.kind]} ${bound.value} ${unit}${everyRun}`;
  const series = subject?.series(metric) ?? [];
  const middle = median(series);
  const figures = over === "median" && middle !== null ? [middle] : presentOf(series);
  const worst = bound.kind === "at least" ? Math.min(...figures) : Math.max(...figures);
  if (figures.length === 0) return { text: `${aim}: not measured`, met: null };
  return verdict(`${aim}: ${formatFigure(worst, metric)}`, keeps(worst, bound));
}

function keeps(figure: number, { kind, value }: Bound): boolean {
  switch (kind) {
    case "at least":
      return figure >= value;
    case "at most":
      return figure <= value;
    case "below":
      return figure < value;
  }
}

function verdict(text: string, met: boolean): Verdict {
  return { text: `${text}, ${met ? "met" : "MISSED"}`, met };
}
