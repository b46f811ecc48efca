// Datagrams and connections of other origin at a data port in mid-test: not counted, told of once, harmless.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";

import { type ClientEvent, runClient, type TestOptions, type TestResult } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { expectMatched, expectServes } from "../support/good-test.ts";
import { freePort } from "../support/ports.ts";
import {
  connectTcp,
  downloadConfiguration,
  newTestId,
  openDatagrams,
  type RawClient,
  tcpBuffer,
  udpPacket,
} from "../support/raw-client.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

const HOST = "127.0.0.1";
const SECONDS = 2;
const BYTES_PER_SECOND = 500_000;

let server: WatchedServer;
let idle: Holdings;
/** The one port of each of the server's pools: known before any test. */
let tcpPort: number;
let udpPort: number;

beforeAll(async () => {
  [tcpPort, udpPort] = [await freePort(), await freePort()];
  const range = (port: number) => [{ first: port, last: port }];
  server = await WatchedServer.start({ portPools: { tcp4: range(tcpPort), udp4: range(udpPort) } });
  idle = server.holdings;
});

afterAll(() => server.kill());

const warningsSince = (count: number): readonly string[] =>
  server.events.slice(count).flatMap((event) => (event.type === "warning" ? [event.message] : []));

/** No more than was asked for was sent and received, nothing foreign is in it; less where the sender was put aside. */
function expectUntouched(result: TestResult, lengthBytes: number): void {
  expectMatched(result);
  const plannedBytes = SECONDS * BYTES_PER_SECOND;
  expect(result.summary.bytesSent).toBeWithin(0.4 * plannedBytes, plannedBytes + 2 * lengthBytes + 1);
  expect(result.summary.udp?.packetsDuplicated ?? 0).toBe(0);
  expect(result.summary.udp?.packetsOutOfOrder ?? 0).toBe(0);
}

async function runWatched(
  options: Partial<TestOptions>,
): Promise<{ readonly result: TestResult; readonly warnings: readonly string[] }> {
  const warnings: string[] = [];
  const onEvent = (event: ClientEvent) => {
    if (event.type === "warning") warnings.push(event.message);
  };
  const common = { host: HOST, port: server.port, durationSeconds: SECONDS, bandwidthBytesPerSecond: BYTES_PER_SECOND };
  return { result: await runClient({ ...common, ...options }, { onEvent }), warnings };
}

/** What may come along at a UDP port. */
const DATAGRAMS: readonly (() => Uint8Array)[] = [
  () => new Uint8Array(0),
  () => Uint8Array.of(1),
  () => Uint8Array.from(newTestId()), // the end marker of another test
  () => udpPacket(newTestId(), 0),
  () => udpPacket(newTestId(), 2 ** 40),
  () => udpPacket(newTestId(), 7, 36),
  () => crypto.getRandomValues(new Uint8Array(1_024)),
  () => new Uint8Array(60_000).fill(0xff),
];

/** Sends each kind of foreign datagram again and again; gives the function that stops it and tells how many. */
async function floodUdp(port: number): Promise<() => number> {
  const socket = await openDatagrams();
  let count = 0;
  const timer = setInterval(() => {
    for (const make of DATAGRAMS) if (socket.send(make(), port)) count += 1;
  }, 10);
  return () => {
    clearInterval(timer);
    socket.close();
    return count;
  };
}

/** Opens connections with another test's id again and again; gives the function that stops it and tells how many got in. */
function floodTcp(port: number): () => number {
  const sockets = new Set<Socket>();
  let count = 0;
  const timer = setInterval(() => {
    const socket = connect({ port, host: HOST });
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("connect", () => {
      count += 1;
      socket.write(tcpBuffer(newTestId()));
    });
  }, 2);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
    return count;
  };
}

describe("datagrams", () => {
  test("at a receiver of the server", async () => {
    const before = server.events.length;
    const stop = await floodUdp(udpPort);
    const { result } = await runWatched({ family: "udp" });
    expect(stop()).toBeGreaterThan(100);
    expectUntouched(result, 1_032);
    const warnings = warningsSince(before);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`${udpPort}`);
    await server.isBackTo(idle);
  });

  test("at a receiver of the client", async () => {
    const before = server.events.length;
    const port = await freePort();
    const stop = await floodUdp(port);
    const portPools = { udp4: [{ first: port, last: port }] };
    const { result, warnings } = await runWatched({ family: "udp", reverse: true, portPools });
    expect(stop()).toBeGreaterThan(100);
    expectUntouched(result, 1_032);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`${port}`);
    expect(warningsSince(before)).toEqual([]);
    await server.isBackTo(idle);
  });

  test("do not keep a receiver alive that hears nothing of its own", async () => {
    const client = await server.connect();
    await client.configure(downloadConfiguration({ family: "udp" }));
    client.send({ kind: "begin" });
    const stop = await floodUdp(udpPort);
    try {
      expect(await client.nextOf("failed", 10_000)).toMatchObject({ origin: "server", stream_idx: 0 });
    } finally {
      stop();
    }
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle);
  });
});

