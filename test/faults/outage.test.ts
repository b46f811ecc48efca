// Links that are cut in mid-test and come back, or do not: the verdict survives it, or says what it lacks.
import { expect, setDefaultTimeout, test } from "bun:test";

import { EXIT_FAILED, linesOf } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNamespaces, execute, type NamespacePair, withNamespaces } from "../support/netns.ts";
import {
  CONTROL_PORT,
  cutControl,
  cutLink,
  directionsOf,
  flagsOf,
  mend,
  MODES,
  type OutageDocument,
  outageDocumentOf,
  resultOf,
  startClient,
  startServer,
} from "../support/outages.ts";
import { rperf, type RunningProcess } from "../support/process.ts";
import { descriptorsOf, workersOf } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(90_000);

const BYTES_PER_SECOND = 400_000 / 8;

/** A machine may put a process aside for so long: what it does in time is late by that. */
const STALL_SECONDS = 1.5;

const wallSeconds = () => Date.now() / 1000;

/** What the server holds of the system's. */
function holdingsOf({ right }: NamespacePair, { pid }: RunningProcess) {
  // Closed connections stay with the system for a while, and are nobody's any more.
  const ports = ["-Htln", "-Huan"].flatMap((which) => linesOf(execute(right.command(["ss", which])))).length;
  return { descriptors: descriptorsOf(pid), workers: workersOf(pid), ports };
}

async function isBackTo(
  pair: NamespacePair,
  server: RunningProcess,
  idle: ReturnType<typeof holdingsOf>,
  limitMs: number,
): Promise<void> {
  await eventually(
    `the server is back to ${JSON.stringify(idle)}`,
    () => holdingsOf(pair, server),
    ({ descriptors, workers, ports }) =>
      descriptors <= idle.descriptors && workers <= idle.workers && ports <= idle.ports,
    limitMs,
  );
}

/** The server has a place for a client that comes now. */
async function expectServesNow({ left, right }: NamespacePair): Promise<void> {
  const next = await left.run(rperf("-c", right.ipv4, "-p", `${CONTROL_PORT}`, "-t", "0.5", "-b", "1m", "-f", "json"));
  expect({ code: next.code, stderr: next.stderr }).toEqual({ code: 0, stderr: "" });
}

async function started(server: RunningProcess, clients: number): Promise<void> {
  await eventually(
    "all tests run",
    () => startedIn(server),
    (count) => count === clients,
    20_000,
  );
}

/** By its log, which sums up what would be more than ten lines within a second. */
function startedIn(server: RunningProcess): number {
  const lines = server.stderr.matchAll(/^.*?(?:and (\d+) more like it.*)?test started/gm);
  return [...lines].reduce((sum, [, more = "1"]) => sum + Number(more), 0);
}

/** Numbers below 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What was sent came, or is known to be lost. */
function expectTotals(document: OutageDocument): void {
  for (const { summary } of directionsOf(document)) {
    const lostBytes = (summary.packets_lost ?? 0) * (summary.framed_packet_size ?? 0);
    expect(summary.bytes_received + lostBytes).toBe(summary.bytes_sent);
  }
}

function expectAllMeasured(document: OutageDocument): void {
  for (const { streams, summary } of directionsOf(document)) {
    expect(summary.bytes_received).toBe(summary.bytes_sent);
    for (const { intervals } of streams) {
      for (const all of [intervals.send, intervals.receive] as const) {
        const seconds = all.reduce((sum, { duration }) => sum + (duration ?? 0), 0);
        expect(seconds).toBeWithin(4.7, 5.3 + STALL_SECONDS);
      }
      // Data kept coming all the time: what a stall held back came right behind it.
      let [seconds, bytes] = [0, 0];
      for (const { duration, bytes_received: received } of intervals.receive) {
        seconds += Number(duration);
        bytes += Number(received);
        expect(bytes).toBeGreaterThanOrEqual(BYTES_PER_SECOND * (seconds - STALL_SECONDS - 0.3));
      }
    }
  }
}

