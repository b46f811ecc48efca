// Runs the checks and the tests and ends with one plain line "N passed, N failed[, N skipped]".
//
//   bun .ci/test.ts                       everything: format, lint, types, knip, then every test/**/*.test.ts
//   bun .ci/test.ts checks                the four checks alone
//   bun .ci/test.ts test/unit test/faults the test files below these folders (or these files)
//
// Each test file has a process of its own and they run one after the other: what one leaks cannot disturb the next, and
// no two tests share the machine while they measure. Those that leave most of it idle come last, three at a time.
import { closeSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const ROOT = `${import.meta.dir}/..`;
/** A file that has not ended by then hangs; the longest ones run real peers for minutes. */
const FILE_LIMIT_MS = 15 * 60_000;
/** Fast and telling ones first; folders not named here come last, by name. */
const ORDER = ["test/unit/", "test/golden/", "test/faults/", "test/compiled/", "test/interop/"];
/**
 * Little of these is work for the machine: they wait for deadlines, or send at rates far below what it carries. The longest
 * come first, so that the lanes end together.
 */
const WAITING: ReadonlySet<string> = new Set([
  "test/faults/outage.test.ts",
  "test/faults/client-trouble.test.ts",
  "test/faults/vanished-peer.test.ts",
  "test/faults/held-places.test.ts",
  "test/faults/slow-link.test.ts",
  "test/faults/server-bad-input.test.ts",
  "test/faults/report-intervals.test.ts",
  "test/faults/tcp-totals.test.ts",
  "test/faults/silent-client.test.ts",
  "test/faults/nothing-remains.test.ts",
  "test/faults/port-trouble.test.ts",
  "test/faults/path-options.test.ts",
  "test/faults/nat.test.ts",
  "test/faults/client-port.test.ts",
  "test/faults/accounting-ends.test.ts",
  "test/faults/signals.test.ts",
  "test/faults/forged-packets.test.ts",
  "test/faults/tls.test.ts",
  "test/faults/auth.test.ts",
  "test/faults/explained-stops.test.ts",
]);
const WAITING_AT_ONCE = 3;

const MOST_REASON_LINES = 12;
const MOST_REASON_CHARS = 200;

const CHECKS: readonly (readonly [name: string, command: readonly string[]])[] = [
  ["format", [process.execPath, "fmt", "--check"]],
  ["lint", [process.execPath, "node_modules/oxlint/bin/oxlint", "--type-aware", "--deny-warnings"]],
  ["types", [process.execPath, "check", "--no-script"]],
  ["knip", [process.execPath, "node_modules/knip/bin/knip.js"]],
];

const failed: string[] = [];
const skipped: string[] = [];
let passes = 0;

function spawn(command: readonly string[], output: "inherit" | number = "inherit") {
  return Bun.spawn([...command], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: output,
    stderr: output,
    timeout: FILE_LIMIT_MS,
    killSignal: "SIGKILL",
  });
}

async function runCheck(name: string, command: readonly string[]): Promise<void> {
  console.log(`== ${name}`);
  const code = await spawn(command).exited;
  if (code === 0) passes += 1;
  else failed.push(`check ${name} (exit ${code})`);
}

function unescape(text: string): string {
  const names: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, name?: string) =>
    code === undefined ? (names[name ?? ""] ?? whole) : String.fromCodePoint(Number(code)),
  );
}

/** What a failed test said, and where: of a run with much output its end alone may be kept. */
function reasonOf(body: string): string {
  const [, attributes = "", text = ""] = /<(?:failure|error)\b([^>]*?)(?:\/>|>([^<]*))/.exec(body) ?? [];
  const said = text === "" ? (/\bmessage="([^"]*)"/.exec(attributes)?.[1] ?? "") : text;
  const lines = unescape(said)
    .split("\n")
    .filter((line) => line.trim() !== "");
  return lines
    .slice(0, MOST_REASON_LINES)
    .map((line) => `\n      ${line.trim().slice(0, MOST_REASON_CHARS)}`)
    .join("");
}