describe("connections", () => {
  async function configured(): Promise<{
    readonly client: RawClient;
    readonly testId: readonly number[];
    readonly port: number;
  }> {
    const client = await server.connect();
    const configuration = downloadConfiguration();
    const [port = 0] = await client.configure(configuration);
    return { client, testId: configuration.test_id, port };
  }

  /** Sends a whole stream of its own and expects it to be counted, and nothing else. */
  async function expectCounted(client: RawClient, testId: readonly number[], port: number): Promise<void> {
    const data = await connectTcp(port);
    data.end(tcpBuffer(testId, 50_000));
    const done = await client.nextOf("done", 10_000);
    expect(done).toMatchObject({ origin: "server", stream_idx: 0 });
    const received = client.messages.flatMap((message) =>
      message["kind"] === "receive" ? [message["bytes_received"]] : [],
    );
    expect(received).toEqual([50_000]);
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle);
  }

  test("with a wrong test id are closed, and the right one is still awaited", async () => {
    const before = server.events.length;
    const { client, testId, port } = await configured();
    client.send({ kind: "begin" });
    for (let count = 0; count < 50; count += 1) {
      const foreign = await connectTcp(port);
      const closed = Promise.withResolvers<void>();
      foreign.once("close", () => closed.resolve());
      // From the first to the last byte of the id.
      const bytes = Buffer.from(testId);
      bytes[count % 16] = (bytes[count % 16] ?? 0) ^ 1;
      foreign.write(bytes);
      await closed.promise;
    }
    const warnings = warningsSince(before);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`${port}`);
    await expectCounted(client, testId, port);
    expect(warningsSince(before)).toHaveLength(1);
  });

  test("that say nothing, and such as send half an id, are in nobody's way", async () => {
    const { client, testId, port } = await configured();
    client.send({ kind: "begin" });
    const connecting = await Promise.allSettled(Array.from({ length: 20 }, () => connectTcp(port)));
    // Some make room for others before this side has seen them open.
    const idlers = connecting.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(idlers).not.toBeEmpty();
    for (const [index, idler] of idlers.entries()) if (index % 2 === 0) idler.write(Buffer.from(testId.slice(0, 8)));
    await Bun.sleep(100);
    await expectCounted(client, testId, port);
    await eventually(
      "the end of the silent ones",
      () => idlers.every((idler) => idler.destroyed || idler.readableEnded || idler.closed),
      (ended) => ended,
    );
  });

  test("that come and go before the right one", async () => {
    const { client, testId, port } = await configured();
    for (let count = 0; count < 20; count += 1) {
      const foreign = await connectTcp(port);
      if (count % 2 === 0) foreign.destroy();
      else foreign.resetAndDestroy();
    }
    client.send({ kind: "begin" });
    await expectCounted(client, testId, port);
  });

  test("with the right test id behind the first are not counted", async () => {
    const { client, testId, port } = await configured();
    client.send({ kind: "begin" });
    const first = await connectTcp(port);
    first.write(tcpBuffer(testId, 10_000));
    await client.nextOf("receive");
    // The port is closed by now, or closes such a connection: either is fine.
    await connectTcp(port).then(
      (second) => second.write(tcpBuffer(testId, 10_000)),
      () => {},
    );
    first.end(tcpBuffer(testId, 10_000));
    await client.nextOf("done");
    const received = client.messages.flatMap((message) =>
      message["kind"] === "receive" ? [Number(message["bytes_received"])] : [],
    );
    expect(received.reduce((sum, bytes) => sum + bytes, 0)).toBe(20_000);
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle);
  });

  test("at a receiver of the server, while real tests come and run", async () => {
    const before = server.events.length;
    const stop = floodTcp(tcpPort);
    for (let count = 0; count < 3; count += 1) {
      const { result } = await runWatched({ family: "tcp" });
      expectUntouched(result, 32_768);
    }
    stop();
    // Once for each test at the most; a test admits its own connection within milliseconds, so maybe never.
    expect(warningsSince(before).length).toBeLessThanOrEqual(3);
    await server.isBackTo(idle);
  });

  test("at a receiver of the client, while its test comes and runs", async () => {
    const port = await freePort();
    const stop = floodTcp(port);
    const portPools = { tcp4: [{ first: port, last: port }] };
    const { result, warnings } = await runWatched({ family: "tcp", reverse: true, portPools });
    stop();
    expectUntouched(result, 32_768);
    expect(warnings.length).toBeLessThanOrEqual(1);
    await server.isBackTo(idle);
  });
});

test("the server still serves", async () => {
  await expectServes(server.port, { family: "tcp", reverse: false, parallel: 1 });
  await expectServes(server.port, { family: "udp", reverse: false, parallel: 1 });
  await server.isBackTo(idle);
  expect(server.stderr).toBe("");
});
