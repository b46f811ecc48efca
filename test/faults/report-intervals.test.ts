// When reports come and what they add up to: --interval, --json-stream and --title, by real tests over loopback.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";

import { EXIT_FAILED, linesOf, type OurDocument } from "../support/cli.ts";
import { expectCompleted, measuredOf } from "../support/directions.ts";
import { freePort } from "../support/ports.ts";
import { ROOT, rperf, run, type RunningProcess, startProcess } from "../support/process.ts";
import { documentFaults, streamLineFaults } from "../support/schemas.ts";

setDefaultTimeout(60_000);

let server: RunningProcess;
let port: number;

beforeAll(async () => {
  port = await freePort();
  server = startProcess(rperf("-s", "-p", `${port}`));
  await server.waitForOutput(/listening/);
});

afterAll(() => server.kill("SIGKILL"));

function clientArgs(...flags: string[]): string[] {
  return rperf("-c", "127.0.0.1", "-p", `${port}`, "-b", "4m", ...flags);
}

type Intervals = readonly Readonly<Record<string, number | null>>[];

function sumOf(intervals: Intervals, key: string): number {
  return intervals.reduce((sum, interval) => sum + (interval[key] ?? 0), 0);
}

/** As many as there are, whole but for the last; a receiver begins a bit later, and may end behind the last boundary. */
function expectIntervals(intervals: Intervals, seconds: number, intervalSeconds: number, slackSeconds: number): void {
  const count = Math.ceil(seconds / intervalSeconds - 1e-9);
  expect(intervals.length).toBeGreaterThanOrEqual(count);
  expect(intervals.length).toBeLessThanOrEqual(slackSeconds > 0 ? count + 1 : count);
  for (const interval of intervals.slice(0, -1)) {
    expect(interval["duration"]).toBeCloseTo(intervalSeconds, 6);
  }
  const wholeSeconds = sumOf(intervals, "duration");
  expect(wholeSeconds).toBeGreaterThan(seconds - 0.15);
  expect(wholeSeconds).toBeLessThan(seconds + 0.15 + slackSeconds);
}

/** [what, seconds of the test, seconds of an interval]: one that divides the time, and two that leave a rest. */
const CASES = [
  ["0.1", 1, 0.1],
  ["0.5", 1.7, 0.5],
  ["2.5", 3, 2.5],
] as const;

describe("--interval", () => {
  for (const family of ["tcp", "udp"] as const) {
    for (const [text, seconds, intervalSeconds] of CASES) {
      const flags = [...(family === "udp" ? ["-u"] : []), "-t", `${seconds}`, "--interval", text];

      test.each(["forward", "-R"] as const)(`${text} s, ${family} %s, JSON`, async (direction) => {
        const way = direction === "-R" ? ["-R"] : [];
        const document = expectCompleted(await run(clientArgs(...flags, ...way, "-f", "json", "-P", "2")));
        expect(document.config.additional["interval"]).toBe(intervalSeconds);
        expect(document.streams).toHaveLength(2);
        for (const { intervals } of document.streams) {
          expectIntervals(intervals.send, seconds, intervalSeconds, 0);
          expectIntervals(intervals.receive, seconds, intervalSeconds, 0.3);
          expect(sumOf(intervals.send, "bytes_sent")).toBe(intervals.summary.bytes_sent);
          expect(sumOf(intervals.receive, "bytes_received")).toBe(intervals.summary.bytes_received);
        }
      });

      test(`${text} s, ${family}, text`, async () => {
        const result = await run(clientArgs(...flags));
        expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: "" });
        const rows = [...result.stdout.matchAll(/^ +0 +(\d+\.\d\d)-(\d+\.\d\d) /gm)];
        const count = Math.ceil(seconds / intervalSeconds - 1e-9);
        // A receiver's last moment may have a row to itself.
        expect([count, count + 1]).toContain(rows.length);
        for (const [index, [, from, to]] of rows.entries()) {
          expect(Number(from)).toBeCloseTo(index * intervalSeconds, 2);
          if (index < count - 1) expect(Number(to)).toBeCloseTo((index + 1) * intervalSeconds, 2);
        }
      });
    }
  }
});

