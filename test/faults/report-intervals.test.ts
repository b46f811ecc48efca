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

/** A machine may put a process aside for so long: it begins, ends and cuts its intervals later by that. */
const STALL_SECONDS = 1;
/** Of all that were counted, those that were as many as planned. */
const counts = { exact: 0, all: 0 };

/** A sender whose time was over in a stall makes one of the rest; a receiver may wait for the end of a late one. */
function expectCount(count: number, seconds: number, intervalSeconds: number, most: number): void {
  const planned = Math.ceil(seconds / intervalSeconds - 1e-9);
  counts.all += 1;
  if (count >= planned && count <= most) counts.exact += 1;
  expect(count).toBeGreaterThanOrEqual(planned / 2);
  expect(count).toBeLessThanOrEqual(Math.ceil((seconds + STALL_SECONDS) / intervalSeconds) + 1);
}

/** As many as there are, whole but for the last; a receiver begins a bit later, and may end behind the last boundary. */
function expectIntervals(intervals: Intervals, seconds: number, intervalSeconds: number, isReceiver: boolean): void {
  const planned = Math.ceil(seconds / intervalSeconds - 1e-9);
  expectCount(intervals.length, seconds, intervalSeconds, isReceiver ? planned + 1 : planned);
  if (!isReceiver) expect(intervals.length).toBeLessThanOrEqual(planned);
  for (const interval of intervals.slice(0, -1)) {
    expect(interval["duration"]).toBeCloseTo(intervalSeconds, 6);
  }
  expect(intervals.at(-1)?.["duration"]).toBeLessThan(intervalSeconds + STALL_SECONDS);
  const wholeSeconds = sumOf(intervals, "duration");
  expect(wholeSeconds).toBeGreaterThan(seconds - 0.15 - (isReceiver ? STALL_SECONDS / 2 : 0));
  expect(wholeSeconds).toBeLessThan(seconds + 0.15 + STALL_SECONDS);
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
          expectIntervals(intervals.send, seconds, intervalSeconds, false);
          expectIntervals(intervals.receive, seconds, intervalSeconds, true);
          expect(sumOf(intervals.send, "bytes_sent")).toBe(intervals.summary.bytes_sent);
          expect(sumOf(intervals.receive, "bytes_received")).toBe(intervals.summary.bytes_received);
        }
      });

      test(`${text} s, ${family}, text`, async () => {
        const result = await run(clientArgs(...flags));
        expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: "" });
        const rows = [...result.stdout.matchAll(/^ +0 +(\d+\.\d\d)-(\d+\.\d\d) /gm)];
        // What comes from a side that is late has a row behind its turn.
        const starts = new Map<number, number>();
        for (const [, from, to] of rows) {
          const index = Math.round(Number(from) / intervalSeconds);
          expect(index).toBeLessThanOrEqual(starts.size);
          starts.set(index, (starts.get(index) ?? 0) + 1);
          expect(Number(from)).toBeCloseTo(index * intervalSeconds, 2);
          if (Number(to) < seconds - 0.15) expect(Number(to)).toBeCloseTo((index + 1) * intervalSeconds, 2);
        }
        expect(Math.max(...starts.values())).toBeLessThanOrEqual(2);
        // A receiver's last moment may have a row to itself.
        const planned = Math.ceil(seconds / intervalSeconds - 1e-9);
        expectCount(starts.size, seconds, intervalSeconds, planned + 1);
      });
    }
  }

  test("nearly always they are as many as planned", () => {
    console.log(`  ${counts.exact} of ${counts.all} counts as planned`);
    expect(counts.exact).toBeGreaterThan(0.75 * counts.all);
  });
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
  readonly lines: readonly { readonly line: Line; readonly atSeconds: number }[];
  readonly spawnedAtSeconds: number;
}

/** Each line, and when it came, by the clock on the wall. */
async function streamed(...flags: string[]): Promise<Streamed> {
  const spawnedAtSeconds = Date.now() / 1000;
  const child = Bun.spawn(clientArgs("--json-stream", ...flags), {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const complaints = new Response(child.stderr).text();
  const lines: { line: Line; atSeconds: number }[] = [];
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of child.stdout) {
    rest += decoder.decode(chunk, { stream: true });
    const atSeconds = Date.now() / 1000;
    const whole = rest.split("\n");
    rest = whole.pop() ?? "";
    for (const text of whole) lines.push({ line: JSON.parse(text) as Line, atSeconds });
  }
  expect(rest).toBe("");
  return { code: await child.exited, stderr: await complaints, lines, spawnedAtSeconds };
}

describe("--json-stream", () => {
  const modes: readonly (readonly string[])[] = [[], ["-u"], ["-R"], ["--bidir"], ["-u", "--bidir", "-P", "2"]];
  test.each(modes.map((flags) => ({ flags, name: flags.join(" ") || "forward" })))("$name", async ({ flags }) => {
    const all = ["-t", "2", "--interval", "0.5", "--title", "a title", ...flags];
    const { code, stderr, lines, spawnedAtSeconds } = await streamed(...all);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const { line } of lines) expect({ line, faults: streamLineFaults(line) }).toEqual({ line, faults: [] });
    const [first] = lines;
    const last = lines.at(-1);
    const intervals = lines.filter(({ line }) => line.event === "interval");
    expect(lines.map(({ line }) => line.event)).toEqual(["start", ...intervals.map(() => "interval" as const), "end"]);
    if (first === undefined || last === undefined) throw new Error("there are no lines");
    expect(first.line.data["title"]).toBe("a title");
    // As it happens: by the end of the test the first interval would be 1.5 s late. A stall of the machine is shorter.
    for (const { line, atSeconds } of lines) {
      expect(atSeconds - line.timestamp).toBeGreaterThan(-0.1);
      expect(atSeconds - line.timestamp).toBeLessThan(1.4);
    }
    expect((intervals[0]?.atSeconds ?? Number.NaN) - spawnedAtSeconds).toBeGreaterThan(0.4);
    expect(last.atSeconds - spawnedAtSeconds).toBeGreaterThan(1.9);
    expect(new Set(intervals.map(({ atSeconds }) => Math.round(atSeconds * 10))).size).toBeGreaterThanOrEqual(2);
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
    // Eight, but for a sender whose time was over in a stall.
    expect(count).toBeGreaterThanOrEqual(6);
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
    await client.waitForOutput(/(?:"event":"interval"[^]*){3}/);
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
