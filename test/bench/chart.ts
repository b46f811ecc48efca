// A bar chart of the throughput cases for the README, as SVG. Pure.
import { labelOf } from "./case.ts";
import { formatFigure, formatRatio, type MetricKey, METRICS } from "./metrics.ts";
import { type CaseResult, medianOf, oursOf } from "./results.ts";
import { ratio } from "./statistics.ts";

const WIDTH = 760;
const MARGIN = 16;
const BAR_HEIGHT = 14;
const ROW_HEIGHT = 20;
const TITLE_HEIGHT = 34;
const CASE_GAP = 10;
/** Where bars begin, and how long the longest is: room for labels on the left, figures on the right. */
const BARS_AT = 220;
const BARS_WIDTH = 330;

/** GitHub shows an SVG as an image, in which the reader's theme is told by the media query alone. */
const STYLE = `
    text { font: 12px system-ui, sans-serif; fill: #1f2328; }
    .title { font-weight: 600; font-size: 13px; }
    .note { fill: #59636e; }
    .ours { fill: #0969da; }
    .theirs { fill: #afb8c1; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .note { fill: #9198a1; }
      .ours { fill: #4493f8; }
      .theirs { fill: #656c76; }
    }
  `;

/** Null when there is nothing to draw. */
export function chartOf(results: readonly CaseResult[]): string | null {
  let top = MARGIN;
  const titles: string[] = [];
  const drawn = results.flatMap((result) => {
    const metric = result.benchCase.metrics[0];
    if (metric === undefined || result.benchCase.shownIn?.includes("chart") !== true) return [];
    const { lines, bottom } = drawCase(result, metric, top);
    if (lines.length > 0) titles.push(result.benchCase.title);
    top = bottom;
    return lines;
  });
  if (drawn.length === 0) return null;
  const height = top - CASE_GAP + MARGIN;
  const label = escape(`Throughput on loopback: ${titles.join("; ")}`);
  const size = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${label}">`,
    `  <style>${STYLE}</style>`,
    ...drawn.map((line) => `  ${line}`),
    "</svg>\n",
  ].join("\n");
}

/** The fastest first; each bar with its figure and what ours is to it. */
function drawCase(result: CaseResult, metric: MetricKey, top: number): { lines: string[]; bottom: number } {
  const ours = oursOf(result);
  const ourMedian = ours === null ? null : medianOf(ours, metric);
  const bars = result.entries
    .flatMap((entry) => {
      const figure = medianOf(entry, metric);
      return figure === null ? [] : [{ label: labelOf(entry.contender), figure, isOurs: entry === ours }];
    })
    .toSorted((a, b) => b.figure - a.figure);
  const most = bars[0]?.figure ?? 0;
  if (most === 0) return { lines: [], bottom: top };
  const { unit, title } = METRICS[metric];
  const heading = `${result.benchCase.title}: ${title}, ${unit}`;
  const lines = [text(MARGIN, top + 16, heading, "title")];
  for (const [index, { label, figure, isOurs }] of bars.entries()) {
    const y = top + TITLE_HEIGHT + index * ROW_HEIGHT;
    const width = Math.max(1, (figure / most) * BARS_WIDTH);
    const factor = isOurs ? null : ratio(ourMedian, figure);
    const note = factor === null ? "" : `  rperf is ${formatRatio(factor)} ×`;
    const paint = `class="${isOurs ? "ours" : "theirs"}"`;
    const baseline = y + BAR_HEIGHT - 3;
    lines.push(
      text(MARGIN, baseline, label, ""),
      `<rect ${paint} x="${BARS_AT}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`,
      text(BARS_AT + Math.ceil(width) + 6, baseline, `${formatFigure(figure, metric)}${note}`, "note"),
    );
  }
  return { lines, bottom: top + TITLE_HEIGHT + bars.length * ROW_HEIGHT + CASE_GAP };
}

function text(x: number, y: number, content: string, className: string): string {
  const styled = className === "" ? "" : ` class="${className}"`;
  return `<text${styled} x="${x}" y="${y}" xml:space="preserve">${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
