// Compiles rperf into one executable per target: `bun run compile [target | all]`.
import { parseArgs } from "node:util";

/** Our target names are Bun's without "bun-"; Bun gets their runtimes from the npm registry. */
const TARGETS = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
  "darwin-arm64",
  "windows-x64",
] as const;
type Target = (typeof TARGETS)[number];

const ROOT = `${import.meta.dir}/..`;

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

function isTarget(name: string): name is Target {
  return (TARGETS as readonly string[]).includes(name);
}

async function nativeTarget(): Promise<string> {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const musl = system === "linux" && (await Bun.file("/etc/alpine-release").exists());
  return `${system}-${process.arch}${musl ? "-musl" : ""}`;
}

async function compile(target: Target, native: boolean): Promise<boolean> {
  const build = Bun.spawn(
    [
      process.execPath,
      "build",
      "--compile",
      "--minify",
      "--bytecode",
      "--format=esm",
      // Otherwise a .env or a bunfig.toml preload in the user's directory would run inside the tool.
      "--no-compile-autoload-dotenv",
      "--no-compile-autoload-bunfig",
      // The running Bun is this machine's runtime already: no download.
      ...(native ? [] : [`--target=bun-${target}`]),
      "src/main.ts",
      "src/stream-worker.ts",
      "--outfile",
      `dist/rperf-${target}`,
    ],
    { cwd: ROOT, stdin: "ignore", stdout: "inherit", stderr: "inherit" },
  );
  return (await build.exited) === 0;
}

const { positionals } = parseArgs({ args: Bun.argv.slice(2), allowPositionals: true });
if (positionals.length > 1) fail("usage: bun run compile [target | all]");
const native = await nativeTarget();
const wanted = positionals[0] ?? native;
const targets = wanted === "all" ? TARGETS : isTarget(wanted) ? [wanted] : [];
if (targets.length === 0) fail(`unknown target "${wanted}"; one of: ${TARGETS.join(", ")}, all`);
let failures = 0;
for (const target of targets) {
  console.log(`== rperf-${target}`);
  if (!(await compile(target, target === native))) failures += 1;
}
process.exit(failures === 0 ? 0 : 1);
