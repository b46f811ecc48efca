import type { TestConfig } from "../config/types.ts";
import { formatBytes, formatPercent, formatRate, type RateUnit } from "../units.ts";
import type { Row } from "./rows.ts";

/** Shown for what was not measured. */
export const NOTHING = "–";

const SEPARATOR = "  ";

/** A stream of text lines with the same columns. */
export interface Table {
  readonly header: string;
  line(row: Row): string;
}

interface Column {
  readonly title: string;
  readonly width: number;
  readonly cell: (row: Row) => string;
}

type TableConfig = Pick<TestConfig, "family" | "durationSeconds" | "bidir">;

/** Columns wide enough for 255 streams, rates from 0.001 to 100000 Mb/s, and the seconds that `config` takes. */
export function createTable(config: TableConfig, unit: RateUnit): Table {
  const columns = [...commonColumns(config, unit), ...(config.family === "tcp" ? TCP : UDP)];
  const join = (cellOf: (column: Column) => string): string =>
    columns.map((column) => cellOf(column).padStart(column.width)).join(SEPARATOR);
  return {
    header: join((column) => column.title),
    line: (row) => join((column) => column.cell(row)) + OMITTED_MARKS[row.omitted],
  };
}

const OMITTED_MARKS: Readonly<Record<Row["omitted"], string>> = {
  none: "",
  part: `${SEPARATOR}(partly omitted)`,
  all: `${SEPARATOR}(omitted)`,
};

function commonColumns({ durationSeconds, bidir }: TableConfig, unit: RateUnit): readonly Column[] {
  const rateTitle = unit === "megabit" ? "Mb/s" : "MB/s";
  // The receiver may see the end a moment after the sender.
  const secondsWidth = (durationSeconds + 1).toFixed(2).length;
  return [
    { title: "stream", width: bidir ? "254 fwd".length : 6, cell: (row) => row.label },
    { title: "seconds", width: 2 * secondsWidth + 1, cell: span },
    { title: `sent ${rateTitle}`, width: 9, cell: (row) => rateCell(row.sentBytesPerSecond, unit) },
    { title: `rcvd ${rateTitle}`, width: 9, cell: (row) => rateCell(row.receivedBytesPerSecond, unit) },
    {
      title: "received",
      width: 8,
      cell: (row) => (row.bytesReceived === null ? NOTHING : formatBytes(row.bytesReceived)),
    },
  ];
}

const TCP: readonly Column[] = [{ title: "blocked", width: 9, cell: (row) => countCell(row.sendsBlocked) }];

const UDP: readonly Column[] = [
  { title: "packets", width: 9, cell: (row) => countCell(row.packets?.received) },
  { title: "lost", width: 7, cell: (row) => countCell(row.packets?.lost) },
  { title: "lost %", width: 7, cell: lostShareCell },
  { title: "reorder", width: 7, cell: (row) => countCell(row.packets?.outOfOrder) },
  { title: "dup", width: 7, cell: (row) => countCell(row.packets?.duplicated) },
  { title: "jitter ms", width: 9, cell: (row) => millisecondsCell(row.packets?.jitterSeconds) },
];

function span(row: Row): string {
  return `${row.startSeconds.toFixed(2)}-${row.endSeconds.toFixed(2)}`;
}

/** The column's title names the unit. */
function rateCell(bytesPerSecond: number | null, unit: RateUnit): string {
  if (bytesPerSecond === null) return NOTHING;
  const [amount = NOTHING] = formatRate(bytesPerSecond, unit).split(" ");
  return amount;
}

function countCell(count: number | null | undefined): string {
  return count === null || count === undefined ? NOTHING : String(count);
}

/** Of the packets that were due: those that came, each once, and the lost. */
function lostShareCell({ packets }: Row): string {
  if (packets === null || packets.lost === null) return NOTHING;
  const due = packets.received - packets.duplicated + packets.lost;
  return due > 0 ? formatPercent(packets.lost / due) : NOTHING;
}

function millisecondsCell(seconds: number | null | undefined): string {
  return seconds === null || seconds === undefined ? NOTHING : (seconds * 1000).toFixed(3);
}
