import { defineCommand, runCommand } from "citty";
import manifest from "../../package.json" with { type: "json" };
import { EXIT_FAILED, EXIT_OK, exitStatusOf, messageOf, RperfError } from "../errors.ts";
import { waitWithin } from "../clock.ts";
import { escapeControls } from "../safe-text.ts";
import { cittyArgs } from "./citty-args.ts";
import { DefectNet } from "./defects.ts";
import { keygenHelp, printHelp, rootHelp, selftestHelp } from "./help.ts";
import { invocationOf, keyIdOf, selftestInvocationOf } from "./invocation.ts";
import { type Io, standardIo } from "./io.ts";
import { newKeyLine } from "./keygen.ts";
import type { OptionSpec } from "./option-spec.ts";
import { KEYGEN_OPTIONS, PRINT_OPTIONS, ROOT_OPTIONS, SELFTEST_OPTIONS } from "./options.ts";
import { type ParsedOptions, strictParse } from "./strict-parse.ts";

/** What is said on stderr may take so long to be read by others; behind that they do not read. */
const MOST_FLUSH_MS = 2000;

/** What `rperf WORDS` does. */
interface Command<Specs extends readonly OptionSpec[]> {
  readonly words: string;
  readonly options: Specs;
  help(colour: boolean): string;
  start(parsed: ParsedOptions<Specs>, io: Io): Promise<number>;
}

/** Beside those of `rperf` itself. */
const COMMANDS = [
  bound({
    words: "selftest",
    options: SELFTEST_OPTIONS,
    help: selftestHelp,
    async start(parsed, io) {
      const invocation = selftestInvocationOf(parsed);
      return (await import("./selftest.ts")).runSelftest(invocation, io);
    },
  }),
  bound({
    words: "keygen",
    options: KEYGEN_OPTIONS,
    help: keygenHelp,
    start: async (parsed, io) => print(io, newKeyLine(keyIdOf(parsed))),
  }),
  bound({
    words: "print systemd",
    options: PRINT_OPTIONS,
    help: printHelp,
    async start(_parsed, io) {
      const { ownCommand, systemdUnit } = await import("./print-systemd.ts");
      return print(io, systemdUnit(ownCommand()));
    },
  }),
];

/** The whole program: does what the arguments say and ends the process with the status that belongs to it. */
export async function run(args: readonly string[]): Promise<never> {
  const io = standardIo();
  const defects = new DefectNet((error) => {
    complain(io, error);
    process.exit(EXIT_FAILED);
  });
  const status = await dispatch(args, io, defects).catch((error: unknown) => {
    // A test that was stopped because its output has nowhere to go has nothing to complain of itself.
    if (io.out.failure === null) complain(io, error);
    return exitStatusOf(error);
  });
  await io.out.flush();
  const finalStatus = statusAfterOutput(io, status);
  await waitWithin(io.err.flush(), MOST_FLUSH_MS);
  // Not left to an empty event loop: what a broken test leaves open must not keep the program.
  process.exit(finalStatus);
}

/** A command is picked by the first arguments alone: citty would take `-uc host` for the command "host". */
async function dispatch(args: readonly string[], io: Io, defects: DefectNet): Promise<number> {
  for (const { words, begin } of COMMANDS) {
    const count = words.split(" ").length;
    if (args.slice(0, count).join(" ") === words) return begin(args.slice(count), io);
  }
  return dispatchRoot(args, io, defects);
}

async function dispatchRoot(args: readonly string[], io: Io, defects: DefectNet): Promise<number> {
  const names = COMMANDS.map(({ words }) => words);
  const parsed = strictParse(ROOT_OPTIONS, args, names);
  if (parsed.isOn("help")) return print(io, rootHelp(io.out.hasColour));
  if (parsed.isOn("version")) return print(io, `rperf ${manifest.version}\n`);
  const invocation = invocationOf(parsed);
  return runWithCitty("rperf", ROOT_OPTIONS, parsed.canonicalArgs, async () => {
    if (invocation.mode === "client") return (await import("./client-mode.ts")).runClientMode(invocation, io);
    return (await import("./server-mode.ts")).runServerMode(invocation, io, defects);
  });
}

/** With its options bound to it, so that commands of different options are of one type. */
function bound<const Specs extends readonly OptionSpec[]>(one: Command<Specs>) {
  return {
    words: one.words,
    begin: async (args: readonly string[], io: Io): Promise<number> => {
      const parsed = strictParse(one.options, args);
      if (parsed.canonicalArgs.includes("--help")) return print(io, one.help(io.out.hasColour));
      return runWithCitty(`rperf ${one.words}`, one.options, parsed.canonicalArgs, () => one.start(parsed, io));
    },
  };
}

/** Runs a command whose arguments have passed the strict parse. */
async function runWithCitty(
  name: string,
  specs: readonly OptionSpec[],
  canonicalArgs: readonly string[],
  start: () => Promise<number>,
): Promise<number> {
  let status = EXIT_OK;
  const command = defineCommand({
    meta: { name, version: manifest.version, description: manifest.description },
    args: cittyArgs(specs),
    async run() {
      status = await start();
    },
  });
  await runCommand(command, { rawArgs: [...canonicalArgs] });
  return status;
}

function print(io: Io, text: string): number {
  io.out.write(text);
  return EXIT_OK;
}

/** One line, whatever the error. */
function complain(io: Io, error: unknown): void {
  const what = error instanceof RperfError ? "" : "internal error: ";
  io.err.write(`rperf: ${what}${escapeControls(messageOf(error))}\n`);
}

/** A reader that has seen enough (`| head`) is no failure; results that could not be written are. */
function statusAfterOutput(io: Io, status: number): number {
  if (io.out.failure === null) return status;
  if (io.out.failure === "EPIPE") return EXIT_OK;
  complain(io, new RperfError("internal", `cannot write the results: ${io.out.failure}`));
  return EXIT_FAILED;
}