/** Reads bun's JUnit report; null when there is none, as for a file that fails to load or that holds no test. */
async function readReport(path: string) {
  const report = Bun.file(path);
  if (!(await report.exists())) return null;
  const result = { passes: 0, failed: [] as string[], skipped: [] as string[] };
  // A passed test is one self-closed element. Attribute values never hold a raw ">".
  for (const [, attributes = "", end, body = ""] of (await report.text()).matchAll(
    /<testcase\b([^>]*?)(?:(\/)>|>([\s\S]*?)<\/testcase>)/g,
  )) {
    const attribute = (key: string) => unescape(new RegExp(`\\b${key}="([^"]*)"`).exec(attributes)?.[1] ?? "");
    const suite = attribute("classname");
    const name = suite === "" ? attribute("name") : `${suite} > ${attribute("name")}`;
    if (end === "/") result.passes += 1;
    else if (body.includes("<skipped")) result.skipped.push(name);
    else if (body.includes("<failure") || body.includes("<error")) result.failed.push(`${name}${reasonOf(body)}`);
    else result.passes += 1;
  }
  return result;
}

async function runFile(file: string, output: "inherit" | number = "inherit"): Promise<void> {
  const reportPath = `${tmpdir()}/rperf-junit-${process.pid}-${file.replaceAll("/", "-")}.xml`;
  rmSync(reportPath, { force: true });
  const command = [process.execPath, "test", "--no-orphans", "--reporter=junit", `--reporter-outfile=${reportPath}`];
  const code = await spawn([...command, `./${file}`], output).exited;
  const report = await readReport(reportPath);
  rmSync(reportPath, { force: true });
  passes += report?.passes ?? 0;
  for (const name of report?.failed ?? []) failed.push(`${file}: ${name}`);
  for (const name of report?.skipped ?? []) skipped.push(`${file}: ${name}`);
  const count = (report?.passes ?? 0) + (report?.failed.length ?? 0) + (report?.skipped.length ?? 0);
  if (code !== 0 && (report?.failed.length ?? 0) === 0) failed.push(`${file}: the file itself (exit ${code})`);
  else if (count === 0) failed.push(`${file}: holds no test`);
}

/** Several at a time; what each prints comes whole, when it has ended. */
async function runTogether(files: readonly string[]): Promise<void> {
  const queue = [...files];
  const lane = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const outputPath = `${tmpdir()}/rperf-output-${process.pid}-${file.replaceAll("/", "-")}.txt`;
      const output = openSync(outputPath, "w+");
      await runFile(file, output);
      closeSync(output);
      await Bun.write(Bun.stdout, await Bun.file(outputPath).text());
      rmSync(outputPath, { force: true });
    }
  };
  await Promise.all(Array.from({ length: WAITING_AT_ONCE }, lane));
}

function rank(file: string): number {
  const at = ORDER.findIndex((folder) => file.startsWith(folder));
  return at === -1 ? ORDER.length : at;
}

async function findFiles(selection: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const path of new Bun.Glob("test/**/*.test.ts").scan({ cwd: ROOT }))
    found.push(path.replaceAll("\\", "/"));
  const chosen = found.filter(
    (file) => selection.length === 0 || selection.some((part) => file === part || file.startsWith(`${part}/`)),
  );
  return chosen.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

const selection = Bun.argv.slice(2).map((part) => part.replace(/^\.\//, "").replace(/\/$/, ""));
const everything = selection.length === 0;
if (everything || selection.includes("checks")) for (const [name, command] of CHECKS) await runCheck(name, command);
const folders = selection.filter((part) => part !== "checks");
if (everything || folders.length > 0) {
  const files = await findFiles(folders);
  const unmatched = folders.filter((part) => !files.some((file) => file === part || file.startsWith(`${part}/`)));
  for (const part of unmatched) failed.push(`${part}: no test file there`);
  if (everything && files.length === 0) failed.push("no test file found");
  for (const file of files) if (!WAITING.has(file)) await runFile(file);
  await runTogether([...WAITING].filter((file) => files.includes(file)));
}

const lines: string[] = [];
if (skipped.length > 0) lines.push("", "Skipped:", ...skipped.map((name) => `  ${name}`));
if (failed.length > 0) lines.push("", "Failed:", ...failed.map((name) => `  ${name}`));
lines.push("", `${passes} passed, ${failed.length} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`);
await Bun.write(Bun.stdout, `${lines.join("\n")}\n`);
process.exit(failed.length === 0 && passes > 0 ? 0 : 1);
