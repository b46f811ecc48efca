import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

import { systemdUnit } from "../../../src/cli/print-systemd.ts";
import { DEFAULT_DRAIN_SECONDS } from "../../../src/config/defaults.ts";
import { testsUnless } from "../../support/conditional.ts";
import { expectServes } from "../../support/good-test.ts";
import { freePort } from "../../support/ports.ts";
import { ROOT, rperf, run, startProcess } from "../../support/process.ts";
import { whyNoRefusals } from "../../support/refusals.ts";

/** Of 10, as systemd-analyze counts it; the unit got 1.2 when it was written, of systemd 252. */
const MOST_EXPOSURE = 1.5;
const HEADERS = [
  "/usr/include/asm/unistd_64.h",
  `/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/asm/unistd_64.h`,
  "/usr/include/asm-generic/unistd.h",
];

const header = HEADERS.find((path) => existsSync(path));
const hasAnalyze = Bun.which("systemd-analyze") !== null;
const withAnalyze = testsUnless(hasAnalyze ? null : "there is no systemd-analyze here");

function settingOf(unit: string, name: string): string[] {
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}

describe("the unit", () => {
  test("starts the command, whatever stands in its path", () => {
    const start = (command: readonly string[]) => settingOf(systemdUnit(command), "ExecStart");
    expect(start(["/usr/bin/rperf"])).toEqual(["/usr/bin/rperf -s"]);
    expect(start(["/opt/a b/bun", '/opt/50% "$x\\.ts'])).toEqual(['"/opt/a b/bun" "/opt/50%% \\"$$x\\\\.ts" -s']);
  });

  test("waits longer than the drain, and for a watchdog", () => {
    const unit = systemdUnit(["/usr/bin/rperf"]);
    expect(Number(settingOf(unit, "TimeoutStopSec"))).toBeGreaterThan(DEFAULT_DRAIN_SECONDS);
    expect(settingOf(unit, "Type")).toEqual(["notify"]);
    expect(settingOf(unit, "WatchdogSec")).toEqual(["30"]);
  });

  test("says where its sandbox hides the program", () => {
    expect(systemdUnit(["/root/.bun/bin/bun", "/opt/main.ts"])).toContain("cannot see /root/.bun/bin/bun: install it");
    expect(systemdUnit(["/usr/bin/rperf"])).not.toContain("cannot see");
  });
});

test("rperf print systemd prints it, for the program that runs", async () => {
  const { code, stdout, stderr } = await run(rperf("print", "systemd"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toBe(systemdUnit([process.execPath, `${ROOT}/src/main.ts`]));
});

withAnalyze.describe("systemd", () => {
  let folder = "";
  let path = "";

  beforeAll(async () => {
    folder = mkdtempSync(`${tmpdir()}/rperf-unit-`);
    path = `${folder}/rperf.service`;
    await Bun.write(path, systemdUnit([process.execPath, `${ROOT}/src/main.ts`]));
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test("finds no fault in it", async () => {
    const { code, stdout, stderr } = await run(["systemd-analyze", "verify", path]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  test("counts little exposure", async () => {
    const { stdout } = await run(["systemd-analyze", "security", "--offline=true", "--no-pager", path]);
    const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
    console.log(`exposure of the unit: ${exposure} of 10`);
    expect(Number(exposure)).toBeLessThanOrEqual(MOST_EXPOSURE);
  });
});

/** The system calls of a group such as @file-system, or the one that it names. */
async function callsOf(name: string): Promise<readonly string[]> {
  if (!name.startsWith("@")) return [name];
  const { stdout } = await run(["systemd-analyze", "syscall-filter", "--no-pager", name]);
  const names = stdout
    .split("\n")
    .slice(1)
    .map((line) => line.trim());
  return (await Promise.all(names.filter((one) => one !== "" && !one.startsWith("#")).map(callsOf))).flat();
}

/** What a unit allows, as systemd reads its filters: the first one names what is allowed, others add or take away. */
async function allowedBy(unit: string): Promise<readonly string[]> {
  const allowed = new Set(await callsOf("@default"));
  for (const filter of settingOf(unit, "SystemCallFilter")) {
    const isTakenAway = filter.startsWith("~");
    for (const call of (await Promise.all(filter.replace("~", "").split(" ").map(callsOf))).flat()) {
      if (isTakenAway) allowed.delete(call);
      else allowed.add(call);
    }
  }
  return [...allowed];
}

function whyNotConfined(): string | null {
  if (!hasAnalyze) return "there is no systemd-analyze here";
  if (header === undefined) return "the numbers of system calls are in no header here";
  return whyNoRefusals;
}

testsUnless(whyNotConfined()).test(
  "a server serves, both ways, with the system calls alone that the unit allows",
  async () => {
    const numbers = new Map(
      [...readFileSync(header ?? "", "utf8").matchAll(/#define __NR(?:3264)?_(\w+)\s+(\d+)/g)].map(
        ([, name = "", number]) => [name, Number(number)],
      ),
    );
    const allowed = (await allowedBy(systemdUnit(["/usr/bin/rperf"]))).flatMap((name) => numbers.get(name) ?? []);
    expect(allowed.length).toBeGreaterThan(200);
    expect(allowed).not.toContain(numbers.get("mount"));
    const port = await freePort();
    const server = startProcess([
      process.execPath,
      `${ROOT}/test/support/allow-and-run.ts`,
      JSON.stringify(allowed),
      ...rperf("-s", "--bind", "127.0.0.1", "-p", `${port}`, "-A", "0", "-d"),
    ]);
    await server.waitForOutput(/listening on/);
    for (const family of ["tcp", "udp"] as const) {
      for (const how of [{ reverse: true }, { bidir: true }, { singlePort: true }]) {
        await expectServes(port, {
          family,
          reverse: false,
          durationSeconds: 0.3,
          bandwidthBytesPerSecond: 10_000_000,
          ...how,
        });
      }
    }
    server.kill("SIGHUP");
    await server.waitForOutput(/reloaded/);
    server.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    expect(server.stderr).not.toMatch(/EPERM|not supported|refused/);
  },
);
