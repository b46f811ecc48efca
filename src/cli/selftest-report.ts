import type { Family } from "../config/types.ts";
import { NOTHING } from "../report/table.ts";
import { formatPercent, formatRate, formatSeconds, type RateUnit } from "../units.ts";

/** One test of the self-test, its sender and receiver both in this process. */
export interface SelftestRow {
  readonly family: Family;
  /** Forward: the client sends. */
  readonly direction: "forward" | "reverse";
  /** As received; null when nothing was. */
  readonly bytesPerSecond: number | null;
  /** Of the packets sent; null for TCP, or when none was sent. */
  readonly lossRatio: number | null;
  /** Null for TCP, or when too few packets came. */
  readonly jitterSeconds: number | null;
  /** Of the whole process while the test ran. */
  readonly cpuSeconds: number;
  /** `cpuSeconds` over the time the test took: 1 = one core kept busy. */
  readonly cpuRatio: number;
  /** Why it did not complete; null when it did. */
  readonly failure: string | null;
}

const HEADINGS = ["Test", "Received", "Loss", "Jitter", "CPU"] as const;

/** The name of a test, such as "UDP reverse". */
export function selftestName(row: Pick<SelftestRow, "family" | "direction">): string {
  return `${row.family.toUpperCase()} ${row.direction}`;
}

/** The table, what its figures mean, and a line for each test that failed. */
export function renderSelftestText(rows: readonly SelftestRow[], unit: RateUnit, udpBytesPerSecond: number): string {
  const cells = [[...HEADINGS], ...rows.map((row) => cellsOf(row, unit))];
  const widths = HEADINGS.map((_, column) => Math.max(...cells.map((line) => Bun.stringWidth(line[column] ?? ""))));
  const table = cells.map((line) => line.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join("  "));
  const failures = rows.flatMap((row) => (row.failure === null ? [] : [`${selftestName(row)} failed: ${row.failure}`]));
  return [
    ...table,
    "",
    `TCP ran as fast as it could; UDP was asked for ${formatRate(udpBytesPerSecond, unit)}.`,
    "CPU is the sender's and the receiver's together; 100% is one core.",
    ...failures,
  ]
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}

/** The same for programs: one JSON document. */
export function renderSelftestJson(rows: readonly SelftestRow[]): string {
  const document = {
    schema_version: 1,
    tests: rows.map((row) => ({
      family: row.family,
      direction: row.direction,
      bytes_per_second: row.bytesPerSecond,
      loss_ratio: row.lossRatio,
      jitter_seconds: row.jitterSeconds,
      cpu_seconds: row.cpuSeconds,
      cpu_ratio: row.cpuRatio,
      success: row.failure === null,
      reason: row.failure,
    })),
    success: isSelftestSuccess(rows),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

export function isSelftestSuccess(rows: readonly SelftestRow[]): boolean {
  return rows.every((row) => row.failure === null);
}

function cellsOf(row: SelftestRow, unit: RateUnit): string[] {
  return [
    selftestName(row),
    row.bytesPerSecond === null ? NOTHING : formatRate(row.bytesPerSecond, unit),
    row.lossRatio === null ? NOTHING : formatPercent(row.lossRatio),
    row.jitterSeconds === null ? NOTHING : formatSeconds(row.jitterSeconds),
    `${Math.round(row.cpuRatio * 100)}%`,
  ];
}

/** Names stand at the left of their column, figures at the right. */
function pad(cell: string, width: number, column: number): string {
  const space = " ".repeat(width - Bun.stringWidth(cell));
  return column === 0 ? cell + space : space + cell;
}
