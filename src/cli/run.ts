import { defineCommand, runCommand } from "citty";
import manifest from "../../package.json" with { type: "json" };
import { EXIT_FAILED, EXIT_OK, exitStatusOf, messageOf, RperfError } from "../errors.ts";
import { escapeControls } from "../log.ts";
import { cittyArgs } from "./citty-args.ts";
import { rootHelp, selftestHelp } from "./help.ts";
import { invocationOf, selftestInvocationOf } from "./invocation.ts";
import { type Io, standardIo } from "./io.ts";
import { type OptionSpec, ROOT_OPTIONS, SELFTEST_OPTIONS } from "./options.ts";
import { strictParse } from "./strict-parse.ts";

const SELFTEST = "selftest";

/** The whole program: does what the arguments say and ends the process with the status that belongs to it. */
export async function run(args: readonly string[]): Promise<never> {
  const io = standardIo();
  for (const event of ["uncaughtException", "unhandledRejection"]) {
    // A defect outside any awaited call: Bun would print a trace, and end with 1 or not at all.
    process.on(event, (error: unknown) => {
      complain(io, error);
      process.exit(EXIT_FAILED);
    });
  }
  const status = await dispatch(args, io).catch((error: unknown) => {
    // A test that was stopped because its output has nowhere to go has nothing to complain of itself.
    if (io.out.failure === null) complain(io, error);
    return exitStatusOf(error);
  });
  await io.out.flush();
  const finalStatus = statusAfterOutput(io, status);
  await io.err.flush();
  // Not left to an empty event loop: what a broken test leaves open must not keep the program.
  process.exit(finalStatus);
}

/** A command is picked by the first argument alone: citty would take `-uc host` for the command "host". */
async function dispatch(args: readonly string[], io: Io): Promise<number> {
  return args[0] === SELFTEST ? dispatchSelftest(args.slice(1), io) : dispatchRoot(args, io);
}

async function dispatchRoot(args: readonly string[], io: Io): Promise<number> {
  const parsed = strictParse(ROOT_OPTIONS, args, [SELFTEST]);
  if (parsed.isOn("help")) return print(io, rootHelp(io.out.hasColour));
  if (parsed.isOn("version")) return print(io, `rperf ${manifest.version}\n`);
  const invocation = invocationOf(parsed);
  return runWithCitty("rperf", ROOT_OPTIONS, parsed.canonicalArgs, async () => {
    if (invocation.mode === "client") return (await import("./client-mode.ts")).runClientMode(invocation, io);
    return (await import("./server-mode.ts")).runServerMode(invocation, io);
  });
}

async function dispatchSelftest(args: readonly string[], io: Io): Promise<number> {
  const parsed = strictParse(SELFTEST_OPTIONS, args);
  if (parsed.isOn("help")) return print(io, selftestHelp(io.out.hasColour));
  const invocation = selftestInvocationOf(parsed);
  return runWithCitty(`rperf ${SELFTEST}`, SELFTEST_OPTIONS, parsed.canonicalArgs, async () =>
    (await import("./selftest.ts")).runSelftest(invocation, io),
  );
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
