// All data over the number of the control port: many clients at once, nothing left behind, and nothing for strangers.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createSocket } from "node:dgram";
import { connect } from "node:net";

import { expectCompleted } from "../support/directions.ts";
import { helloPacket } from "../support/clients-by-hand.ts";
import { eventually, within } from "../support/eventually.ts";
import { describeWithNamespaces, testWithNamespaces, withNamespaces } from "../support/netns.ts";
import { rperf, type RunningProcess, startProcess } from "../support/process.ts";
import {
  downloadConfiguration,
  frameOf,
  newTestId,
  type RawClient,
  type RawMessage,
  unframe,
  uploadConfiguration,
} from "../support/raw-client.ts";
import { socketsOf } from "../support/sockets-of.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

setDefaultTimeout(60_000);

const PORT = 5199;
/** How long a stranger waits for an answer that must not come. */
const SILENCE_MS = 400;
const DATA_PACKET_BYTES = 256;

const MODES = (["", "-u"] as const).flatMap((family) =>
  (["", "-R", "--bidir"] as const).map((direction) => [family, direction].filter((flag) => flag !== "")),
);

function clientArgs(host: string, port: number, flags: readonly string[]): string[] {
  const fixed = ["-t", "2.5", "-b", "8m", "-P", "2", "-f", "json", "--single-port"];
  return rperf("-c", host, "-p", `${port}`, ...fixed, ...flags);
}

async function expectAllComplete(clients: readonly RunningProcess[]): Promise<void> {
  for (const client of clients) {
    const code = await within("a client's end", client.exited, 20_000);
    const document = expectCompleted({ code, stdout: client.stdout, stderr: client.stderr });
    expect((document as unknown as { features: string[] }).features).toContain("single_port");
  }
}

// ss tells whose a socket is to root alone.
testWithNamespaces("over loopback: the server uses one port number, and frees all", async () => {
  const server = await WatchedServer.start();
  const idle = server.holdings;
  const idleSockets = socketsOf(server.pid);
  expect(idleSockets).toHaveLength(1);
  for (let round = 0; round < 2; round += 1) {
    const before = server.events.length;
    const clients = MODES.map((flags) => startProcess(clientArgs("127.0.0.1", server.port, flags)));
    await eventually(
      "all tests are under way",
      () => server.events.slice(before).filter(({ type }) => type === "test-started").length,
      (count) => count === MODES.length,
    );
    const sockets = socketsOf(server.pid);
    expect([...new Set(sockets.map(({ localPort }) => localPort))]).toEqual([server.port]);
    // Of the clients that are not over by now; each stream of UDP has a socket to itself.
    expect(sockets.filter(({ family, peerPort }) => family === "udp" && peerPort !== 0).length).toBeGreaterThan(1);
    await expectAllComplete(clients);
    await server.isBackTo(idle);
    await eventually(
      "the listener alone",
      () => socketsOf(server.pid),
      (left) => left.length === idleSockets.length,
    );
  }
  expect(server.stderr).toBe("");
  server.kill();
});

testWithNamespaces("over a link, IPv4 and IPv6: the server uses one port number", () =>
  withNamespaces(async ({ left, right }) => {
    const server = right.start(rperf("-s", "-6", "-p", `${PORT}`));
    await server.waitForOutput(/listening/);
    const clients = MODES.map((flags, index) =>
      left.start(clientArgs(index % 2 === 0 ? right.ipv4 : right.ipv6, PORT, flags)),
    );
    await eventually(
      "all tests are under way",
      () => server.stderr.match(/test started/g)?.length ?? 0,
      (count) => count === MODES.length,
    );
    const ports = new Set(socketsOf(server.pid, right).map(({ localPort }) => localPort));
    expect([...ports]).toEqual([PORT]);
    await expectAllComplete(clients);
  }),
);

/** Another of this machine's own addresses. */
const OTHER_ADDRESS = "127.0.0.2";

