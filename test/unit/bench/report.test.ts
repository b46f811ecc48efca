import { describe, expect, test } from "bun:test";
import type { BenchCase, Contender } from "../../bench/case.ts";
import { chartOf } from "../../bench/chart.ts";
import { atLeast } from "../../bench/goals.ts";
import type { Readings } from "../../bench/metrics.ts";
import { caseReport, readmeTable } from "../../bench/report.ts";
import type { CaseResult, Run } from "../../bench/results.ts";

const OURS: Contender = { tool: "rperf" };
const IPERF3: Contender = { tool: "iperf3" };
const BEST: Contender = { tool: "iperf3", flags: ["-Z", "-l", "1M"] };
const XFR: Contender = { tool: "xfr" };

const CASE: BenchCase = {
  name: "tcp-1",
  title: 'TCP <"1"> & more',
  contenders: [OURS, IPERF3, BEST, XFR],
  metrics: ["receivedGigabitsPerSecond", "fairnessIndex"],
  goals: [{ kind: "ratio", metric: "receivedGigabitsPerSecond", against: ["iperf3"], bound: atLeast(1.3) }],
  shownIn: ["readme", "chart"],
  measure: () => Promise.resolve({}),
};

const gave = (...figures: (number | null)[]): Run[] =>
  figures.map((figure) => {
    const readings: Readings = figure === null ? {} : { receivedGigabitsPerSecond: figure };
    return figure === null ? { failure: "it did not start" } : { readings };
  });

const RESULT: CaseResult = {
  benchCase: CASE,
  seconds: 5,
  entries: [
    { contender: OURS, runs: gave(30, 40, 36) },
    { contender: IPERF3, runs: gave(20, null, 30) },
    { contender: BEST, runs: gave(40, 40, 40) },
    { contender: XFR, runs: gave(null, null, null) },
  ],
};

describe("a case's report", () => {
  const report = caseReport(RESULT);

  test("has medians, spreads, and ratios of medians and of rounds", () => {
    expect(report).toContain(
      [
        "received, Gb/s",
        "",
        "| tool            | median |     min–max | ours ÷ theirs | round by round |",
        "| --------------- | -----: | ----------: | ------------: | -------------: |",
        "| rperf           |  36.00 | 30.00–40.00 |               |                |",
        "| iperf3          |  25.00 | 20.00–30.00 |          1.44 |        1.2–1.5 |",
        "| iperf3 -Z -l 1M |  40.00 | 40.00–40.00 |           0.9 |         0.75–1 |",
      ].join("\n"),
    );
  });

  test("counts failed runs as missing, and leaves out what nobody measured", () => {
    expect(report).toContain("iperf3: 1 of 3 runs failed and are missing\nxfr: 3 of 3 runs failed and are missing");
    expect(report).not.toContain("| xfr");
    expect(report).not.toContain("fairness");
  });

  test("ends with the goals' verdicts", () => {
    expect(report.split("\n").at(-1)).toBe("- goal: received: ≥ 1.3 × iperf3: 1.44, met");
  });

  test("of shares of ours turns the ratio round", () => {
    const turned = caseReport({ ...RESULT, benchCase: { ...CASE, comparesToOurs: true } });
    expect(turned).toContain("theirs ÷ the first");
    expect(turned).toMatch(/\| iperf3 -Z -l 1M .* 1\.11 .* 1–1\.33 \|/);
  });

  test("without ours there are no ratios", () => {
    const report = caseReport({ ...RESULT, entries: RESULT.entries.slice(1) });
    expect(report).toMatch(/\| iperf3 {10}\|  25\.00 \| 20\.00–30\.00 \| +\| +\|/);
    expect(report).toContain("≥ 1.3 × iperf3: not measured");
  });
});

test("the README's table has a column for each tool and the best flags in one of their own", () => {
  const [head = "", , row = ""] = readmeTable([RESULT]).split("\n");
  const cells = (line: string) => line.split("|").map((cell) => cell.trim());
  expect(cells(head).slice(2, 7)).toEqual(["rperf", "rperf 0.1.8", "iperf3", "iperf3, best flags", "xfr"]);
  expect(cells(row).slice(2, 7)).toEqual(["36.00", "–", "25.00 (1.44 ×)", "40.00 (0.9 ×)", "–"]);
});

describe("the chart", () => {
  test("draws a bar for each tool that was measured, the longest for the most", () => {
    const chart = chartOf([RESULT]) ?? "";
    const widths = [...chart.matchAll(/<rect class="(\w+)".* width="([\d.]+)"/g)].map(([, paint, width]) => [
      paint,
      width,
    ]);
    expect(widths).toEqual([
      ["theirs", "330.0"],
      ["ours", "297.0"],
      ["theirs", "206.3"],
    ]);
    expect(chart).toContain("prefers-color-scheme: dark");
  });

  test("is well-formed whatever stands in a title", () => {
    const chart = chartOf([RESULT]) ?? "";
    expect(chart).toContain("TCP &lt;&quot;1&quot;&gt; &amp; more: received, Gb/s");
    expect(chart).not.toContain('<"1">');
  });

  test("is none when there is nothing to draw", () => {
    expect(chartOf([])).toBeNull();
    expect(chartOf([{ ...RESULT, benchCase: { ...CASE, shownIn: ["readme"] } }])).toBeNull();
    expect(chartOf([{ ...RESULT, entries: [{ contender: OURS, runs: gave(null) }] }])).toBeNull();
  });
});
