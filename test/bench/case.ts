// What a case of the bench is made of. The cases themselves lie in cases/.
import type { Family } from "../../src/config/types.ts";
import type { Goal } from "./goals.ts";
import type { MetricKey, Readings } from "./metrics.ts";
import type { BenchServer } from "./server.ts";
import type { Tool, ToolName } from "./tools/tool.ts";

/** A tool as it takes part in a case. */
export interface Contender {
  readonly tool: ToolName;
  /** Beside what the case asks of every tool. */
  readonly flags?: readonly string[];
  /** In place of the case's number. */
  readonly streams?: number;
}

const TOOL_LABELS: Readonly<Record<ToolName, string>> = {
  rperf: "rperf",
  original: "rperf 0.1.8",
  iperf3: "iperf3",
  xfr: "xfr",
  iperf2: "iperf2",
  nuttcp: "nuttcp",
};

/** As tables and goals call it. */
export function labelOf({ tool, flags = [], streams }: Contender): string {
  return [TOOL_LABELS[tool], ...(streams === undefined ? [] : [`-P ${streams}`]), ...flags].join(" ");
}

/** A contender with what it takes to run it. */
export interface Entrant {
  readonly contender: Contender;
  readonly tool: Tool;
  /** Its server: one for the whole case, unless it died. */
  readonly server: (family: Family) => Promise<BenchServer>;
}

export interface BenchCase {
  /** For `--case`. */
  readonly name: string;
  readonly title: string;
  /** How long one run takes unless `--seconds` tells; the usual time where it is left out. */
  readonly seconds?: number;
  /** The first is ours; each other tool takes part where it is here. */
  readonly contenders: readonly Contender[];
  /** In the order of the report. The first stands in the README. */
  readonly metrics: readonly MetricKey[];
  readonly goals: readonly Goal[];
  /** The ratio tells the others' share of ours; otherwise it is ours to theirs. */
  readonly comparesToOurs?: boolean;
  /** Where its first metric is shown beside the report. */
  readonly shownIn?: readonly ("readme" | "chart")[];
  /** Why it cannot run here; null when it can. */
  readonly whyNot?: () => string | null;
  readonly measure: (entrant: Entrant, seconds: number) => Promise<Readings>;
}
