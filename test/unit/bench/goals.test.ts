import { describe, expect, test } from "bun:test";
import { labelOf } from "../../bench/case.ts";
import { CASES } from "../../bench/cases/all.ts";
import { atLeast, atMost, below, type Goal, judge, type Measured } from "../../bench/goals.ts";
import type { Series } from "../../bench/statistics.ts";

/** What each measured of everything, ours first. */
function measured(all: Readonly<Record<string, Series>>): Measured[] {
  return Object.entries(all).map(([label, figures]) => ({ label, series: () => figures }));
}

const THROUGHPUT = "receivedGigabitsPerSecond";
const ERROR = "rateErrorPercent";

describe("ratios of medians", () => {
  test.each<[string, Goal, Record<string, Series>, string, boolean | null]>([
    [
      "met",
      { kind: "ratio", metric: THROUGHPUT, against: ["iperf3"], bound: atLeast(1.3) },
      { rperf: [36, 1, 100], iperf3: [25, 25, 25], xfr: [90] },
      "received: ≥ 1.3 × iperf3: 1.44, met",
      true,
    ],
    [
      "missed",
      { kind: "ratio", metric: THROUGHPUT, against: ["iperf3"], bound: atLeast(1.3) },
      { rperf: [30], iperf3: [25] },
      "received: ≥ 1.3 × iperf3: 1.2, MISSED",
      false,
    ],
    [
      "exactly at the bound",
      { kind: "ratio", metric: THROUGHPUT, against: ["iperf3"], bound: atLeast(1.5) },
      { rperf: [30], iperf3: [20] },
      "received: ≥ 1.5 × iperf3: 1.5, met",
      true,
    ],
    [
      "below is not at",
      { kind: "ratio", metric: "jitterMicroseconds", against: ["iperf3"], bound: below(1) },
      { rperf: [3], iperf3: [3] },
      "jitter that it reports: < 1 × iperf3: 1, MISSED",
      false,
    ],
    [
      "the best of several where more is better",
      { kind: "ratio", metric: THROUGHPUT, against: ["a", "b"], bound: atLeast(1) },
      { rperf: [10], a: [8], b: [9], c: [99] },
      "received: ≥ 1 × a or b: 1.11 (b), met",
      true,
    ],
    [
      "the best peer where less is better",
      { kind: "ratio", metric: ERROR, against: "peers", bound: atMost(1) },
      { rperf: [0.02], a: [0.5], b: [0.01] },
      "sent by its own account, off rate × time by: ≤ 1 × the best peer: 2 (b), MISSED",
      false,
    ],
    [
      "a peer without any error",
      { kind: "ratio", metric: ERROR, against: "peers", bound: atMost(1) },
      { rperf: [0], a: [0] },
      "sent by its own account, off rate × time by: ≤ 1 × the best peer: 0.0000 to none (a), met",
      true,
    ],
    [
      "the named peer is not here",
      { kind: "ratio", metric: THROUGHPUT, against: ["iperf3"], bound: atLeast(1.3) },
      { rperf: [30], xfr: [1] },
      "received: ≥ 1.3 × iperf3: not measured",
      null,
    ],
    [
      "all runs of the peer failed",
      { kind: "ratio", metric: THROUGHPUT, against: ["iperf3"], bound: atLeast(1.3) },
      { rperf: [30], iperf3: [null, null] },
      "received: ≥ 1.3 × iperf3: not measured",
      null,
    ],
    [
      "all of ours failed",
      { kind: "ratio", metric: THROUGHPUT, against: ["iperf3"], bound: atLeast(1.3) },
      { rperf: [null], iperf3: [1] },
      "received: ≥ 1.3 × iperf3: not measured",
      null,
    ],
  ])("%s", (_name, goal, all, text, met) => {
    expect(judge(goal, measured(all))).toEqual({ text, met });
  });
});

describe("limits", () => {
  test.each<[string, Goal, Record<string, Series>, string, boolean | null]>([
    [
      "of the median",
      { kind: "limit", metric: "lossPercent", over: "median", bound: atMost(2) },
      { rperf: [1, 9, 2], iperf3: [50] },
      "lost: ≤ 2 %: 2.000, met",
      true,
    ],
    [
      "of every run: the worst tells",
      { kind: "limit", metric: "lossPercent", over: "every run", bound: atMost(2) },
      { rperf: [1, 9, 2] },
      "lost: ≤ 2 % in every run: 9.000, MISSED",
      false,
    ],
    [
      "of every run, where more is better",
      { kind: "limit", metric: "fairnessIndex", over: "every run", bound: atLeast(0.95) },
      { rperf: [0.99, 0.96, null] },
      "fairness between the streams (Jain's index): ≥ 0.95 of 1 in every run: 0.960, met",
      true,
    ],
    [
      "of another contender",
      { kind: "limit", metric: "fairnessIndex", of: "rperf -P 8", over: "every run", bound: atLeast(0.95) },
      { rperf: [1], "rperf -P 8": [0.9] },
      "fairness between the streams (Jain's index) of rperf -P 8: ≥ 0.95 of 1 in every run: 0.900, MISSED",
      false,
    ],
    [
      "nothing measured",
      { kind: "limit", metric: "lossPercent", over: "every run", bound: atMost(2) },
      { rperf: [null] },
      "lost: ≤ 2 % in every run: not measured",
      null,
    ],
  ])("%s", (_name, goal, all, text, met) => {
    expect(judge(goal, measured(all))).toEqual({ text, met });
  });
});

describe("the cases", () => {
  test("have names and contenders of their own", () => {
    expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
    for (const { contenders } of CASES) expect(new Set(contenders.map(labelOf)).size).toBe(contenders.length);
  });

  test.each(CASES.map((benchCase) => [benchCase.name, benchCase] as const))(
    "%s: ours comes first, and its goals name what it has",
    (_name, { contenders, metrics, goals }) => {
      const labels = contenders.map(labelOf);
      expect(contenders[0]?.tool).toBe("rperf");
      for (const goal of goals) {
        expect(metrics).toContain(goal.metric);
        if (goal.kind === "limit") expect(labels).toContain(goal.of ?? labels[0] ?? "");
        else if (goal.against !== "peers") expect(labels).toEqual(expect.arrayContaining([...goal.against]));
      }
    },
  );
});