describeWithNamespaces("the control connection alone", () => {
  // One after the other: when a report comes in time is a matter of how busy the machine is.
  test.each([0.3, 2, 4, 6])("is cut for %d s", (cutSeconds) =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      const clients = MODES.map((mode) => startClient(pair, mode, "-t", "5"));
      const [mode] = MODES;
      const readable = pair.left.start(
        rperf("-c", pair.right.ipv4, ...(mode === undefined ? [] : flagsOf(mode, "-t", "5"))),
      );
      await started(server, MODES.length + 1);
      await Bun.sleep(1_400);
      cutControl(pair);
      const cutAt = wallSeconds();
      await Bun.sleep(cutSeconds * 1000);
      // Both rules go one after the other, and take their time.
      const mendedAt = wallSeconds();
      mend(pair);
      for (const client of clients) {
        const document = outageDocumentOf(await resultOf(client));
        expect({ outcome: document.outcome, reason: document.reason }).toEqual({ outcome: "completed", reason: null });
        expectAllMeasured(document);
        // Shorter than the time between two reports, one is not seen.
        expect(document.outages).toHaveLength(cutSeconds < 1 ? 0 : 1);
        for (const { start, duration } of document.outages) {
          const outAt = document.started + start;
          // From the last report on, to the first that came through.
          expect(outAt).toBeGreaterThan(cutAt - 2 - STALL_SECONDS);
          expect(outAt).toBeLessThan(cutAt + 0.1);
          expect(outAt + duration).toBeGreaterThan(mendedAt - 0.1);
          expect(outAt + duration).toBeLessThan(mendedAt + 4 + STALL_SECONDS);
        }
      }
      const text = await resultOf(readable);
      expect(text.code).toBe(0);
      const told = linesOf(text.stdout).filter((line) => line.startsWith("control connection lost for "));
      expect(told).toHaveLength(cutSeconds < 1 ? 0 : 1);
      for (const line of told) expect(line).toMatch(/for \d\.\d+ s at \d\.\d+ s; nothing was missed$/);
      server.kill("SIGINT");
      expect(await server.exited).toBe(0);
    }),
  );

  test("is reset, and its first successors too", () =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      const clients = MODES.map((mode) => startClient(pair, mode, "-t", "5"));
      await started(server, MODES.length);
      await Bun.sleep(1_400);
      // Whatever a connection says behind its SYN, the client acknowledges a report of each second.
      pair.right.cut(`tcp dport ${CONTROL_PORT} tcp flags & syn == 0`, "reject with tcp reset");
      await Bun.sleep(1_500);
      pair.right.mend();
      for (const client of clients) {
        const document = outageDocumentOf(await resultOf(client));
        expect({ outcome: document.outcome, reason: document.reason }).toEqual({ outcome: "completed", reason: null });
        expectAllMeasured(document);
        expect(document.outages.length).toBeGreaterThan(0);
      }
      expect([...server.stderr.matchAll(/its client is back/g)].length).toBeGreaterThanOrEqual(MODES.length);
      server.kill("SIGINT");
      expect(await server.exited).toBe(0);
    }));

  test("carries nothing back for 9 s: a resumption that the server takes is not answered, and made again", () =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      const clients = MODES.map((mode) => startClient(pair, mode, "-t", "5"));
      await started(server, MODES.length);
      await Bun.sleep(1_400);
      pair.left.cut(`tcp sport ${CONTROL_PORT} tcp flags & syn == 0`);
      await Bun.sleep(9_000);
      // The clients looked like resumed ones to the server, which must not take the end of an attempt for theirs.
      expect([...server.stderr.matchAll(/its client is back/g)].length).toBeGreaterThanOrEqual(MODES.length);
      pair.left.mend();
      for (const client of clients) {
        const document = outageDocumentOf(await resultOf(client));
        expect({ outcome: document.outcome, reason: document.reason }).toEqual({ outcome: "completed", reason: null });
        expectAllMeasured(document);
        expect(document.outages).toHaveLength(1);
      }
      server.kill("SIGINT");
      expect(await server.exited).toBe(0);
    }));
});

