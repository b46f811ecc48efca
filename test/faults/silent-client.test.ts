// Clients that vanish without a packet, as a host that lost its power or its link: nothing more is sent to where they were
// within 5 s, and half a minute later nothing of their tests is left. Those that come back get the rest, exactly.
import { expect, setDefaultTimeout, test } from "bun:test";

import { describeWithNamespaces, type Namespace, type NamespacePair, withNamespaces } from "../support/netns.ts";
import {
  CONTROL_PORT,
  cutLink,
  directionsOf,
  flagsOf,
  mend,
  type Mode,
  MODES,
  outageDocumentOf,
  resultOf,
  startServer,
} from "../support/outages.ts";
import { rperf, type RunningProcess } from "../support/process.ts";
import { isBackToHoldings, processHoldingsOf } from "../support/process-holdings.ts";
import { reference, referencePath } from "../support/reference.ts";
import { printFigures } from "../support/udp-test.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(90_000);

/** Behind the last packet of a client: 5 s at most, by a server that may be put aside. Without the hold it were 20 s. */
const SENT_FOR_SECONDS = 6;
/** What a sender that is put aside at its end leaves out. */
const STALL_SECONDS = 1.2;
const FREE_WITHIN_SECONDS = 35;
/** That of `flagsOf`. */
const BYTES_PER_SECOND = 400_000 / 8;
/** A kernel sends again what was not acknowledged, ever more rarely, as long as the connection is open. */
const MOST_RETRANSMISSIONS = 4;

interface Client {
  readonly name: string;
  readonly mode: Mode;
  start(pair: NamespacePair): RunningProcess;
}

interface Way {
  readonly client: Client;
  readonly name: string;
  readonly isKilled: boolean;
}

/** Another half of the clients may be without what makes a test outlive its connection: these end as with the original. */
const WITHOUT_RESUMPTION = ["--legacy-dial", "--resume-timeout", "0"];

function ours(mode: Mode, name: string, ...flags: readonly string[]): Client {
  const all = flagsOf(mode, "-t", "120", "-f", "json", ...flags);
  return {
    name: `${name}, ${mode.name}`,
    mode,
    start: ({ left, right }) => left.start(rperf("-c", right.ipv4, ...all)),
  };
}

function original(mode: Mode): Client {
  const flags = [...(mode.family === "udp" ? ["-u"] : []), ...(mode.direction === "reverse" ? ["-R"] : [])];
  const all = ["-p", `${CONTROL_PORT}`, "-b", "50000", "-t", "120", ...flags];
  return {
    name: `original, ${mode.name}`,
    mode,
    start: ({ left, right }) => left.start(reference("-c", right.ipv4, ...all)),
  };
}

const CLIENTS: readonly Client[] = [
  ...MODES.map((mode) => ours(mode, "ours")),
  ...MODES.filter(({ direction }) => direction === "reverse").map((mode) =>
    ours(mode, "ours without resumption", ...WITHOUT_RESUMPTION),
  ),
  ...(referencePath === null ? [] : MODES.filter(({ direction }) => direction !== "bidir").map(original)),
];

/** Its system answers for it in the second way, and then only to what comes for it. */
const WAYS: readonly Way[] = [
  ...CLIENTS.map((client) => ({ client, name: client.name, isKilled: false })),
  ...CLIENTS.filter(({ mode }) => mode.name === "udp reverse").map((client) => ({
    client,
    name: `${client.name}, killed`,
    isKilled: true,
  })),
];

/** Counts what leaves that end with data, past the control connection, whatever becomes of it then. */
function countLeaving(at: Namespace): void {
  at.loadRules(`table inet leaving {
    counter sent_udp {}
    counter data_udp {}
    counter sent_tcp {}
    chain leaving {
      type filter hook postrouting priority 0
      meta l4proto udp counter name sent_udp
      udp length 44-65535 counter name data_udp
      tcp sport != ${CONTROL_PORT} tcp dport != ${CONTROL_PORT} meta length > 200 counter name sent_tcp
    }
  }`);
}

function sentFrom(at: Namespace, { family }: Mode): number {
  return at.counters()[`sent_${family}`] ?? 0;
}

describeWithNamespaces("a client that vanishes without a packet", () => {
  for (const { name, client, isKilled } of WAYS) {
    const { mode } = client;
    test.concurrent(name, () =>
      withNamespaces(async (pair) => {
        const server = await startServer(pair.right);
        const idle = processHoldingsOf(server, pair.right);
        countLeaving(pair.right);
        const process = client.start(pair);
        await server.waitForOutput(/test started/);
        await Bun.sleep(1_700);
        const vanishedAtMs = performance.now();
        if (isKilled) process.kill("SIGKILL");
        else cutLink(pair);
        const before = sentFrom(pair.right, mode);
        if (mode.direction !== "forward") expect(before).toBeGreaterThan(20);
        await Bun.sleep(vanishedAtMs + SENT_FOR_SECONDS * 1000 - performance.now());
        const inTime = sentFrom(pair.right, mode);
        const freedSeconds = await isBackToHoldings(server, pair.right, idle, FREE_WITHIN_SECONDS - SENT_FOR_SECONDS);
        const late = sentFrom(pair.right, mode) - inTime;
        printFigures(name, { before, inTime: inTime - before, later: late, freed: SENT_FOR_SECONDS + freedSeconds });
        expect(late).toBeLessThanOrEqual(mode.family === "udp" ? 0 : MOST_RETRANSMISSIONS);
        server.kill("SIGINT");
        expect(await server.exited).toBe(0);
      }),
    );
  }
});

