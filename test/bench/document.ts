// The JSON document of a bench: every run of every tool, what was judged of it, and on what machine.
import { cpus, release, totalmem } from "node:os";
import { labelOf } from "./case.ts";
import { METRICS } from "./metrics.ts";
import { type CaseResult, verdictsOf } from "./results.ts";
import type { Tool } from "./tools/tool.ts";

const SCHEMA_VERSION = 1;

export interface Machine {
  readonly processor: string;
  readonly cpus: number;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  readonly bun: string;
}

export function thisMachine(): Machine {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cpus: cpus().length,
    memoryGigabytes: Math.round(totalmem() / 1e9),
    kernel: `${process.platform} ${release()}`,
    bun: Bun.version,
  };
}

export interface Bench {
  readonly startedUnixSeconds: number;
  readonly machine: Machine;
  readonly tools: readonly Tool[];
  /** Cases and tools that did not run, with the reason. */
  readonly skipped: readonly string[];
  readonly results: readonly CaseResult[];
}

export function documentOf({ startedUnixSeconds, machine, tools, skipped, results }: Bench) {
  return {
    schema_version: SCHEMA_VERSION,
    started: new Date(startedUnixSeconds * 1000).toISOString(),
    machine,
    tools: tools.map(({ name, version }) => ({ name, version })),
    skipped,
    cases: results.map((result) => ({
      name: result.benchCase.name,
      title: result.benchCase.title,
      seconds: result.seconds,
      metrics: Object.fromEntries(result.benchCase.metrics.map((metric) => [metric, METRICS[metric]])),
      entries: result.entries.map(({ contender, runs }) => ({ label: labelOf(contender), runs })),
      goals: verdictsOf(result),
    })),
  };
}
