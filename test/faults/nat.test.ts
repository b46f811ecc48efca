// A client behind a router that translates addresses and lets nobody in unasked: what claims to pass does, and what cannot
// pass says so, in a bounded time.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";

import { complaintOf, EXIT_FAILED, ourDocumentOf } from "../support/cli.ts";
import { expectCompleted, measuredOf } from "../support/directions.ts";
import { within } from "../support/eventually.ts";
import { type Nat, withNat } from "../support/nat.ts";
import { describeWithNamespaces } from "../support/netns.ts";
import { rperf, type RunningProcess, type RunResult } from "../support/process.ts";

setDefaultTimeout(120_000);

const PORT = 5199;
/** Of a test that cannot pass: what the data connections may take, and the machine's other work. */
const FAILS_WITHIN_MS = 25_000;
/** Tests at a time: two processors are all there is in some places. */
const AT_ONCE = 3;

/** Whichever side finds out first: that it cannot connect, is not answered, or gets nothing. */
const UNREACHED =
  /no data connection to .*: ECONNREFUSED|did not answer within|did not open its data connection|is it blocked on the way\?|is UDP blocked on the way\?/;

type Way = "default" | "--single-port" | "--legacy-dial";
type Direction = "forward" | "-R" | "--bidir";

interface Cell {
  readonly family: "tcp" | "udp";
  readonly direction: Direction;
  readonly way: Way;
  readonly streams: 1 | 2;
  readonly version: 4 | 6;
}

/** Each mode once, of both numbers of streams and both versions something everywhere. */
const CELLS: readonly Cell[] = (["tcp", "udp"] as const).flatMap((family, familyIndex) =>
  (["forward", "-R", "--bidir"] as const).flatMap((direction, directionIndex) =>
    (["default", "--single-port", "--legacy-dial"] as const).map((way, wayIndex) => ({
      family,
      direction,
      way,
      streams: (familyIndex + directionIndex + wayIndex) % 2 === 0 ? (2 as const) : (1 as const),
      version: (directionIndex + wayIndex) % 3 === 0 ? (6 as const) : (4 as const),
    })),
  ),
);

const SURROUNDINGS = [
  {
    name: "a server without a firewall",
    openPorts: null,
    // What the server opens towards the client ends at the router.
    passes: ({ direction, way }: Cell) => direction === "forward" || way !== "--legacy-dial",
  },
  {
    name: "a server whose firewall opens the control port alone",
    openPorts: [PORT],
    passes: ({ way }: Cell) => way === "--single-port",
  },
] as const;

function nameOf({ family, direction, way, streams, version }: Cell): string {
  return `${family} ${direction}, ${way}, ${streams === 1 ? "one stream" : "two streams"}, IPv${version}`;
}

function flagsOf({ family, direction, way, streams, version }: Cell, server: Nat["server"], seconds = "0.6"): string[] {
  const host = version === 4 ? server.ipv4 : server.ipv6;
  return [
    "-c",
    host,
    "-p",
    `${PORT}`,
    "-t",
    seconds,
    "-b",
    "4m",
    "-P",
    `${streams}`,
    "-f",
    "json",
    ...(family === "udp" ? ["-u"] : []),
    ...(direction === "forward" ? [] : [direction]),
    ...(way === "default" ? [] : [way]),
  ];
}

function expectPassed(result: RunResult, streams: number, isBidir: boolean): void {
  const measured = measuredOf(expectCompleted(result));
  expect(measured).toHaveLength(isBidir ? 2 : 1);
  for (const one of measured) {
    expect(one.streams).toHaveLength(streams);
    expect(one.summary.bytes_sent).toBeGreaterThan(100_000);
  }
}

/** Before the test began in one line, behind it in the document and in a line. */
function expectExplained(result: RunResult): void {
  expect(result.code).toBe(EXIT_FAILED);
  const complaint = complaintOf(result);
  expect(complaint).toMatch(UNREACHED);
  if (result.stdout === "") return;
  const document = ourDocumentOf(result);
  expect(document.success).toBe(false);
  expect(document.outcome).not.toBe("completed");
  expect(document.reason?.message).toMatch(UNREACHED);
}

for (const { name, openPorts, passes } of SURROUNDINGS) {
  describeWithNamespaces(name, () => {
    const made = Promise.withResolvers<Nat>();
    const done = Promise.withResolvers<void>();
    let gone: Promise<void>;
    let server: RunningProcess;
    let running = 0;
    const waiting: (() => void)[] = [];

    async function run(nat: Nat, flags: readonly string[]): Promise<RunResult> {
      if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
      else running += 1;
      try {
        return await nat.client.run(rperf(...flags), { timeoutMs: FAILS_WITHIN_MS });
      } finally {
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
      }
    }

    beforeAll(async () => {
      gone = withNat(async (nat) => {
        if (openPorts !== null) nat.server.firewall(openPorts);
        server = nat.server.start(rperf("-s", "-6", "-p", `${PORT}`));
        await server.waitForOutput(/listening/);
        made.resolve(nat);
        await done.promise;
        server.kill("SIGKILL");
        await server.exited;
      });
      gone.catch(made.reject);
      await made.promise;
    });

    afterAll(async () => {
      done.resolve();
      await gone;
    });

    for (const cell of CELLS) {
      const isToPass = passes(cell);
      test.concurrent(`${nameOf(cell)}: ${isToPass ? "passes" : "fails, and says why"}`, async () => {
        const nat = await made.promise;
        const result = await run(nat, flagsOf(cell, nat.server));
        if (isToPass) expectPassed(result, cell.streams, cell.direction === "--bidir");
        else expectExplained(result);
      });
    }

    test("three clients behind one address at once, UDP in both directions over the control port", async () => {
      const nat = await made.promise;
      const clients = Array.from({ length: 3 }, (_, index) => {
        const version = index === 1 ? 6 : 4;
        const cell = { family: "udp", direction: "--bidir", way: "--single-port", streams: 2, version } as const;
        return nat.client.start(rperf(...flagsOf(cell, nat.server, "2")));
      });
      for (const client of clients) {
        const code = await within("a client's end", client.exited, FAILS_WITHIN_MS);
        expectPassed({ code, stdout: client.stdout, stderr: client.stderr }, 2, true);
      }
      expect(server.stderr).not.toMatch(/ warn .*(?:second sender|another origin)/);
    });
  });
}