describeWithNamespaces("SIGINT in an outage", () => {
  // The second is not known to the client yet.
  test.concurrent.each([7_000, 700])("%d ms after its beginning", (waitMs) =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      const clients = MODES.map((mode) => startClient(pair, mode, "-t", "20"));
      await started(server, MODES.length);
      await Bun.sleep(1_400);
      cutControl(pair);
      await Bun.sleep(waitMs);
      for (const client of clients) client.kill("SIGINT");
      const signalledAt = wallSeconds();
      for (const client of clients) {
        const result = await resultOf(client);
        const document = outageDocumentOf(result);
        expect(document).toMatchObject({ outcome: "interrupted", reason: { code: "stopped" } });
        expect(document.outages).toHaveLength(waitMs > 5_000 ? 1 : 0);
      }
      expect(wallSeconds() - signalledAt).toBeLessThan(4 + 2 * STALL_SECONDS);
      server.kill("SIGINT");
      expect(await server.exited).toBe(0);
    }),
  );
});

describeWithNamespaces("a server that is killed", () => {
  test.concurrent.each([true, false])("and started again: %p", (isRestarted) =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      const clients = MODES.map((mode) => ({ mode, client: startClient(pair, mode, "-t", "20") }));
      await started(server, MODES.length);
      await Bun.sleep(1_400);
      // While nobody listens, attempts are not refused: a few of those in turn would be the end.
      if (isRestarted) pair.right.cut(`tcp dport ${CONTROL_PORT} tcp flags & (syn | ack) == syn`);
      server.kill("SIGKILL");
      const killedAt = wallSeconds();
      if (isRestarted) {
        await startServer(pair.right);
        pair.right.mend();
      }
      const told = [];
      for (const { mode, client } of clients) {
        const { outcome, reason } = outageDocumentOf(await resultOf(client));
        told.push(`${mode.name}: ${outcome}, ${reason?.code}`);
      }
      // Each of the attempts may take a second.
      expect(wallSeconds() - killedAt).toBeLessThan(10);
      // A TCP sender is told by its own system; to all others the new server says that the test is no more, if there is one.
      const fate = isRestarted ? "partial, resume-refused" : "failed, peer-lost";
      expect(told).toEqual(
        MODES.map(({ name }) => `${name}: ${name === "tcp forward" ? "failed, stream-failed" : fate}`),
      );
    }),
  );
});

