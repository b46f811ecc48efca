// What users get: compiled binaries, run far from the checkout, and the packed tarball, run through bunx.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testsUnless } from "../support/conditional.ts";
import { documentOf } from "../support/document.ts";
import { freePort } from "../support/ports.ts";
import { ROOT, run, startProcess } from "../support/process.ts";
import { reference, referencePath } from "../support/reference.ts";

const BUILD_TIMEOUT_MS = 180_000;

const elsewhere = mkdtempSync(join(tmpdir(), "rperf-elsewhere-"));
const hostile = join(elsewhere, "hostile");
afterAll(() => rmSync(elsewhere, { recursive: true, force: true }));

async function compile(target: string): Promise<string> {
  const { code, stdout, stderr } = await run([process.execPath, "run", "compile", target], {
    timeoutMs: BUILD_TIMEOUT_MS,
  });
  if (code !== 0) throw new Error(`compiling ${target} failed:\n${stdout}${stderr}`);
  return `${ROOT}/dist/rperf-${target}`;
}

const onX64 = testsUnless(
  process.platform === "linux" && process.arch === "x64" ? null : "the binary is for Linux on x64",
);
onX64.describe("the linux-x64 binary", () => {
  let binary: string;
  beforeAll(async () => {
    binary = await compile("linux-x64");
    // Neither may have a say in what the tool does (bun-findings, "Compiled binaries").
    await Bun.write(join(hostile, ".env"), "NO_COLOR=1\n");
    await Bun.write(join(hostile, "bunfig.toml"), 'preload = ["./missing.ts"]\n');
  }, BUILD_TIMEOUT_MS);

  test("runs two bound streams from another directory, as client and as server", async () => {
    const port = `${await freePort()}`;
    const server = startProcess([binary, "-s", "-p", port, "-A", "0"], { cwd: hostile });
    await server.waitForOutput(/listening/);
    for (const flags of [[], ["-u"], ["-R"], ["-uR"]]) {
      const result = await run(
        [binary, "-c", "127.0.0.1", "-p", port, "-t", "1", "-P", "2", "-A", "0", "-f", "json", ...flags],
        { cwd: hostile },
      );
      expect(result.stderr).toBe("");
      expect(result.code).toBe(0);
      const document = documentOf(result);
      expect(document.success).toBe(true);
      expect(document.streams).toHaveLength(2);
    }
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
  });

  test("tells its version and runs its selftest", async () => {
    const { version } = (await Bun.file(`${ROOT}/package.json`).json()) as { version: string };
    const told = await run([binary, "-V"], { cwd: hostile });
    expect(told).toEqual({ code: 0, stdout: `rperf ${version}\n`, stderr: "" });
    const selftest = await run([binary, "selftest", "-f", "json"], { cwd: hostile });
    expect(selftest.code).toBe(0);
    expect((JSON.parse(selftest.stdout) as { success: boolean }).success).toBe(true);
  });
});

const qemu = Bun.which("qemu-aarch64-static");
const ARM_ROOT = "/usr/aarch64-linux-gnu";
const onArm = testsUnless(
  qemu === null || !readdirSafely(ARM_ROOT).includes("lib")
    ? "there is no emulator (Debian: qemu-user-static, libc6-arm64-cross)"
    : referencePath === null
      ? "RPERF_REFERENCE names no original rperf"
      : null,
);
onArm.test(
  "the linux-arm64 binary runs under an emulator against the original server",
  async () => {
    const binary = await compile("linux-arm64");
    const port = `${await freePort()}`;
    await startProcess(reference("-s", "-p", port)).waitForOutput(/listening/);
    for (const flags of [["-P", "2"], ["-u"], ["-R"], ["-uR"]]) {
      const result = await run(
        [qemu ?? "", "-L", ARM_ROOT, binary, "-c", "127.0.0.1", "-p", port, "-t", "1", "-f", "json", ...flags],
        { cwd: elsewhere, timeoutMs: 60_000 },
      );
      expect(result.code).toBe(0);
      expect(documentOf(result).success).toBe(true);
    }
  },
  BUILD_TIMEOUT_MS + 240_000,
);

describe("the packed tarball", () => {
  test(
    "runs through bunx as server and client",
    async () => {
      const packed = await run(["npm", "pack", "--silent", "--pack-destination", elsewhere], { timeoutMs: 60_000 });
      expect(packed.code).toBe(0);
      const tarball = join(elsewhere, packed.stdout.trim());
      // A bunx of its own: what it installs must come from this tarball and from nothing older.
      const env = { TMPDIR: elsewhere, BUN_INSTALL_CACHE_DIR: join(elsewhere, "cache") };
      const bunx = (...flags: string[]) => [process.execPath, "x", "-p", tarball, "rperf", ...flags];
      const port = `${await freePort()}`;
      const server = startProcess(bunx("-s", "-p", port), { cwd: elsewhere, env });
      await server.waitForOutput(/listening/, 60_000);
      const result = await run(bunx("-c", "127.0.0.1", "-p", port, "-t", "1", "-P", "2", "-f", "json"), {
        cwd: elsewhere,
        env,
        timeoutMs: 60_000,
      });
      expect(result.code).toBe(0);
      expect(documentOf(result).success).toBe(true);
      // bunx hands the signal on to what it runs, which would outlive it otherwise.
      server.kill("SIGTERM");
      expect(await server.exited).toBe(0);
      const still = await run(bunx("-c", "127.0.0.1", "-p", port, "-t", "1"), { cwd: elsewhere, env });
      expect(still.stderr).toContain("connection refused");
    },
    BUILD_TIMEOUT_MS,
  );
});

function readdirSafely(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
