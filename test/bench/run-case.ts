// Runs a case: every tool in turn, round after round.
import { type BenchCase, type Contender, type Entrant, labelOf } from "./case.ts";
import { formatFigure, METRICS, type Readings } from "./metrics.ts";
import type { CaseResult, Run } from "./results.ts";
import { type BenchServer, startServerOf } from "./server.ts";
import type { Tool, ToolName } from "./tools/tool.ts";

/** The servers of one case: one of each tool, started when first asked for and again when it has died. */
class Servers {
  readonly #running = new Map<ToolName, BenchServer>();

  async get(tool: Tool, family: "tcp" | "udp"): Promise<BenchServer> {
    const present = this.#running.get(tool.name);
    if (present?.isRunning() === true) return present;
    const server = await startServerOf(tool, family);
    this.#running.set(tool.name, server);
    return server;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((server) => server.stop()));
  }
}

export interface CaseRun {
  readonly rounds: number;
  readonly seconds: number;
  readonly tools: ReadonlyMap<ToolName, Tool>;
  /** Which contenders take part, by their labels; null = all. */
  readonly wanted: RegExp | null;
  /** Aborted: no further run begins, and the case rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** Told of every run as it ends. */
  readonly say: (line: string) => void;
}

/** A run that fails is one of the results, no error. */
export async function runCase(benchCase: BenchCase, run: CaseRun): Promise<CaseResult> {
  const servers = new Servers();
  const entries = benchCase.contenders.flatMap((contender): { entrant: Entrant; runs: Run[] }[] => {
    const tool = run.tools.get(contender.tool);
    if (tool === undefined || run.wanted?.test(labelOf(contender)) === false) return [];
    return [{ entrant: { contender, tool, server: (family) => servers.get(tool, family) }, runs: [] }];
  });
  try {
    for (let round = 1; round <= run.rounds; round += 1) {
      for (const { entrant, runs } of entries) {
        const one = await runOnce(benchCase, entrant, run.seconds);
        run.signal.throwIfAborted();
        runs.push(one);
        run.say(`${benchCase.name} ${round}/${run.rounds}  ${told(benchCase, entrant.contender, one)}`);
      }
    }
  } finally {
    await servers.stop();
  }
  return {
    benchCase,
    seconds: run.seconds,
    entries: entries.map(({ entrant, runs }) => ({ contender: entrant.contender, runs })),
  };
}

async function runOnce(benchCase: BenchCase, entrant: Entrant, seconds: number): Promise<Run> {
  try {
    return { readings: await benchCase.measure(entrant, seconds) };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}

function told({ metrics }: BenchCase, contender: Contender, run: Run): string {
  const label = labelOf(contender);
  if ("failure" in run) return `${label}: FAILED, counted as missing: ${run.failure}`;
  const { readings }: { readings: Readings } = run;
  const figures = metrics.flatMap((metric) => {
    const figure = readings[metric];
    return figure === undefined ? [] : [`${formatFigure(figure, metric)} ${METRICS[metric].unit}`];
  });
  return `${label}: ${figures.join(", ")}`;
}