function singlePort(changes: RawMessage = {}) {
  return { version: 3, single_port: true, dial: "client", accounting: true, ...changes };
}

/** A UDP socket that remembers what comes to it. */
async function openStranger(address: string) {
  const socket = createSocket("udp4");
  const heard: Buffer[] = [];
  socket.on("message", (datagram) => heard.push(datagram));
  const bound = Promise.withResolvers<void>();
  socket.bind(0, address, bound.resolve);
  await bound.promise;
  return { heard, send: (datagram: Buffer, port: number) => socket.send(datagram, port, "127.0.0.1"), socket };
}

/** What the server says to a connection that asks for a stream, and its end: nothing but the first frame of it. */
async function askForStream(port: number, testId: readonly number[], from = "127.0.0.1", streamIndex = 0) {
  const socket = connect({ port, host: "127.0.0.1", localAddress: from });
  let said = Buffer.alloc(0);
  const first = Promise.withResolvers<RawMessage | undefined>();
  socket.on("data", (chunk: Buffer) => {
    said = Buffer.concat([said, chunk]);
    const [message] = unframe(said).messages;
    if (message !== undefined) first.resolve(message);
  });
  socket.on("close", () => first.resolve(undefined));
  socket.on("error", () => {});
  socket.write(frameOf(JSON.stringify({ kind: "data", test_id: testId, stream_idx: streamIndex })));
  return { answer: await within("an answer", first.promise), socket };
}

