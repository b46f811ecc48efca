// Tests of the program itself between two namespaces, and the figures of their documents that speak of UDP.
import { expect } from "bun:test";

import type { OurDocument } from "./cli.ts";
import { ourDocumentOf } from "./cli.ts";
import type { SummaryDocument } from "./document.ts";
import type { Namespace } from "./netns.ts";
import { rperf, type RunningProcess, type RunResult } from "./process.ts";
import { documentFaults } from "./schemas.ts";

/** Of one stream, or of all. */
export interface UdpFigures extends Required<SummaryDocument> {
  readonly packets_out_of_order: number;
  readonly packets_stray: number;
  readonly reorder_extent_max: number;
  readonly reorder_extent_mean: number | null;
  readonly loss_bursts: number;
  readonly loss_burst_longest: number;
  readonly loss_burst_mean: number | null;
  readonly packets_lost_receive_buffer: number;
  readonly packets_lost_network: number;
  readonly sends_refused: number;
  readonly jitter_average: number | null;
}

export interface TestRun extends RunResult {
  readonly document: OurDocument & { readonly started: number };
  /** How long behind the planned end the client's process was gone. */
  readonly overrunSeconds: number;
}

export async function startServer(at: Namespace, ...flags: readonly string[]): Promise<RunningProcess> {
  const server = at.start(rperf("-s", "-6", ...flags));
  await server.waitForOutput(/listening/);
  return server;
}

/** Interrupts it; it must end in good order. */
export async function stopServer(server: RunningProcess): Promise<void> {
  server.kill("SIGINT");
  expect(await server.exited).toBe(0);
}

/** One test of so many seconds, to its document, which must be valid; how it ended is the caller's to judge. */
export async function runTest(
  from: Namespace,
  host: string,
  seconds: number,
  flags: readonly string[],
  timeoutMs = 60_000,
): Promise<TestRun> {
  const result = await from.run(rperf("-c", host, "-t", `${seconds}`, "-f", "json", ...flags), { timeoutMs });
  return testRunOf(result, seconds);
}

/** Of a run that has ended just now. */
export function testRunOf(result: RunResult, seconds: number): TestRun {
  const endedSeconds = Date.now() / 1000;
  const document = ourDocumentOf(result) as TestRun["document"];
  expect(documentFaults(document)).toEqual([]);
  return { ...result, document, overrunSeconds: endedSeconds - document.started - seconds };
}

/** As above, of one that must complete without a word. */
export async function completeTest(...args: Parameters<typeof runTest>): Promise<TestRun> {
  const done = await runTest(...args);
  const { outcome, reason } = done.document;
  expect({ code: done.code, stderr: done.stderr, outcome, reason }).toEqual({
    code: 0,
    stderr: "",
    outcome: "completed",
    reason: null,
  });
  return done;
}

export function figuresOf({ document }: TestRun): UdpFigures {
  return document.summary as UdpFigures;
}

export function streamFiguresOf({ document }: TestRun): readonly UdpFigures[] {
  return document.streams.map(({ intervals }) => intervals.summary as UdpFigures);
}

/** Every packet is either received or lost, and every loss is laid to somebody's charge; for each stream and in all. */
export function expectBalanced(run: TestRun): void {
  for (const figures of [...streamFiguresOf(run), figuresOf(run)]) {
    const unique = figures.packets_received - figures.packets_duplicated;
    expect(unique + figures.packets_lost).toBe(figures.packets_sent);
    expect(figures.packets_lost_receive_buffer + figures.packets_lost_network).toBe(figures.packets_lost);
    expect(figures.packets_sent).toBeGreaterThan(0);
  }
}

/** One line of what a test found, for whoever reads the log. */
export function printFigures(name: string, figures: Readonly<Record<string, number | string | null>>): void {
  const parts = Object.entries(figures).map(([key, value]) => {
    const text = typeof value === "number" && !Number.isInteger(value) ? value.toFixed(3) : String(value);
    return `${key} ${text}`;
  });
  console.log(`  ${name}: ${parts.join(", ")}`);
}
