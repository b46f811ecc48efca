import type { TestConfig } from "../config/types.ts";
import { formatRate, formatSeconds, type RateUnit } from "../units.ts";
import { createIntervalLines, type IntervalLines } from "./interval-lines.ts";
import { createPaint } from "./paint.ts";
import type { Reporter, TestStart } from "./reporter.ts";
import type { Row } from "./rows.ts";
import { createTable, type Table } from "./table.ts";
import { renderSummary } from "./text-summary.ts";

interface TextReporterOptions {
  readonly write: (text: string) => void;
  readonly format: RateUnit;
  readonly colour: boolean;
  /** Adds what the kernel granted to each side. */
  readonly debug: boolean;
}

/** One aligned line for each stream and interval as it happens, and totals at the end. */
export function createTextReporter(options: TextReporterOptions): Reporter {
  const paint = createPaint(options.colour);
  let live: { readonly lines: IntervalLines; readonly table: Table } | null = null;

  function writeLines(lines: readonly string[]): void {
    if (lines.length > 0) options.write(lines.map((line) => `${line}\n`).join(""));
  }

  function writeRows(table: Table, rows: readonly Row[]): void {
    writeLines(rows.map((row) => paintRow(row, table.line(row))));
  }

  function paintRow(row: Row, line: string): string {
    if (row.omitted !== "none") return paint("quiet", line);
    if (row.label === "sum") return paint("title", line);
    return (row.packets?.lost ?? 0) > 0 ? paint("warning", line) : line;
  }

  return {
    started(test) {
      live = { lines: createIntervalLines(test.config), table: createTable(test.config, options.format) };
      writeLines([paint("title", startLine(test, options.format)), paint("quiet", live.table.header)]);
    },
    interval(streamIndex, interval) {
      if (live !== null) writeRows(live.table, live.lines.add(streamIndex, interval));
    },
    sideEnded(streamIndex, side) {
      if (live !== null) writeRows(live.table, live.lines.sideEnded(streamIndex, side));
    },
    finished(result) {
      if (live !== null) {
        writeRows(live.table, live.lines.flush());
        writeLines([""]);
      }
      writeLines(renderSummary(result, { format: options.format, debug: options.debug, paint }));
    },
  };
}

/** Without a limit nothing is held back for a slice. */
function isSliced({ pacing, bandwidthBytesPerSecond }: TestConfig): boolean {
  return pacing === "slices" && bandwidthBytesPerSecond > 0;
}

/** What will run, on one line. */
function startLine({ config, address, port }: TestStart, unit: RateUnit): string {
  const server = config.host === address ? address : `${config.host} (${address})`;
  const rate =
    config.bandwidthBytesPerSecond === 0
      ? "as fast as possible"
      : `at ${formatRate(config.bandwidthBytesPerSecond, unit)}`;
  const facts = [
    config.parallel === 1 ? `1 stream ${rate}` : `${config.parallel} streams, each ${rate}`,
    formatSeconds(config.durationSeconds),
    ...(config.writeSize === "auto"
      ? []
      : [`${config.lengthBytes} B per ${config.family === "tcp" ? "write" : "packet"}`]),
    ...(isSliced(config) ? [`in slices of ${formatSeconds(config.sendIntervalSeconds)}`] : []),
    ...(config.offload === "auto" ? [] : [`offload ${config.offload}`]),
    ...(config.omitSeconds === 0 ? [] : [`first ${config.omitSeconds} s omitted`]),
  ];
  const direction = config.reverse ? "from" : "to";
  return `${config.family.toUpperCase()} ${direction} ${server} port ${port}: ${facts.join(", ")}`;
}
