// The tables that the bench prints, as Markdown. Computes nothing but ratios.
import { labelOf } from "./case.ts";
import { formatFigure, formatRatio, type MetricKey, METRICS } from "./metrics.ts";
import { type CaseResult, medianOf, oursOf, seriesOf, verdictsOf } from "./results.ts";
import { pairRatios, presentOf, ratio, spreadOf } from "./statistics.ts";
import type { ToolName } from "./tools/tool.ts";

/** A case's tables, one for each metric that any tool gave, and its goals. */
export function caseReport(result: CaseResult): string {
  const { name, title, metrics } = result.benchCase;
  const rounds = result.entries[0]?.runs.length ?? 0;
  const tables = metrics.flatMap((metric) => metricTable(result, metric));
  const failures = result.entries.flatMap(({ contender, runs }) => {
    const failed = runs.filter((run) => "failure" in run).length;
    return failed === 0 ? [] : [`${labelOf(contender)}: ${failed} of ${runs.length} runs failed and are missing`];
  });
  const goals = verdictsOf(result).map(({ text }) => `goal: ${text}`);
  const time = result.seconds === 0 ? "" : ` of ${result.seconds} s`;
  const parts = [
    `## ${name}: ${title} (${rounds} round${rounds === 1 ? "" : "s"}${time})`,
    ...tables,
    failures.join("\n"),
    goals.map((goal) => `- ${goal}`).join("\n"),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function metricTable(result: CaseResult, metric: MetricKey): string[] {
  const ours = oursOf(result);
  const entries = result.entries.filter((entry) => medianOf(entry, metric) !== null);
  if (entries.length === 0) return [];
  const inverse = result.benchCase.comparesToOurs === true;
  const rows = entries.map((entry) => {
    const series = seriesOf(entry, metric);
    const label = labelOf(entry.contender);
    const figures = [label, formatFigure(medianOf(entry, metric), metric), formatSpread(spreadOf(series), metric)];
    if (ours === null || entry === ours) return [...figures, "", ""];
    const ourSeries = seriesOf(ours, metric);
    const [above, beneath] = inverse ? [entry, ours] : [ours, entry];
    const pairs = inverse ? pairRatios(series, ourSeries) : pairRatios(ourSeries, series);
    const spread = spreadOf(pairs);
    const least = formatRatio(spread?.least ?? null);
    const ofPairs =
      spread === null ? "–" : presentOf(pairs).length === 1 ? least : `${least}–${formatRatio(spread.most)}`;
    return [...figures, formatRatio(ratio(medianOf(above, metric), medianOf(beneath, metric))), ofPairs];
  });
  const { title, unit } = METRICS[metric];
  const ratioName = inverse ? "theirs ÷ the first" : "ours ÷ theirs";
  return [`${title}, ${unit}\n\n${markdownTable(["tool", "median", "min–max", ratioName, "round by round"], rows)}`];
}

function formatSpread(spread: { readonly least: number; readonly most: number } | null, metric: MetricKey): string {
  return spread === null ? "–" : `${formatFigure(spread.least, metric)}–${formatFigure(spread.most, metric)}`;
}

/** Padded, so that it reads well unrendered too. The first column is text, the others figures. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, ...[title, ...rows.map((row) => row[column] ?? "")].map((cell) => Bun.stringWidth(cell))),
  );
  const pad = (cell: string, column: number) => {
    const space = " ".repeat((widths[column] ?? 0) - Bun.stringWidth(cell));
    return column === 0 ? cell + space : space + cell;
  };
  const line = (cells: readonly string[]) =>
    `| ${head.map((_, column) => pad(cells[column] ?? "", column)).join(" | ")} |`;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

/** A column of the README's table. A contender with flags of its own stands under its tool's "best flags". */
const README_COLUMNS: readonly { readonly title: string; readonly tool: ToolName; readonly flags: boolean | null }[] = [
  { title: "rperf", tool: "rperf", flags: null },
  { title: "rperf 0.1.8", tool: "original", flags: null },
  { title: "iperf3", tool: "iperf3", flags: false },
  { title: "iperf3, best flags", tool: "iperf3", flags: true },
  { title: "xfr", tool: "xfr", flags: null },
  { title: "iperf2", tool: "iperf2", flags: null },
  { title: "nuttcp", tool: "nuttcp", flags: null },
];

/** One row for each case that is to stand in the README: medians, and what ours is to each in parentheses. */
export function readmeTable(results: readonly CaseResult[]): string {
  const rows = results.flatMap((result) => {
    const metric = result.benchCase.metrics[0];
    if (metric === undefined || result.benchCase.shownIn?.includes("readme") !== true) return [];
    const ours = oursOf(result);
    const cells = README_COLUMNS.map(({ tool, flags }) => {
      const entries = result.entries.filter(
        ({ contender }) => contender.tool === tool && (flags === null || (contender.flags !== undefined) === flags),
      );
      const sign = METRICS[metric].better === "higher" ? -1 : 1;
      const medians = entries.flatMap((entry) => medianOf(entry, metric) ?? []);
      const best = medians.toSorted((a, b) => sign * (a - b))[0] ?? null;
      if (best === null || ours === null || tool === "rperf") return formatFigure(best, metric);
      // Of two small percentages a ratio tells little.
      const factor = METRICS[metric].unit === "%" ? null : ratio(medianOf(ours, metric), best);
      return `${formatFigure(best, metric)}${factor === null ? "" : ` (${formatRatio(factor)} ×)`}`;
    });
    const { title, unit } = METRICS[metric];
    return [[`${result.benchCase.title}: ${title}, ${unit}`, ...cells]];
  });
  const head = ["median; (ours ÷ theirs)", ...README_COLUMNS.map(({ title }) => title)];
  return markdownTable(head, rows);
}