interface Line {
  readonly event: "start" | "interval" | "end" | "error";
  readonly schema_version: number;
  readonly timestamp: number;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Streamed {
  readonly code: number;
  readonly stderr: string;
  readonly lines: readonly { readonly line: Line; readonly atMs: number }[];
}

/** Each line, and when it came. */
async function streamed(...flags: string[]): Promise<Streamed> {
  const child = Bun.spawn(clientArgs("--json-stream", ...flags), {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const complaints = new Response(child.stderr).text();
  const lines: { line: Line; atMs: number }[] = [];
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of child.stdout) {
    rest += decoder.decode(chunk, { stream: true });
    const atMs = performance.now();
    const whole = rest.split("\n");
    rest = whole.pop() ?? "";
    for (const text of whole) lines.push({ line: JSON.parse(text) as Line, atMs });
  }
  expect(rest).toBe("");
  return { code: await child.exited, stderr: await complaints, lines };
}

describe("--json-stream", () => {
  const modes: readonly (readonly string[])[] = [[], ["-u"], ["-R"], ["--bidir"], ["-u", "--bidir", "-P", "2"]];
  test.each(modes.map((flags) => ({ flags, name: flags.join(" ") || "forward" })))("$name", async ({ flags }) => {
    const { code, stderr, lines } = await streamed("-t", "2", "--interval", "0.5", "--title", "a title", ...flags);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const { line } of lines) expect({ line, faults: streamLineFaults(line) }).toEqual({ line, faults: [] });
    const [first] = lines;
    const last = lines.at(-1);
    const intervals = lines.filter(({ line }) => line.event === "interval");
    expect(lines.map(({ line }) => line.event)).toEqual(["start", ...intervals.map(() => "interval" as const), "end"]);
    if (first === undefined || last === undefined) throw new Error("there are no lines");
    expect(first.line.data["title"]).toBe("a title");
    // As it happens: the start first, the first intervals long before the last, and none later than it was over.
    const seenMs = (index: number) => (intervals[index]?.atMs ?? Number.NaN) - first.atMs;
    expect(last.atMs - first.atMs).toBeGreaterThan(1_900);
    expect(seenMs(0)).toBeGreaterThan(400);
    expect(seenMs(0)).toBeLessThan(1_300);
    expect(new Set(intervals.map(({ atMs }) => Math.round(atMs / 100))).size).toBeGreaterThanOrEqual(4);
    // The last line holds the document, and it the same intervals.
    const document = last.line.data as unknown as OurDocument & { title: string };
    expect(documentFaults(document)).toEqual([]);
    expect(document.title).toBe("a title");
    const told = (direction: string, stream: number, side: string) =>
      intervals
        .map(({ line }) => line.data)
        .filter((data) => data["direction"] === direction && data["stream_idx"] === stream && data["side"] === side)
        .map(({ direction: _direction, stream_idx: _stream, side: _side, ...interval }) => interval);
    const directions = flags.includes("--bidir")
      ? ["forward", "reverse"]
      : [flags.includes("-R") ? "reverse" : "forward"];
    let count = 0;
    for (const [index, measured] of measuredOf(document).entries()) {
      for (const [stream, { intervals: own }] of measured.streams.entries()) {
        expect(told(directions[index] ?? "", stream, "send")).toEqual([...own.send]);
        expect(told(directions[index] ?? "", stream, "receive")).toEqual([...own.receive]);
        count += own.send.length + own.receive.length;
      }
    }
    expect(count).toBe(intervals.length);
    expect(count).toBeGreaterThanOrEqual(8);
  });

  test("no server listens: one line of an error", async () => {
    const closed = await freePort();
    const result = await run(rperf("-c", "127.0.0.1", "-p", `${closed}`, "-t", "1", "--json-stream"));
    expect(result.code).toBe(EXIT_FAILED);
    const lines = linesOf(result.stdout).map((text) => JSON.parse(text) as Line);
    expect(lines).toHaveLength(1);
    expect(lines.flatMap(streamLineFaults)).toEqual([]);
    expect(lines[0]).toMatchObject({ event: "error", data: { code: "connect-refused" } });
    expect(linesOf(result.stderr)).toHaveLength(1);
  });

  test("a server that goes in mid-test: the last line holds what there is", async () => {
    const ownPort = await freePort();
    const own = startProcess(rperf("-s", "-p", `${ownPort}`));
    await own.waitForOutput(/listening/);
    const flags = ["-t", "20", "--interval", "0.2", "--json-stream", "--resume-timeout", "0"];
    const client = startProcess(rperf("-c", "127.0.0.1", "-p", `${ownPort}`, ...flags));
    await client.waitForOutput(/"interval"/);
    await Bun.sleep(500);
    own.kill("SIGKILL");
    expect(await client.exited).toBe(EXIT_FAILED);
    const lines = linesOf(client.stdout).map((text) => JSON.parse(text) as Line);
    expect(lines.flatMap(streamLineFaults)).toEqual([]);
    expect(lines.at(-1)).toMatchObject({ event: "end", data: { success: false } });
    expect(lines.filter(({ event }) => event === "interval").length).toBeGreaterThan(2);
  });
});

test("--title stands at the top of a text, and in the document", async () => {
  const title = 'Büro → lab, "north" 7';
  const text = await run(clientArgs("-t", "0.3", "--title", title));
  expect(linesOf(text.stdout)[0]).toBe(title);
  const document = expectCompleted(await run(clientArgs("-t", "0.3", "-f", "json", "--title", title)));
  expect((document as unknown as { title: string }).title).toBe(title);
});