describeWithNamespaces("the whole link", () => {
  const CUTS = 5;
  const CLIENTS = 20;
  const PLANNED_SECONDS = 5;
  const DEADLINE_SECONDS = PLANNED_SECONDS + 10;

  interface Run {
    readonly document: OutageDocument;
    /** Since its start. */
    readonly instantSeconds: number;
    readonly endedSeconds: number;
  }

  /** Clients that are each at another instant of their test when the link is cut. */
  async function runThroughCut(
    pair: NamespacePair,
    server: RunningProcess,
    instants: readonly number[],
    cutSeconds: number,
  ): Promise<readonly Run[]> {
    const before = startedIn(server);
    const cutInMs = (PLANNED_SECONDS + 1) * 1000;
    const cut = Bun.sleep(cutInMs).then(async () => {
      // The last ones have to have begun, however busy the machine is.
      await started(server, before + instants.length);
      cutLink(pair);
      const cutAt = wallSeconds();
      await Bun.sleep(cutSeconds * 1000);
      mend(pair);
      return cutAt;
    });
    const runs = instants.map(async (instant, index) => {
      const mode = MODES[index % MODES.length] ?? { family: "tcp", direction: "forward", name: "" };
      // Half a second before the test itself the process begins.
      await Bun.sleep(cutInMs - instant * 1000 - 500);
      const client = startClient(pair, mode, "-t", `${PLANNED_SECONDS}`);
      const document = outageDocumentOf(await resultOf(client));
      const { started: startedAt } = document;
      return { document, instantSeconds: (await cut) - startedAt, endedSeconds: wallSeconds() - startedAt };
    });
    return Promise.all(runs);
  }

  test(
    "is cut at 100 random instants",
    () =>
      withNamespaces(async (pair) => {
        const seed = Number(process.env["RPERF_SEED"] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
        console.log(`outages at random: RPERF_SEED=${seed}`);
        const random = randomOf(seed);
        const server = await startServer(pair.right, "--client-limit", `${CLIENTS}`);
        const idle = holdingsOf(pair, server);
        const all: Run[] = [];
        for (let cut = 0; cut < CUTS; cut += 1) {
          // 0.5 to 8 s, of each fifth one.
          const cutSeconds = 0.5 + (7.5 * (cut + random())) / CUTS;
          // As planned; those that begin late, on a busy machine, make them a bit later.
          const instants = Array.from({ length: CLIENTS }, () => random() * (PLANNED_SECONDS - 1));
          const runs = await runThroughCut(pair, server, instants, cutSeconds);
          await expectServesNow(pair);
          console.log(`cut for ${cutSeconds.toFixed(1)} s: ${distributionOf(runs)}`);
          for (const { document, endedSeconds } of runs) {
            expect(endedSeconds).toBeLessThan(DEADLINE_SECONDS + 5);
            expect(["completed", "partial"]).toContain(document.outcome);
            if (document.outcome === "completed") expectTotals(document);
          }
          all.push(...runs);
        }
        const instants = all.map(({ instantSeconds }) => instantSeconds);
        expect(instants.filter((seconds) => seconds > 0)).toHaveLength(CUTS * CLIENTS);
        expect(instants.filter((seconds) => seconds < PLANNED_SECONDS).length).toBeGreaterThan(0.9 * CUTS * CLIENTS);
        expect(all.filter(({ document }) => document.outages.length > 0).length).toBeGreaterThan(CLIENTS);
        await isBackTo(pair, server, idle, 10_000);
        server.kill("SIGINT");
        expect(await server.exited).toBe(0);
      }),
    200_000,
  );

  function distributionOf(runs: readonly Run[]): string {
    const partial = runs.filter(({ document }) => document.outcome === "partial");
    const outages = runs.flatMap(({ document }) => document.outages.map(({ duration }) => duration));
    const behind = runs.map(({ endedSeconds }) => endedSeconds - PLANNED_SECONDS).toSorted((a, b) => a - b);
    const named = partial.map(({ document, instantSeconds }) => {
      const { family } = document.config.common as { family?: string };
      return `${family} at ${instantSeconds.toFixed(1)} s: ${document.reason?.message}`;
    });
    return [
      `${runs.length - partial.length} completed, ${partial.length} partial`,
      `${outages.length} outages seen, the longest ${Math.max(0, ...outages).toFixed(1)} s`,
      `ends ${behind[0]?.toFixed(1)} to ${behind.at(-1)?.toFixed(1)} s behind the planned one`,
      ...named,
    ].join("; ");
  }

  test("is cut for longer than the deadline", () =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right, "--client-limit", `${MODES.length}`);
      const idle = holdingsOf(pair, server);
      const clients = MODES.map((mode) => startClient(pair, mode, "-t", "4", "--resume-timeout", "3"));
      await started(server, MODES.length);
      await Bun.sleep(1_400);
      cutLink(pair);
      for (const client of clients) {
        const result = await resultOf(client);
        const document = outageDocumentOf(result);
        // 4 s, 3 s of patience, and 5 s, with what the exits of so many add.
        expect(wallSeconds() - document.started).toBeLessThan(12 + 2 * STALL_SECONDS);
        expect(document).toMatchObject({ outcome: "partial", reason: { code: "outage" } });
        expect(document.outages).toHaveLength(1);
        expect(result.code).toBe(EXIT_FAILED);
      }
      // The server waits for 5 s more, in which the clients might still come back.
      await isBackTo(pair, server, idle, 10_000);
      mend(pair);
      await expectServesNow(pair);
      await isBackTo(pair, server, idle, 10_000);
      server.kill("SIGINT");
      expect(await server.exited).toBe(0);
    }));
});
