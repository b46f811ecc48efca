// A wall clock that is set by an hour in mid-test, at one end: times of day are printed by it, and nothing is measured by it.
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { expectTotalsOf } from "../support/cli.ts";
import { freePort } from "../support/ports.ts";
import { ROOT, type RunningProcess, startProcess } from "../support/process.ts";
import { figuresOf, printFigures, type TestRun, testRunOf } from "../support/udp-test.ts";

setDefaultTimeout(60_000);

const SECONDS = 4;
const BYTES_PER_SECOND = 250_000;
const HOUR_MS = 3_600_000;
/** What a busy machine may be late by, in one interval. */
const ROOM_SECONDS = 0.8;
/** Both processes need a moment to start. */
const STEP_AFTER_MS = 2_800;

const ENDS = ["client", "server"] as const;
interface Case {
  readonly family: "tcp" | "udp";
  readonly reverse: boolean;
  readonly stepMs: number;
}
const CASES: readonly Case[] = (["tcp", "udp"] as const).flatMap((family) =>
  [false, true].flatMap((reverse) => [HOUR_MS, -HOUR_MS].map((stepMs) => ({ family, reverse, stepMs }))),
);

function start(args: readonly string[], step: { readonly atMs: number; readonly byMs: number } | null): RunningProcess {
  const preload = step === null ? [] : ["--preload", `${ROOT}/test/support/step-wall-clock.ts`];
  const env = step === null ? {} : { STEP_AT_MS: `${step.atMs}`, STEP_BY_MS: `${step.byMs}` };
  return startProcess([process.execPath, ...preload, `${ROOT}/src/main.ts`, ...args], { env });
}

/** Seconds of a day, of the log line that matches. */
function timeOfDay(log: string, pattern: RegExp): number {
  const line = log.split("\n").find((one) => pattern.test(one)) ?? "";
  const [, hours, minutes, seconds] = /\[(\d\d):(\d\d):(\d\d)\]/.exec(line) ?? [];
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

type Interval = Readonly<Record<string, number | null>>;

/** Durations and rates are those of the plan, and the reports' times go on from each to the next. */
function expectUntouched(intervals: readonly Interval[], bytesKey: string): void {
  const whole = intervals.slice(0, SECONDS);
  expect(whole).toHaveLength(SECONDS);
  for (const [index, { duration, timestamp, [bytesKey]: bytes }] of whole.entries()) {
    expect(duration).toBeWithin(1 - ROOM_SECONDS, 1 + ROOM_SECONDS);
    expect(bytes).toBeWithin(BYTES_PER_SECOND * (1 - ROOM_SECONDS), BYTES_PER_SECOND * (1 + ROOM_SECONDS));
    const before = intervals[index - 1]?.["timestamp"];
    if (typeof before === "number") expect(Number(timestamp) - before).toBeCloseTo(Number(duration), 3);
  }
}

function expectPlanned(run: TestRun): void {
  const { streams, summary } = run.document;
  for (const { intervals } of streams) {
    expectUntouched(intervals.send, "bytes_sent");
    expectUntouched(intervals.receive, "bytes_received");
  }
  for (const seconds of [summary.duration_send, summary.duration_receive]) {
    expect(seconds).toBeWithin(SECONDS - ROOM_SECONDS, SECONDS + ROOM_SECONDS);
  }
  expectTotalsOf(run.document);
  expect(run.overrunSeconds).toBeLessThan(2.5);
}

async function expectStepless(end: (typeof ENDS)[number], { family, reverse, stepMs }: Case): Promise<void> {
  const step = { atMs: Date.now() + STEP_AFTER_MS, byMs: stepMs };
  const port = await freePort();
  const server = start(["-s", "-p", `${port}`], end === "server" ? step : null);
  await server.waitForOutput(/listening/);
  const mode = [...(family === "udp" ? ["-u"] : []), ...(reverse ? ["-R"] : [])];
  const rate = ["-t", `${SECONDS}`, "-b", `${BYTES_PER_SECOND}`, "-f", "json"];
  const client = start(["-c", "127.0.0.1", "-p", `${port}`, ...rate, ...mode], end === "client" ? step : null);
  const code = await client.exited;
  const run = testRunOf({ code, stdout: client.stdout, stderr: client.stderr }, SECONDS);
  server.kill("SIGINT");
  await server.exited;
  const figures = figuresOf(run);
  printFigures(`${family} ${reverse ? "reverse" : "forward"}, ${stepMs / HOUR_MS} h at the ${end}`, {
    sent: figures.duration_send,
    received: figures.duration_receive,
    bytes: figures.bytes_received,
    "jitter in ms": (figures.jitter_average ?? 0) * 1000,
    overrun: run.overrunSeconds,
  });
  expect({ code, success: run.document.success }).toEqual({ code: 0, success: true });
  // The step was in mid-test, and in every thread.
  const stepSeconds = step.atMs / 1000 - run.document.started;
  expect(stepSeconds).toBeWithin(0.2, SECONDS - 0.2);
  const stepped = (end === "server" ? server : client).stderr;
  for (const thread of ["main thread", "Worker"])
    expect(stepped).toContain(`stepped by ${stepMs / 1000} s in a ${thread}`);
  expectPlanned(run);
  if (family === "udp") expect(figures.jitter_average).toBeLessThan(0.005);
  // What is printed goes by it: the server's lines before the step and behind it.
  const log = server.stdout + server.stderr;
  const passed = timeOfDay(log, /ended: the test ended/) - timeOfDay(log, /test started/);
  const printedStep = end === "server" ? stepMs / 1000 : 0;
  const day = 86_400;
  expect((passed - printedStep + 2 * day) % day).toBeWithin(0, SECONDS + 3);
}

describe.each(ENDS)("the wall clock of the %s", (end) => {
  for (const family of ["tcp", "udp"] as const) {
    test(`is set by an hour in mid-test, ${family}`, async () => {
      await Promise.all(CASES.filter((one) => one.family === family).map((one) => expectStepless(end, one)));
    });
  }
});