describeWithNamespaces("a client that is there", () => {
  test.concurrent.each([
    ["has little to hear and nothing to say", ["--interval", "9", "-t", "9"]],
    ["hears a lot", ["--interval", "0.1", "-t", "7"]],
  ])("and %s is sent to all the time", (_name, flags) =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      const mode = { family: "udp", direction: "reverse", name: "udp reverse" } as const;
      const client = pair.left.start(rperf("-c", pair.right.ipv4, ...flagsOf(mode, "-f", "json", ...flags)));
      const { summary, outcome } = outageDocumentOf(await resultOf(client));
      expect(outcome).toBe("completed");
      const seconds = Number(flags.at(-1));
      expect(summary.bytes_sent / BYTES_PER_SECOND).toBeWithin(seconds - STALL_SECONDS, seconds + 0.1);
      expect(server.stderr).not.toContain("silent");
    }),
  );

  test.concurrent("and stopped is sent to until the planned end: its system answers for it", () =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      const idle = processHoldingsOf(server, pair.right);
      const mode = { family: "udp", direction: "reverse", name: "udp reverse" } as const;
      countLeaving(pair.right);
      const flags = flagsOf(mode, "-t", "9", "-f", "json", ...WITHOUT_RESUMPTION);
      const client = pair.left.start(rperf("-c", pair.right.ipv4, ...flags));
      await server.waitForOutput(/test started/);
      await Bun.sleep(1_000);
      client.kill("SIGSTOP");
      // Planned end, and 10 s for its `end`.
      await isBackToHoldings(server, pair.right, idle, FREE_WITHIN_SECONDS);
      client.kill("SIGKILL");
      const packets = pair.right.counters()["data_udp"] ?? 0;
      expect((packets * 1_032) / BYTES_PER_SECOND).toBeWithin(9 - STALL_SECONDS, 9.1);
      expect(server.stderr).not.toContain("silent");
    }),
  );
});

describeWithNamespaces("a client that is silent for a while, and comes back", () => {
  test.concurrent("too late for its streams, gets what there was of them, and is told why that is not all", () =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      const mode = { family: "udp", direction: "reverse", name: "udp reverse" } as const;
      const client = pair.left.start(rperf("-c", pair.right.ipv4, ...flagsOf(mode, "-t", "60", "-f", "json")));
      await server.waitForOutput(/test started/);
      await Bun.sleep(1_700);
      cutLink(pair);
      await server.waitForOutput(/warn .* stream 0: the server stopped it: its client had gone\n/, 35_000);
      mend(pair);
      const { outcome, summary, streams } = outageDocumentOf(await resultOf(client));
      expect(outcome).toBe("failed");
      expect(streams[0]?.sender.reason?.message).toBe("the server stopped it: its client had gone");
      // What was sent until it was held is known, and what of it came.
      expect(summary.packets_sent).toBeGreaterThan(200);
      expect((summary.packets_received ?? 0) + (summary.packets_lost ?? 0)).toBe(summary.packets_sent ?? NaN);
      expect(server.stderr).not.toContain("held back");
      server.kill("SIGINT");
      expect(await server.exited).toBe(0);
    }),
  );

  for (const mode of MODES.filter(({ direction }) => direction !== "forward")) {
    test.concurrent(mode.name, () =>
      withNamespaces(async (pair) => {
        const server = await startServer(pair.right);
        countLeaving(pair.right);
        const client = pair.left.start(rperf("-c", pair.right.ipv4, ...flagsOf(mode, "-t", "12", "-f", "json")));
        await server.waitForOutput(/test started/);
        await Bun.sleep(1_700);
        cutLink(pair);
        await Bun.sleep(7_000);
        mend(pair);
        const document = outageDocumentOf(await resultOf(client));
        expect({ outcome: document.outcome, reason: document.reason }).toEqual({ outcome: "completed", reason: null });
        expect(document.outages).toHaveLength(1);
        for (const { summary } of directionsOf(document)) {
          const lostBytes = (summary.packets_lost ?? 0) * (summary.framed_packet_size ?? 0);
          expect(summary.bytes_received + lostBytes).toBe(summary.bytes_sent);
        }
        expect(server.stderr).toMatch(
          /warn .*: its client is silent: nothing is sent to it until it is heard of again\n/,
        );
        const [, held = ""] = /warn .*: its streams were held back for ([\d.]+) s\n/.exec(server.stderr) ?? [];
        // Of 7 s of silence the first ones, and what it took the client to come back.
        expect(Number(held)).toBeGreaterThan(2);
        expect(Number(held)).toBeLessThan(6 + STALL_SECONDS);
        const sent = directionsOf(document).at(-1)?.summary;
        if (mode.family === "udp") {
          expect(pair.right.counters()["data_udp"]).toBe(sent?.packets_sent ?? NaN);
          // Nothing is made up for: what is missing is the time of the silence.
          const seconds = (sent?.bytes_sent ?? 0) / BYTES_PER_SECOND + Number(held);
          expect(seconds).toBeWithin(12 - 0.4 - STALL_SECONDS, 12.4);
        }
        printFigures(mode.name, { held: Number(held), sent: sent?.bytes_sent ?? 0, ...pair.right.counters() });
        server.kill("SIGINT");
        expect(await server.exited).toBe(0);
      }),
    );
  }
});
