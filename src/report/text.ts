import type { TestConfig } from "../config/types.ts";
import type { Direction } from "../results/types.ts";
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
  let live: { readonly lines: Readonly<Record<Direction, IntervalLines>>; readonly table: Table } | null = null;

  function writeLines(lines: readonly string[]): void {
    if (lines.length > 0) options.write(lines.map((line) => `${line}\n`).join(""));
  }

  function writeRows(table: Table, rows: readonly Row[]): void {
    writeLines(rows.map((row) => paintRow(row, table.line(row))));
  }

  function paintRow(row: Row, line: string): string {
    if (row.omitted !== "none") return paint("quiet", line);
    if (row.isSum) return paint("title", line);
    return (row.packets?.lost ?? 0) > 0 ? paint("warning", line) : line;
  }

  return {
    started(test) {
      const { config } = test;
      live = { lines: linesByDirection(config), table: createTable(config, options.format) };
      const { header } = live.table;
      if (config.title !== null) writeLines([paint("title", config.title)]);
      writeLines([paint("title", startLine(test, options.format)), paint("quiet", header)]);
    },
    interval(direction, streamIndex, interval) {
      if (live !== null) writeRows(live.table, live.lines[direction].add(streamIndex, interval));
    },
    sideEnded(direction, streamIndex, side) {
      if (live !== null) writeRows(live.table, live.lines[direction].sideEnded(streamIndex, side));
    },
    finished(result) {
      if (live !== null) {
        writeRows(live.table, [...live.lines.forward.flush(), ...live.lines.reverse.flush()]);
        writeLines([""]);
      }
      writeLines(renderSummary(result, { format: options.format, debug: options.debug, paint }));
    },
  };
}

/** Only a bidirectional test has lines of both. */
function linesByDirection(config: TestConfig): Record<Direction, IntervalLines> {
  const { bidir } = config;
  return {
    forward: createIntervalLines({ ...config, reverse: false }, bidir ? " fwd" : ""),
    reverse: createIntervalLines({ ...config, reverse: true }, bidir ? " rev" : ""),
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
  const way = config.bidir ? " each way" : "";
  const facts = [
    config.parallel === 1 ? `1 stream${way} ${rate}` : `${config.parallel} streams${way}, each ${rate}`,
    formatSeconds(config.durationSeconds),
    ...(config.writeSize === "auto"
      ? []
      : [`${config.lengthBytes} B per ${config.family === "tcp" ? "write" : "packet"}`]),
    ...(isSliced(config) ? [`in slices of ${formatSeconds(config.sendIntervalSeconds)}`] : []),
    ...(config.offload === "auto" ? [] : [`offload ${config.offload}`]),
    ...(config.omitSeconds === 0 ? [] : [`first ${config.omitSeconds} s omitted`]),
  ];
  const oneWay = config.reverse ? "from" : "to";
  const direction = config.bidir ? "to and from" : oneWay;
  return `${config.family.toUpperCase()} ${direction} ${server} port ${port}: ${facts.join(", ")}`;
}
