// Tests that have to begin and end over a link which loses half of their packets, or a third of what steers them.
import { expect, test } from "bun:test";

import { EXIT_FAILED } from "../support/cli.ts";
import { type LossTruth, lossTruthOf, loseArriving } from "../support/counted-loss.ts";
import { describeWithNamespaces, type Namespace, withNamespaces } from "../support/netns.ts";
import { rperf } from "../support/process.ts";
import {
  completeTest,
  expectBalanced,
  printFigures,
  figuresOf,
  startServer,
  stopServer,
  type TestRun,
  testRunOf,
  type UdpFigures,
} from "../support/udp-test.ts";

const AT_A_TIME = 8;

/** Runs `count` of them, so many at a time, and gives what came of each in order. */
async function runAll<Result>(
  count: number,
  atATime: number,
  run: (index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next; index < count; index = next) {
      next += 1;
      // oxlint-disable-next-line no-await-in-loop -- one after the other is the point
      results[index] = await run(index);
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return results;
}

function greatestOf(numbers: readonly number[]): number {
  return Math.max(...numbers);
}

describeWithNamespaces("half of all UDP packets are lost on the way", () => {
  const TESTS = 100;
  /** A third of a second for late packets, and the rest for a machine with many of them at the same time. */
  const MOST_BUSY_OVERRUN_SECONDS = 3;
  const MODES = [
    [],
    ["-R"],
    ["--single-port"],
    ["--single-port", "-R"],
    ["--bidir"],
    ["--bidir", "--single-port", "-P", "2"],
  ];

  /** Of both directions where there are two: what was sent towards each end. */
  function sumsOf(runs: readonly TestRun[], reverse: boolean): { sent: number; lost: number; received: number } {
    const sums = { sent: 0, lost: 0, received: 0 };
    for (const { document } of runs) {
      for (const { summary } of directionsOf(document, reverse)) {
        sums.sent += summary.packets_sent;
        sums.lost += summary.packets_lost;
        sums.received += summary.packets_received;
      }
    }
    return sums;
  }

  interface Direction {
    readonly summary: UdpFigures;
  }

  function directionsOf(document: TestRun["document"], reverse: boolean): readonly Direction[] {
    const { directions, summary, config } = document as TestRun["document"] & {
      readonly directions?: Readonly<Record<"forward" | "reverse", Direction>>;
      readonly summary: UdpFigures;
    };
    if (directions !== undefined) return [reverse ? directions.reverse : directions.forward];
    return config.additional["reverse"] === reverse ? [{ summary }] : [];
  }

  function countsOf({ data }: LossTruth): { sent: number; lost: number; received: number } {
    return { sent: data.lost + data.passed, lost: data.lost, received: data.passed };
  }

  test(
    `${TESTS} of ${TESTS} tests begin and end, and account for every packet`,
    () =>
      withNamespaces(async ({ left, right }) => {
        const server = await startServer(right);
        for (const end of [left, right]) loseArriving(end, 500);
        const runs = await runAll(TESTS, AT_A_TIME, (index) => {
          const seconds = 0.3 + (index % 3) / 10;
          return completeTest(left, right.ipv4, seconds, ["-u", "-b", "2m", ...(MODES[index % MODES.length] ?? [])]);
        });
        const small = [left, right].map((end) => lossTruthOf(end).small.lost);
        printFigures("50 % of all UDP packets", {
          completed: runs.length,
          "forward lost": `${countsOf(lossTruthOf(right)).lost}=${sumsOf(runs, false).lost}`,
          "reverse lost": `${countsOf(lossTruthOf(left)).lost}=${sumsOf(runs, true).lost}`,
          "hellos and ends lost": small.join("+"),
          "longest overrun": greatestOf(runs.map(({ overrunSeconds }) => overrunSeconds)),
        });
        expect(sumsOf(runs, false)).toEqual(countsOf(lossTruthOf(right)));
        expect(sumsOf(runs, true)).toEqual(countsOf(lossTruthOf(left)));
        expect(Math.min(...small)).toBeGreaterThan(TESTS / 4);
        expect(greatestOf(runs.map(({ overrunSeconds }) => overrunSeconds))).toBeLessThan(MOST_BUSY_OVERRUN_SECONDS);
        await stopServer(server);
      }),
    120_000,
  );
});

describeWithNamespaces("a third of all packets that steer a test is lost", () => {
  /**
   * Nothing of a test takes longer than this behind its planned end: 10 s to come back in, and 5 s to end; where both run out
   * (15.04 s seen), what it takes to say so comes on top.
   */
  const MOST_OVERRUN_SECONDS = 10 + 5 + 2;

  const SECONDS = 1;

  function loseTcp(ends: readonly Namespace[]): void {
    for (const end of ends) end.dropArriving(300, "meta l4proto tcp");
  }

  interface Attempt {
    /** Null when it did not come to its begin: then one line says why. */
    readonly run: TestRun | null;
    readonly complaint: string;
  }

  async function attempt(from: Namespace, host: string, flags: readonly string[]): Promise<Attempt> {
    const result = await from.run(rperf("-c", host, "-t", `${SECONDS}`, "-f", "json", ...flags), { timeoutMs: 60_000 });
    if (result.stdout !== "") return { run: testRunOf(result, SECONDS), complaint: result.stderr };
    expect(result.code).toBe(EXIT_FAILED);
    expect(result.stderr).toMatch(/^rperf: ./m);
    return { run: null, complaint: result.stderr };
  }

  /** Either a correct result, or one that says what is wrong with it: `partial`, where no data were lost. */
  function expectHonest({ document, code, overrunSeconds }: TestRun, incomplete: readonly string[]): void {
    expect(overrunSeconds).toBeLessThan(MOST_OVERRUN_SECONDS);
    const { outcome, success, reason } = document;
    if (outcome === "completed") {
      expect({ code, success, reason }).toEqual({ code: 0, success: true, reason: null });
      return;
    }
    expect(incomplete).toContain(outcome);
    expect({ code, success }).toEqual({ code: EXIT_FAILED, success: false });
    expect(reason?.message).toBeString();
  }

  function tell(name: string, attempts: readonly Attempt[]): void {
    const outcomes = Object.groupBy(attempts, ({ run }) => run?.document.outcome ?? "not begun");
    const counts = Object.entries(outcomes).map(([outcome, some]) => [outcome, some?.length ?? 0]);
    printFigures(name, {
      ...Object.fromEntries(counts),
      "longest overrun": greatestOf(attempts.map(({ run }) => run?.overrunSeconds ?? 0)),
    });
    for (const { run, complaint } of attempts) if (run === null) console.log(`    ${complaint.trim()}`);
  }

  test(
    "20 UDP tests whose data pass",
    () =>
      withNamespaces(async ({ left, right }) => {
        const server = await startServer(right);
        loseTcp([left, right]);
        const attempts = await runAll(20, 10, (index) =>
          attempt(left, right.ipv4, ["-u", "-b", "2m", ...(index % 2 === 0 ? [] : ["-R"])]),
        );
        tell("30 % of the control packets, UDP", attempts);
        for (const { run } of attempts) {
          if (run === null) continue;
          expectHonest(run, ["partial"]);
          if (run.document.outcome !== "completed") continue;
          expectBalanced(run);
          expect(figuresOf(run).packets_lost).toBe(0);
        }
        // Some one of a hundred finds no way through (1 of 120 seen), as where an answer is lost for 5 s, and the resets that
        // would tell of it for 3 s more. Five of twenty would be one run of a million.
        expect(attempts.filter(({ run }) => run === null).length).toBeLessThanOrEqual(4);
        await stopServer(server);
      }),
    120_000,
  );

  test(
    "6 TCP tests whose data are lost as well",
    () =>
      withNamespaces(async ({ left, right }) => {
        const server = await startServer(right);
        loseTcp([left, right]);
        const attempts = await runAll(6, 6, (index) =>
          attempt(left, right.ipv4, ["-b", "1m", ...(index % 2 === 0 ? [] : ["-R"])]),
        );
        tell("30 % of all packets, TCP", attempts);
        for (const { run } of attempts) {
          if (run === null) continue;
          // A data connection may stall for longer than a receiver waits.
          expectHonest(run, ["partial", "failed"]);
          const { outcome, summary } = run.document;
          if (outcome === "completed") expect(summary.bytes_received).toBe(summary.bytes_sent);
        }
        await stopServer(server);
      }),
    120_000,
  );
});

describeWithNamespaces("a server whose answer does not come through", () => {
  test("its system gives the connection up, and the client tries again", () =>
    withNamespaces(async ({ left, right }) => {
      const server = await startServer(right);
      // The handshake and what acknowledges the client pass.
      left.loadRules(`table inet deaf {
        chain arriving {
          type filter hook prerouting priority raw
          tcp sport 5199 ip length > 60 drop
        }
      }`);
      const client = left.start(rperf("-c", right.ipv4, "-t", "1", "-f", "json", "-u"));
      const [warning] = await client.waitForOutput(/^.*trying again.*$/m, 15_000);
      printFigures("an answer that does not come", { warning });
      left.loadRules("");
      const code = await client.exited;
      const { document } = testRunOf({ code, stdout: client.stdout, stderr: client.stderr }, 1);
      expect({ code, outcome: document.outcome }).toEqual({ code: 0, outcome: "completed" });
      expect(document.summary.packets_lost).toBe(0);
      await stopServer(server);
    }));
});
