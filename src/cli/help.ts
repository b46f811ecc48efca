import { styleText } from "node:util";
import type { OptionSpec } from "./option-spec.ts";
import { KEYGEN_OPTIONS, PRINT_OPTIONS, ROOT_OPTIONS, SELFTEST_OPTIONS } from "./options.ts";

const COLUMNS = 80;
const INDENT = "  ";

/** What `rperf --help` prints. */
export function rootHelp(colour: boolean): string {
  return render(colour, {
    title: "rperf measures TCP and UDP throughput, loss and jitter between two hosts.",
    usage: [
      "rperf -s [options]",
      "rperf -c HOST [options]",
      "rperf selftest [options]",
      "rperf keygen [options]",
      "rperf print systemd",
    ],
    specs: ROOT_OPTIONS,
    examples: [
      ["rperf -s", "serve on port 5199"],
      ["rperf -c 192.0.2.1 -b 0 -P 4", "four TCP streams, as fast as they go"],
      ["rperf -c 192.0.2.1 -u -b 50m -t 30", "UDP at 50 Mb/s for 30 seconds"],
      ["rperf -c 192.0.2.1 -R -b 1g -O 2 -f json", "the other way, without the first 2 s, as JSON"],
      ["rperf selftest", "measure this machine against itself"],
    ],
    closing:
      "Results go to stdout, all else to stderr. Exit status: 0 success, 2 wrong usage, 3 a second interrupt, " +
      "4 the test or the server failed.",
  });
}

/** What `rperf selftest --help` prints. */
export function selftestHelp(colour: boolean): string {
  return render(colour, {
    title: "rperf selftest measures this machine against itself: TCP and UDP, forward and reverse.",
    usage: ["rperf selftest [options]"],
    specs: SELFTEST_OPTIONS,
    examples: [
      ["rperf selftest -t 5", "five seconds for each test"],
      ["rperf selftest -f json", "for a program to read"],
    ],
    closing: "Exit status: 0 when all tests completed, 2 wrong usage, 3 a second interrupt, 4 otherwise.",
  });
}

/** What `rperf print systemd --help` prints. */
export function printHelp(colour: boolean): string {
  return render(colour, {
    title: "rperf print systemd prints a unit that serves as a service of systemd, in a sandbox, on stdout.",
    usage: ["rperf print systemd"],
    specs: PRINT_OPTIONS,
    examples: [["rperf print systemd > /etc/systemd/system/rperf.service", "then systemctl daemon-reload"]],
    closing: "Options of the server belong behind -s in its ExecStart. Exit status: 0 success, 2 wrong usage.",
  });
}

/** What `rperf keygen --help` prints. */
export function keygenHelp(colour: boolean): string {
  return render(colour, {
    title: "rperf keygen makes a key for a server and its clients, and prints it: a line of a key file (--key-file).",
    usage: ["rperf keygen [options]"],
    specs: KEYGEN_OPTIONS,
    examples: [
      ["(umask 077; rperf keygen --id probe >> keys)", "one more key in a file that only its owner can read"],
      ['RPERF_KEY="$(rperf keygen)"', "or in the environment"],
    ],
    closing: "The secret has 32 random bytes. Exit status: 0, or 2 for wrong usage.",
  });
}

interface Page {
  readonly title: string;
  readonly usage: readonly string[];
  readonly specs: readonly OptionSpec[];
  readonly examples: readonly (readonly [command: string, meaning: string])[];
  readonly closing: string;
}

function render(colour: boolean, page: Page): string {
  const heading = (text: string): string => (colour ? styleText("bold", text, { validateStream: false }) : text);
  const lefts = page.specs.map(optionLeft);
  const leftWidth = Math.max(...lefts.map((left) => left.length)) + INDENT.length;
  const lines = [...wrap(page.title, COLUMNS), "", heading("Usage"), ...page.usage.map((line) => INDENT + line)];
  for (const group of new Set(page.specs.map((spec) => spec.group))) {
    lines.push("", heading(group));
    for (const spec of page.specs.filter((candidate) => candidate.group === group)) {
      lines.push(...twoColumns(optionLeft(spec), optionRight(spec), leftWidth));
    }
  }
  const exampleWidth = Math.max(...page.examples.map(([command]) => command.length)) + INDENT.length;
  lines.push("", heading("Examples"));
  for (const [command, meaning] of page.examples) lines.push(...twoColumns(command, meaning, exampleWidth));
  lines.push("", ...wrap(page.closing, COLUMNS));
  return lines.map((line) => `${line}\n`).join("");
}

function optionLeft({ name, short, valueName }: OptionSpec): string {
  return `${short === undefined ? "   " : `-${short},`} --${name}${valueName === undefined ? "" : ` ${valueName}`}`;
}

function optionRight({ help, defaultText }: OptionSpec): string {
  return defaultText === undefined ? help : `${help} (default: ${defaultText})`;
}

function twoColumns(left: string, right: string, leftWidth: number): string[] {
  const [first = "", ...rest] = wrap(right, COLUMNS - INDENT.length - leftWidth);
  const margin = " ".repeat(INDENT.length + leftWidth);
  return [INDENT + left.padEnd(leftWidth) + first, ...rest.map((line) => margin + line)];
}

/** Breaks text between words; one longer than the width keeps a line of its own. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
