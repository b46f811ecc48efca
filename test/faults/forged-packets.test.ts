// Packets that bear a test's id and are not of its sender: counted as strays, and nothing else changes.
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";

import { ControlProxy } from "../support/control-proxy.ts";
import { eventually, within } from "../support/eventually.ts";
import { expectServes } from "../support/good-test.ts";
import { rperf, startProcess } from "../support/process.ts";
import { type Datagrams, downloadConfiguration, openDatagrams, udpPacket } from "../support/raw-client.ts";
import { figuresOf, printFigures, testRunOf } from "../support/udp-test.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

setDefaultTimeout(30_000);

const FAR = [2 ** 40, 2 ** 52, 2 ** 63, 2 ** 64 - 2 ** 11];
/** What a flood may leave in memory: of 5,000 packets, 5 MB and more if all were kept. */
const MOST_GROWTH_BYTES = 16 * 2 ** 20;
/** Less than what the smallest usual buffer holds. */
const BURST = 40;

let server: WatchedServer;
let idle: Holdings;
let toClose: { close(): void }[] = [];

function residentBytes(): number {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

async function openSocket(): Promise<Datagrams> {
  const socket = await openDatagrams();
  toClose.push(socket);
  return socket;
}

beforeAll(async () => {
  server = await WatchedServer.start();
  for (let turn = 0; turn < 4; turn += 1) await expectServes(server.port);
  idle = server.holdings;
});

afterEach(async () => {
  for (const one of toClose) one.close();
  toClose = [];
  await server.isBackTo(idle);
});

afterAll(() => server.kill());

describe("forged numbers from the sender's own address", () => {
  const PACKETS = 600;
  const random = (): number => Math.floor(2 ** 41 + Math.random() * 2 ** 50);

  interface Case {
    readonly name: string;
    /** Behind the packet of this id. */
    readonly forgedBehind: (id: number) => readonly number[];
    readonly strays: number;
    readonly isLost?: (id: number) => boolean;
    readonly expected?: Readonly<Record<string, number>>;
  }

  const CASES: readonly Case[] = [
    ...FAR.map((far) => ({ name: `${far}`, forgedBehind: (id: number) => (id === 300 ? [far] : []), strays: 1 })),
    { name: "each far one in turn, twice", forgedBehind: (id) => (id % 300 === 299 ? FAR : []), strays: 8 },
    { name: "one far ahead behind each packet", forgedBehind: () => [random()], strays: PACKETS },
    {
      name: "far ones beside true losses",
      forgedBehind: (id) => (id === 99 || id === 200 ? [2 ** 40 + id] : []),
      strays: 2,
      isLost: (id) => (id >= 100 && id < 150) || id === 400,
      expected: { lost: 51, bursts: 2, burst_longest: 50, burst_mean: 25.5 },
    },
    {
      // Nothing tells it from a jump of the true sender's: it makes late what follows, and its own number is found out.
      name: "one near that was never sent",
      forgedBehind: (id) => (id === 300 ? [PACKETS + 500] : []),
      strays: 1,
      expected: { reordered: PACKETS - 301 },
    },
  ];

  for (const { name, forgedBehind, strays, isLost = () => false, expected = {} } of CASES) {
    test(name, async () => {
      const client = await server.connect();
      const extensions = { version: 3, omit_seconds: 0, offload: "off", interval: 1, duration: 2, accounting: true };
      const configuration = downloadConfiguration({ family: "udp", extensions });
      const [port = 0] = await client.configure(configuration);
      client.send({ kind: "begin" });
      const socket = await openSocket();
      for (let id = 0; id < PACKETS; id += 1) {
        if (!isLost(id)) socket.send(udpPacket(configuration.test_id, id), port);
        for (const forged of forgedBehind(id)) socket.send(udpPacket(configuration.test_id, forged), port);
        if (id % BURST === BURST - 1) await Bun.sleep(2);
      }
      client.send({ kind: "sent", stream_idx: 0, packets: PACKETS, omitted_packets: 0 });
      const { totals } = await client.nextOf("done");
      const lost = expected["lost"] ?? 0;
      const { books } = totals as { readonly books: Readonly<Record<string, number>> };
      printFigures(`forged: ${name}`, { strays, ...books });
      expect(books).toMatchObject({
        sent: PACKETS,
        unique: PACKETS - lost,
        lost,
        duplicated: 0,
        reordered: 0,
        bursts: 0,
        ...expected,
        stray: strays,
      });
      client.send({ kind: "end" });
      await client.closed();
    });
  }

  test("a flood of them leaves nothing in memory", async () => {
    const client = await server.connect();
    const extensions = { version: 3, omit_seconds: 0, offload: "off", interval: 1, duration: 2, accounting: true };
    const configuration = downloadConfiguration({ family: "udp", extensions });
    const [port = 0] = await client.configure(configuration);
    client.send({ kind: "begin" });
    const socket = await openSocket();
    socket.send(udpPacket(configuration.test_id, 0), port);
    await Bun.sleep(50);
    const before = residentBytes();
    // Fits a receive buffer, should the server be put aside meanwhile.
    const FORGED = 3_000;
    for (let index = 1; index <= FORGED; index += 1) {
      socket.send(udpPacket(configuration.test_id, random()), port);
      if (index % BURST === 0) await Bun.sleep(2);
    }
    client.send({ kind: "sent", stream_idx: 0, packets: 1, omitted_packets: 0 });
    const { totals } = await client.nextOf("done");
    const grown = residentBytes() - before;
    printFigures("a flood of forged numbers", { forged: FORGED, "grown by MiB": grown / 2 ** 20 });
    expect(totals).toMatchObject({ books: { sent: 1, unique: 1, lost: 0, stray: FORGED } });
    expect(grown).toBeLessThan(MOST_GROWTH_BYTES);
    client.send({ kind: "end" });
    await client.closed();
  });
});

describe("a second sender, which knows the test's id", () => {
  interface Case {
    readonly flags: readonly string[];
    readonly forged: number;
    /** With an end marker for each 40 packets. Where no stranger's packet reaches the stream's socket there is none to count. */
    readonly strays: number;
  }

  const CASES: readonly Case[] = [
    { flags: [], forged: 40, strays: 41 },
    { flags: [], forged: 3_000, strays: 3_075 },
    { flags: ["-R", "--legacy-dial"], forged: 40, strays: 41 },
    { flags: ["-R"], forged: 40, strays: 0 },
    { flags: ["--single-port"], forged: 40, strays: 0 },
    { flags: ["--single-port", "-R"], forged: 40, strays: 0 },
  ];

  /** As src/protocol/udp-hello.ts draws it. */
  function helloOf(testId: readonly number[]): Buffer {
    return Buffer.from([...testId, 0x52, 0x48, 1, 0, 0, 0, 0, 0]);
  }

  for (const { flags, forged, strays } of CASES) {
    test(`${flags.length === 0 ? "forward" : flags.join(" ")}, ${forged} packets`, async () => {
      const proxy = await ControlProxy.start(server.port);
      toClose.push({ close: () => proxy.stop() });
      const target = ["-c", "127.0.0.1", "-p", `${proxy.port}`];
      const own = ["-u", "-t", "2", "--interval", "0.4", "-b", "4m", "-f", "json"];
      const client = startProcess(rperf(...target, ...own, ...flags));
      const testId = await proxy.testId();
      const [port = 0] = await proxy.dataPorts();
      // The stream has seen its own sender by then.
      await eventually(
        "a result",
        () => [...proxy.fromBoth.client, ...proxy.fromBoth.server],
        (messages) => messages.some(({ kind }) => kind === "send" || kind === "receive"),
      );
      const before = residentBytes();
      const stranger = await openSocket();
      const ids = [...FAR, 2 ** 40 + 1, 0, 100, 700, 1_000, 100_000];
      for (let index = 0; index < forged; index += 1) {
        stranger.send(udpPacket(testId, ids[index % ids.length] ?? 0), port);
        if (index % BURST === BURST - 1) {
          // It asks for the data, which is none of its business, and says that they are over.
          stranger.send(helloOf(testId), port);
          stranger.send(Buffer.from(testId), port);
          await Bun.sleep(2);
        }
      }
      const grown = residentBytes() - before;
      const code = await within("the client's end", client.exited, 10_000);
      const run = testRunOf({ code, stdout: client.stdout, stderr: client.stderr }, 2);
      const figures = figuresOf(run);
      printFigures(`a second sender, ${flags.join(" ") || "forward"}`, {
        forged,
        stray: figures.packets_stray,
        sent: figures.packets_sent,
        received: figures.packets_received,
        lost: figures.packets_lost,
        "grown by MiB": grown / 2 ** 20,
      });
      expect({ code, outcome: run.document.outcome }).toEqual({ code: 0, outcome: "completed" });
      expect(figures).toMatchObject({
        packets_received: figures.packets_sent,
        packets_lost: 0,
        packets_duplicated: 0,
        packets_out_of_order: 0,
        packets_stray: strays,
        loss_bursts: 0,
      });
      // Fewer where the sender was put aside near its end.
      expect(figures.packets_sent).toBeWithin(480, 970);
      expect(grown).toBeLessThan(MOST_GROWTH_BYTES);
      expect(run.overrunSeconds).toBeLessThan(2.5);
    });
  }
});