describeWithNamespaces("strangers", () => {
  let server: WatchedServer;
  let idle: Holdings;

  beforeAll(async () => {
    server = await WatchedServer.start();
    idle = server.holdings;
  });

  afterAll(() => server.kill());

  /** A test that waits for what its streams are to come from. */
  async function configured(configuration: { readonly test_id: number[] }): Promise<RawClient> {
    const client = await server.connect();
    client.send(configuration);
    const answer = await client.next();
    expect(answer).toMatchObject({ extensions: { single_port: true } });
    return client;
  }

  async function endOf(client: RawClient): Promise<void> {
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle);
    expect(socketsOf(server.pid)).toHaveLength(1);
  }

  const connectedDatagrams = () =>
    socketsOf(server.pid).filter(({ family, peerPort }) => family === "udp" && peerPort !== 0);

  test("a hello of a wrong test, stream or address, or to a finished test, is not answered", async () => {
    const changes = { family: "udp", duration: 0.5, length: DATA_PACKET_BYTES, extensions: singlePort() };
    const configuration = uploadConfiguration(changes);
    const client = await configured(configuration);
    const right = helloPacket(configuration.test_id);
    const near = await openStranger("127.0.0.1");
    const far = await openStranger(OTHER_ADDRESS);
    near.send(helloPacket(newTestId()), server.port);
    near.send(helloPacket(configuration.test_id, 1), server.port);
    near.send(Buffer.concat([right, Buffer.alloc(1)]), server.port);
    far.send(right, server.port);
    await Bun.sleep(SILENCE_MS);
    expect([near.heard, far.heard]).toEqual([[], []]);
    expect(connectedDatagrams()).toEqual([]);
    // The same words from the right place open the way.
    near.send(right, server.port);
    await eventually(
      "an answer",
      () => near.heard,
      (heard) => heard.length > 0,
    );
    expect(near.heard[0]?.subarray(0, 16)).toEqual(Buffer.from(configuration.test_id));
    expect(connectedDatagrams()).toEqual([
      { family: "udp", localPort: server.port, peerPort: near.socket.address().port },
    ]);
    // Who comes later, from the same address or another, takes nothing over.
    const late = await openStranger("127.0.0.1");
    for (const one of [late, far]) one.send(right, server.port);
    client.send({ kind: "begin" });
    await client.nextOf("done");
    await Bun.sleep(SILENCE_MS);
    const dataPackets = near.heard.filter(({ length }) => length === DATA_PACKET_BYTES);
    expect(dataPackets.length).toBeGreaterThan(100);
    expect([late.heard, far.heard]).toEqual([[], []]);
    client.send({ kind: "end" });
    await client.closed();
    await server.isBackTo(idle);
    const heard = near.heard.length;
    near.send(right, server.port);
    await Bun.sleep(SILENCE_MS);
    expect(near.heard).toHaveLength(heard);
    for (const { socket } of [near, far, late]) socket.close();
    expect(socketsOf(server.pid)).toHaveLength(1);
  });

  test("a server that sends over a port of its own sends to the address that proved itself", async () => {
    const extensions = singlePort({ single_port: false });
    const changes = { family: "udp", duration: 0.5, length: DATA_PACKET_BYTES, extensions };
    const configuration = uploadConfiguration(changes);
    const client = await server.connect();
    client.send(configuration);
    const { extensions: granted } = await client.next();
    const [port = 0] = (granted as { stream_ports: number[] }).stream_ports;
    expect(port).not.toBe(server.port);
    const [near, late, far] = [
      await openStranger("127.0.0.1"),
      await openStranger("127.0.0.1"),
      await openStranger(OTHER_ADDRESS),
    ];
    const hello = helloPacket(configuration.test_id);
    far.send(hello, port);
    near.send(helloPacket(newTestId()), port);
    await Bun.sleep(SILENCE_MS);
    expect([near.heard, far.heard]).toEqual([[], []]);
    near.send(hello, port);
    await eventually(
      "an answer",
      () => near.heard,
      (heard) => heard.length > 0,
    );
    for (const one of [late, far]) one.send(hello, port);
    client.send({ kind: "begin" });
    await client.nextOf("done");
    expect(near.heard.filter(({ length }) => length === DATA_PACKET_BYTES).length).toBeGreaterThan(100);
    expect([late.heard, far.heard]).toEqual([[], []]);
    for (const { socket } of [near, far, late]) socket.close();
    await endOf(client);
  });

  test("a data connection for a wrong test or stream, or from another address, is refused; the right one is taken once", async () => {
    const configuration = downloadConfiguration({ extensions: singlePort() });
    const client = await configured(configuration);
    const { test_id: id } = configuration;
    const refused = { kind: "error", message: "no stream of this server waits for such a connection" };
    for (const [testId, from, streamIndex] of [
      [newTestId(), "127.0.0.1", 0],
      [id, OTHER_ADDRESS, 0],
      [id, "127.0.0.1", 1],
    ] as const) {
      const { answer, socket } = await askForStream(server.port, testId, from, streamIndex);
      expect(answer).toEqual(refused);
      socket.destroy();
    }
    const { answer, socket } = await askForStream(server.port, id);
    expect(answer).toEqual({ kind: "data-ready" });
    const second = await askForStream(server.port, id);
    expect(second.answer).toEqual(refused);
    second.socket.destroy();
    client.send({ kind: "begin" });
    socket.write(Buffer.alloc(5_000));
    socket.end();
    await client.nextOf("done");
    const bytes = client.messages.map(({ kind, bytes_received: received }) =>
      kind === "receive" ? Number(received) : 0,
    );
    expect(bytes.reduce((sum, more) => sum + more, 0)).toBe(5_000);
    // Its stream is over, and the test is not.
    const late = await askForStream(server.port, id);
    expect(late.answer).toEqual(refused);
    await endOf(client);
    const gone = await askForStream(server.port, id);
    expect(gone.answer).toEqual(refused);
    for (const one of [late, gone]) one.socket.destroy();
    socket.destroy();
    await server.isBackTo(idle);
  });

  test("a data connection that comes when its stream has failed is closed, and not kept", async () => {
    const configuration = downloadConfiguration({ extensions: singlePort() });
    const client = await configured(configuration);
    client.send({ kind: "begin" });
    // Nobody comes for three seconds.
    await client.nextOf("failed");
    const { answer, socket } = await askForStream(server.port, configuration.test_id);
    expect(answer).toMatchObject({ kind: "error" });
    socket.destroy();
    await endOf(client);
  });
});
