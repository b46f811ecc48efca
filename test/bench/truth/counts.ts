// What a tool says of its packets against what became of them. Pure.
import { numberIn, parseJson, type ToolName } from "../tools/tool.ts";

const FIGURES = ["lost", "duplicated", "reordered"] as const;
type Figure = (typeof FIGURES)[number];

export type Truth = Readonly<Record<Figure | "sent", number>>;
/** Null where the tool does not tell. */
export type Reported = Readonly<Record<Figure, number | null>>;

interface RperfDocument {
  readonly summary: {
    readonly packets_lost: number;
    readonly packets_duplicated: number;
    readonly packets_out_of_order: number;
  };
}

interface Iperf3Document {
  readonly end: { readonly sum_received: { readonly lost_packets: number } };
  readonly server_output_text: string;
}

interface XfrDocument {
  readonly udp_stats: { readonly lost: number; readonly out_of_order: number };
}

function rperf(stdout: string): Reported {
  const { packets_lost, packets_duplicated, packets_out_of_order } = (parseJson(stdout) as RperfDocument).summary;
  return { lost: packets_lost, duplicated: packets_duplicated, reordered: packets_out_of_order };
}

/** Its client says 0 reordered in any case, its server says nothing when there is none. */
function iperf3(stdout: string): Reported {
  const { end, server_output_text: server } = parseJson(stdout) as Iperf3Document;
  const pattern = /(\d+) datagrams received out-of-order/;
  const reordered = pattern.test(server) ? numberIn(server, pattern) : 0;
  return { lost: end.sum_received.lost_packets, duplicated: null, reordered };
}

function xfr(stdout: string): Reported {
  const { lost, out_of_order } = (parseJson(stdout) as XfrDocument).udp_stats;
  return { lost, duplicated: null, reordered: out_of_order };
}

/** The tools that take part: how to read what the client printed, and what else to ask it for. */
export const READERS: ReadonlyMap<ToolName, { read: (stdout: string) => Reported; flags: readonly string[] }> = new Map(
  [
    ["rperf", { read: rperf, flags: [] }],
    ["original", { read: rperf, flags: [] }],
    ["iperf3", { read: iperf3, flags: ["--get-server-output"] }],
    ["xfr", { read: xfr, flags: [] }],
  ],
);

export interface Row {
  readonly condition: string;
  readonly tool: string;
  readonly outcome: { readonly truth: Truth; readonly reported: Reported } | { readonly failure: string };
}

/** "yes" when all that is told is true, and all is told. */
export function verdictOf(truth: Truth, reported: Reported): string {
  const wrong = FIGURES.filter((figure) => reported[figure] !== null && reported[figure] !== truth[figure]);
  const untold = FIGURES.filter((figure) => reported[figure] === null && truth[figure] !== 0);
  const parts = [...wrong.map((figure) => `${figure} wrong`), ...untold.map((figure) => `${figure} not told`)];
  return parts.length === 0 ? "yes" : `no: ${parts.join(", ")}`;
}

export const TABLE_HEAD = `| condition | tool | sent | lost | duplicated | reordered | exact |
| --- | --- | --- | --- | --- | --- | --- |`;

/** Figures as "reported / true". */
export function tableRow({ condition, tool, outcome }: Row): string {
  if ("failure" in outcome) return `| ${condition} | ${tool} | | | | | failed: ${outcome.failure} |`;
  const { truth, reported } = outcome;
  const figures = FIGURES.map((figure) => `${reported[figure] ?? "–"} / ${truth[figure]}`);
  return `| ${[condition, tool, truth.sent, ...figures, verdictOf(truth, reported)].join(" | ")} |`;
}
