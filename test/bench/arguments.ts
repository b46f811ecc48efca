// The bench's own command line. Pure.
import { parseArgs } from "node:util";

export interface BenchOptions {
  readonly rounds: number;
  /** Of each run; null leaves it to the case. */
  readonly seconds: number | null;
  /** Cases whose name matches; null = all. */
  readonly cases: RegExp | null;
  /** Contenders whose label matches; null = all. */
  readonly tools: RegExp | null;
  /** Where to save; null = nowhere. */
  readonly saveFolder: string | null;
}

export const USAGE = `usage: bun run bench [options]

  --rounds N       runs of each tool in each case, in turn (default 5)
  --quick          two rounds
  --seconds N      length of a run (default 5, or what suits the case)
  --case PATTERN   only the cases whose name matches, such as tcp, ^udp-1024$, rate
  --tool PATTERN   only the tools whose label matches, such as ^rperf$, iperf3
  --save DIR       write bench.json and bench.svg there
  --list           print the names of the cases
  --help           print this`;

const ROUNDS = 5;
const QUICK_ROUNDS = 2;

/** What to do: run the bench, or print something. Throws an Error that says what is wrong. */
export function parseArguments(args: readonly string[]): BenchOptions | "help" | "list" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      case: { type: "string" },
      tool: { type: "string" },
      save: { type: "string" },
    },
  });
  if (values.help) return "help";
  if (values.list) return "list";
  const rounds = values.rounds === undefined ? null : positive("--rounds", values.rounds);
  if (rounds !== null && !Number.isInteger(rounds)) throw new Error("--rounds must be a whole number");
  return {
    rounds: rounds ?? (values.quick ? QUICK_ROUNDS : ROUNDS),
    seconds: values.seconds === undefined ? null : positive("--seconds", values.seconds),
    cases: patternOf("--case", values.case),
    tools: patternOf("--tool", values.tool),
    saveFolder: values.save ?? null,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  // Some peers know whole seconds alone, and none measures anything in less.
  if (text.trim() === "" || !(value >= 1 && value <= 3600))
    throw new Error(`${name} must be from 1 to 3600, not "${text}"`);
  return value;
}

function patternOf(name: string, text: string | undefined): RegExp | null {
  if (text === undefined) return null;
  try {
    return new RegExp(text);
  } catch (cause) {
    throw new Error(`${name} must be a regular expression, not "${text}"`, { cause });
  }
}
