// Ours and the peers in turn, A B C A B C: `bun run bench`; `--help` tells the options.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { stopEverything } from "../support/process.ts";
import { type BenchOptions, parseArguments, USAGE } from "./arguments.ts";
import { type BenchCase, labelOf } from "./case.ts";
import { CASES } from "./cases/all.ts";
import { chartOf } from "./chart.ts";
import { type Bench, documentOf, thisMachine } from "./document.ts";
import { caseReport, readmeTable } from "./report.ts";
import { type CaseResult, verdictsOf } from "./results.ts";
import { runCase } from "./run-case.ts";
import { findTools } from "./tools/find.ts";

const DEFAULT_SECONDS = 5;
/** What starting and ending add to a run, about. */
const OVERHEAD_SECONDS = 1;

const say = (line: string) => console.error(line);

async function bench(options: BenchOptions, signal: AbortSignal): Promise<void> {
  const startedUnixSeconds = Date.now() / 1000;
  const machine = thisMachine();
  const { tools, absent } = await findTools();
  const skipped = absent.map((reason) => `skipping ${reason}`);
  const cases = CASES.filter(({ name }) => options.cases?.test(name) !== false).filter(({ name, whyNot }) => {
    const reason = whyNot?.() ?? null;
    if (reason !== null) skipped.push(`skipping ${name}: ${reason}`);
    return reason === null;
  });
  console.log(`${machine.cpus} × ${machine.processor}, ${machine.kernel}, Bun ${machine.bun}`);
  console.log([...tools.values()].map(({ name, version }) => `${name} ${version}`).join(", "));
  for (const line of skipped) say(line);
  if (cases.length === 0) say("no case to run: --list prints their names");
  else say(`cases: ${cases.length}, about ${Math.ceil(estimateSeconds(cases, options, [...tools.keys()]) / 60)} min`);

  const results: CaseResult[] = [];
  for (const benchCase of cases) {
    const seconds = secondsOf(benchCase, options);
    const result = await runCase(benchCase, {
      rounds: options.rounds,
      seconds,
      tools,
      wanted: options.tools,
      signal,
      say,
    });
    if (result.entries.length === 0) continue;
    results.push(result);
    console.log(`\n${caseReport(result)}`);
    // Case by case: a whole bench takes hours.
    if (options.saveFolder !== null) {
      await save(options.saveFolder, { startedUnixSeconds, machine, tools: [...tools.values()], skipped, results });
    }
  }
  console.log(`\n## For the README\n\n${readmeTable(results)}\n\n${summary(results)}`);
  if (options.saveFolder !== null) say(`saved in ${options.saveFolder}`);
}

function secondsOf(benchCase: BenchCase, options: BenchOptions): number {
  return benchCase.seconds === 0 ? 0 : (options.seconds ?? benchCase.seconds ?? DEFAULT_SECONDS);
}

function estimateSeconds(cases: readonly BenchCase[], options: BenchOptions, present: readonly string[]): number {
  return cases.reduce((sum, benchCase) => {
    const taking = benchCase.contenders.filter(
      (contender) => present.includes(contender.tool) && options.tools?.test(labelOf(contender)) !== false,
    );
    return sum + options.rounds * taking.length * (secondsOf(benchCase, options) + OVERHEAD_SECONDS);
  }, 0);
}

function summary(results: readonly CaseResult[]): string {
  const verdicts = results.flatMap(verdictsOf);
  const count = (met: boolean | null) => verdicts.filter((verdict) => verdict.met === met).length;
  return `goals: ${count(true)} met, ${count(false)} missed, ${count(null)} not measured`;
}

async function save(folder: string, all: Bench): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await Bun.write(join(folder, "bench.json"), `${JSON.stringify(documentOf(all), null, 2)}\n`);
  const chart = chartOf(all.results);
  if (chart !== null) await Bun.write(join(folder, "bench.svg"), chart);
}

/** Runs the bench until it has ended or a signal comes; gives the exit status. What was started has ended by then. */
async function benchUntilSignal(options: BenchOptions): Promise<number> {
  const stopping = new AbortController();
  let status = 0;
  for (const [name, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const) {
    process.once(name, () => {
      status = 128 + number;
      stopping.abort(new Error(name));
      void stopEverything(); // the run that goes on fails by this
    });
  }
  try {
    await bench(options, stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    say(`stopped by ${(error as Error).message}`);
  } finally {
    await stopEverything();
  }
  return status;
}

function optionsOf(args: readonly string[]): ReturnType<typeof parseArguments> {
  try {
    return parseArguments(args);
  } catch (error) {
    say(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

const asked = optionsOf(Bun.argv.slice(2));
if (asked === "help") {
  console.log(USAGE);
} else if (asked === "list") {
  for (const { name, title } of CASES) console.log(`${name.padEnd(16)} ${title}`);
} else if (process.platform !== "linux") {
  say("the bench needs Linux: it reads CPU time, memory and ports in /proc");
  process.exitCode = 2;
} else {
  process.exitCode = await benchUntilSignal(asked);
}
