import { afterEach, describe, expect, test } from "bun:test";
import { makePolicy, makeServerConfig, type ServerOptions } from "../../../src/config/server-config.ts";
import { encodeFrame, FrameDecoder } from "../../../src/protocol/framing.ts";
import type { ServerEvent } from "../../../src/server/events.ts";
import { listen, type RperfServer } from "../../../src/server/start-server.ts";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import { factsOf } from "../../golden/scenarios.ts";
import { freePort } from "../../support/ports.ts";
import { scriptedPool } from "../../support/scripted-worker.ts";

const TEST_ID = Array.from({ length: 16 }, (_, index) => index + 1);
const DOWNLOAD = {
  kind: "configuration",
  family: "tcp",
  role: "download",
  test_id: TEST_ID,
  streams: 2,
  length: 1024,
  receive_buffer: 0,
};
const UPLOAD = {
  kind: "configuration",
  family: "udp",
  role: "upload",
  test_id: TEST_ID,
  streams: 1,
  length: 1024,
  bandwidth: 100_000,
  duration: 0.3,
  send_interval: 0.05,
  send_buffer: 0,
  no_delay: false,
};

interface Started {
  readonly server: RperfServer;
  readonly events: ServerEvent[];
  readonly pool: StreamWorkerPool;
}

const started: Started[] = [];
afterEach(async () => {
  for (const { server, pool } of started.splice(0)) {
    await server.stop("the test ended");
    expect(server.clients).toBe(0);
    expect(pool.size).toBe(0);
  }
});

function start(options: ServerOptions = {}, pool = new StreamWorkerPool(spawnWorker)): Started {
  const events: ServerEvent[] = [];
  const config = makeServerConfig({ bindAddress: "127.0.0.1", port: 0, ...options });
  const one = { server: listen(config, pool, (event) => events.push(event)), events, pool };
  started.push(one);
  return one;
}

/** The ports of the first message, a `connect`. */
function portsOf(messages: readonly Record<string, unknown>[]): number[] {
  return (messages[0]?.["stream_ports"] ?? []) as number[];
}

/** A client that says what it likes. */
async function connect({ server }: Started, hostname = "127.0.0.1") {
  const messages: Record<string, unknown>[] = [];
  const decoder = new FrameDecoder();
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname,
    port: server.port,
    socket: {
      data: (_socket, chunk) => {
        for (const body of decoder.push(chunk)) {
          messages.push(JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>);
        }
      },
      close: () => resolve(),
    },
  });
  return {
    socket,
    messages,
    closed,
    send: (...all: readonly object[]) => void socket.write(Buffer.concat(all.map((message) => encodeFrame(message)))),
    until: (kind: string, count = 1) =>
      until(() => messages.filter((message) => message["kind"] === kind).length >= count, `${count} × ${kind}`),
  };
}

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (let attempt = 0; attempt < 2000; attempt++) {
    if (isTrue()) return;
    await Bun.sleep(5);
  }
  throw new Error(`waited in vain for ${what}`);
}

describe("listening", () => {
  test("tells its address and the port that the system gave", () => {
    const { server, events } = start();
    expect(server.port).toBeGreaterThan(0);
    expect(events).toEqual([{ type: "listening", address: "127.0.0.1", port: server.port }]);
  });

  test("a port in use is named", () => {
    const { server } = start();
    expect(() => start({ port: server.port })).toThrow(
      expect.objectContaining({ code: "port-in-use", message: expect.stringContaining(`127.0.0.1:${server.port}`) }),
    );
  });

  test("an address of another machine cannot be bound", async () => {
    const port = await freePort();
    expect(() => start({ bindAddress: "192.0.2.1", port })).toThrow(
      expect.objectContaining({ code: "bind-failed", message: expect.stringContaining(`192.0.2.1:${port}`) }),
    );
  });
});

describe("a test", () => {
  test("forward: a port for each stream, results, completions, and the end", async () => {
    const one = start();
    const client = await connect(one);
    client.send(DOWNLOAD);
    await client.until("connect");
    const ports = portsOf(client.messages);
    expect(new Set(ports).size).toBe(2);
    // An original client offered no extensions and gets none.
    expect(client.messages[0]).toEqual({ kind: "connect", stream_ports: ports });
    client.send({ kind: "begin" });
    for (const port of ports) {
      const data = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => {} } });
      data.write(Uint8Array.of(...TEST_ID, ...new Uint8Array(84)));
      data.end();
    }
    await client.until("done", 2);
    const results = client.messages.filter((message) => message["kind"] === "receive");
    const bytesOf = new Map(results.map((message) => [message["stream_idx"], message["bytes_received"]]));
    expect([results.length, bytesOf.get(0), bytesOf.get(1)]).toEqual([2, 100, 100]);
    const dones = client.messages.filter((message) => message["kind"] === "done");
    // Streams end in any order.
    expect(dones).toHaveLength(2);
    for (const stream_idx of [0, 1]) expect(dones).toContainEqual({ kind: "done", origin: "server", stream_idx });
    client.send({ kind: "end" });
    await client.closed;
    await until(() => one.server.clients === 0, "no client");
    expect(one.pool.size).toBe(0);
    expect(one.events.map(({ type }) => type)).toEqual([
      "listening",
      "test-configured",
      "test-started",
      "client-ended",
    ]);
    expect(one.events.at(-1)).toMatchObject({ message: "the test ended" });
  });

  test("reverse: connect-ready, the data, send results, a completion", async () => {
    const one = start();
    const datagrams: number[] = [];
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_socket, datagram) => void datagrams.push(datagram.length) },
    });
    const client = await connect(one);
    const extensions = { version: 9, omit_seconds: 0, offload: "auto", pacing: "slices", write_size: "length" };
    client.send({ ...UPLOAD, stream_ports: [socket.port], extensions });
    await client.until("connect-ready");
    expect(client.messages[0]).toEqual({
      kind: "connect-ready",
      extensions: { version: 3, omit_seconds: 0, interval: 1 },
    });
    expect(datagrams).toEqual([]);
    client.send({ kind: "begin" });
    await client.until("done");
    const sent = client.messages.filter((message) => message["kind"] === "send");
    const packets = sent.reduce((sum, message) => sum + Number(message["packets_sent"]), 0);
    expect(sent.reduce((sum, message) => sum + Number(message["bytes_sent"]), 0)).toBe(packets * 1032);
    await until(() => datagrams.length === packets + 5, "all packets");
    // A client of ours is told what the kernel granted.
    expect(client.messages.at(-1)).toMatchObject({ kind: "done", origin: "server", stream_idx: 0 });
    expect(client.messages.at(-1)?.["socket"]).toMatchObject({ send_buffer: expect.any(Number) });
    client.send({ kind: "end" });
    await client.closed;
    socket.close();
  });

  test("both directions before one begin", async () => {
    const one = start();
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    const client = await connect(one);
    client.send({ ...DOWNLOAD, streams: 1 }, { ...UPLOAD, stream_ports: [socket.port] });
    await client.until("connect-ready");
    expect(client.messages.map((message) => message["kind"])).toEqual(["connect", "connect-ready"]);
    expect(one.pool.size).toBe(2);
    client.send({ kind: "begin" });
    const [port = 0] = portsOf(client.messages);
    const data = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => {} } });
    data.write(Uint8Array.from(TEST_ID));
    data.end();
    await client.until("done", 2);
    client.send({ kind: "end" });
    await client.closed;
    socket.close();
  });

  test("a stream that fails is told as failed, with the reason for a client of ours", async () => {
    const one = start();
    const client = await connect(one);
    const port = await freePort();
    const extensions = { version: 1 };
    client.send({ ...UPLOAD, family: "tcp", stream_ports: [port], extensions }, { kind: "begin" });
    await client.until("failed");
    expect(client.messages.at(-1)).toMatchObject({ kind: "failed", stream_idx: 0, message: expect.any(String) });
    client.socket.end();
    await client.closed;
  });

  test("streams that end before the begin are told of after it, and the test is over", async () => {
    const one = start();
    const client = await connect(one);
    client.send({ ...DOWNLOAD, streams: 1 });
    await client.until("connect");
    const [port] = portsOf(client.messages);
    const early = await Bun.connect({ hostname: "127.0.0.1", port: port ?? 0, socket: { data: () => {} } });
    early.write(Uint8Array.from(TEST_ID));
    early.end();
    await Bun.sleep(200);
    client.send({ kind: "begin" });
    await client.until("done");
    client.send({ kind: "end" });
    await client.closed;
    await until(() => one.events.at(-1)?.type === "client-ended", "the end");
    expect(one.events.at(-1)).toMatchObject({ message: "the test ended" });
  });

  test("the client leaves in mid-test: streams and Workers are gone", async () => {
    const one = start();
    const client = await connect(one);
    client.send(DOWNLOAD);
    await client.until("connect");
    client.send({ kind: "begin" });
    await until(() => one.events.some(({ type }) => type === "test-started"), "the start");
    expect(one.pool.size).toBe(2);
    client.socket.terminate();
    await until(() => one.server.clients === 0, "no client");
    expect(one.pool.size).toBe(0);
    const { type, message } = one.events.at(-1) as { type: string; message: string };
    expect(type).toBe("client-ended");
    // Bun's `terminate` resets.
    expect(message).toContain("ECONNRESET");
  });
});

describe("ports below 1024 of a client", () => {
  const LOW = { ...UPLOAD, streams: 2, stream_ports: [5000, 1023] };
  const scripted = () => scriptedPool({ prepare: [{ type: "prepared", port: null }], start: [] });

  test("are refused before anything is there for them, with a reason", async () => {
    for (const family of ["tcp", "udp"]) {
      const one = start({}, scripted());
      const client = await connect(one);
      client.send({ ...LOW, family });
      await client.closed;
      const message = "stream_ports has 1023: this server sends to no port below 1024 (--allow-low-ports)";
      expect(client.messages).toEqual([{ kind: "error", message }]);
      expect(one.pool.size).toBe(0);
    }
  });

  test("are taken where the server allows it, or where nothing goes there", async () => {
    const dialled = { extensions: { version: 2, dial: "client" } };
    for (const [options, changes] of [
      [{ allowsLowPorts: true }, {}],
      [{}, { stream_ports: [1024, 65_535] }],
      [{}, process.platform === "linux" ? dialled : { stream_ports: [1024, 1024] }],
    ] as const) {
      const client = await connect(start(options, scripted()));
      client.send({ ...LOW, ...changes });
      await client.until("connect-ready");
      client.socket.end();
      await client.closed;
    }
  });
});

describe("what a stream tells", () => {
  const prepared = { type: "prepared", port: null } as const;
  const ended = {
    type: "ended",
    report: {
      totals: { books: null, bufferDrops: null, sendsRefused: 2, bytesUndelivered: null },
      sent: { packets: 7, omittedPackets: 1 },
    },
  } as const;

  test("for those who look closely is a debug event that names the client and the stream", async () => {
    const debug = { type: "debug", message: "no offload here" } as const;
    const one = start({}, scriptedPool({ prepare: [debug, prepared], start: [] }));
    const client = await connect(one);
    client.send({ ...UPLOAD, stream_ports: [4009] });
    await client.until("connect-ready");
    const name = `127.0.0.1:${client.socket.localPort}`;
    expect(one.events).toContainEqual({ type: "debug", client: name, message: "stream 0: no offload here" });
    client.socket.end();
    await client.closed;
  });

  test("of its socket and its end goes to a client of ours, and to no other", async () => {
    const facts = factsOf({ sendBufferBytes: 4096, offload: true, pacing: "user", writeBytes: 1024 });
    const pool = scriptedPool({ prepare: [{ type: "socket", facts }, prepared], start: [ended] });
    const one = start({}, pool);
    const told = {
      role: "upload",
      socket: { send_buffer: 4096, offload: true, pacing: "user", write_size: 1024 },
      totals: { sends_refused: 2 },
      sent: { packets: 7, omitted_packets: 1 },
    };
    for (const [extensions, more] of [
      [{ version: 1 }, told],
      [undefined, {}],
    ]) {
      const client = await connect(one);
      client.send({ ...UPLOAD, stream_ports: [4009], extensions }, { kind: "begin" });
      await client.until("done");
      expect(client.messages.at(-1)).toEqual({ kind: "done", origin: "server", stream_idx: 0, ...more });
      client.send({ kind: "end" });
      await client.closed;
    }
  });

  test("of an offload that the system refuses is the answer to the configuration", async () => {
    const refused = { type: "failed", code: "offload-refused", message: "no offload here", report: null } as const;
    const one = start({}, scriptedPool({ prepare: [refused], start: [] }));
    const client = await connect(one);
    client.send({ ...DOWNLOAD, family: "udp", extensions: { version: 1, offload: "on" } });
    await client.until("error");
    expect(client.messages).toEqual([{ kind: "error", message: expect.stringContaining("no offload here") }]);
    await client.closed;
  });
});

describe("clients that are refused are told why, and no other client is", () => {
  const frame = (text: string) => {
    const body = Buffer.from(text);
    return Buffer.concat([Buffer.from([body.length >> 8, body.length & 0xff]), body]);
  };
  const json = (...messages: readonly object[]) => Buffer.concat(messages.map((message) => encodeFrame(message)));
  test.each<[string, Buffer, string]>([
    ["no JSON", frame("hello"), "not JSON"],
    ["an empty message", frame(""), "not JSON"],
    ["no kind", json({}), "kind"],
    ["an unknown kind", json({ kind: "pause" }), "kind"],
    ["a field missing", json({ ...DOWNLOAD, receive_buffer: undefined }), "receive_buffer"],
    [
      "an extension of the wrong type",
      json({ ...DOWNLOAD, extensions: { version: 1, offload: true } }),
      "extensions.offload",
    ],
    [
      "an extension with a word that nobody knows",
      json({ ...UPLOAD, stream_ports: [4009], extensions: { version: 1, pacing: "smooth" } }),
      "extensions.pacing",
    ],
    ["no streams", json({ ...DOWNLOAD, streams: 0 }), "streams"],
    ["begin first", json({ kind: "begin" }), "begin"],
    ["a second begin", json({ ...DOWNLOAD, streams: 1 }, { kind: "begin" }, { kind: "begin" }), "begin"],
    ["a configuration while running", json({ ...DOWNLOAD, streams: 1 }, { kind: "begin" }, DOWNLOAD), "configuration"],
    ["the same role twice", json({ ...DOWNLOAD, streams: 1 }, { ...DOWNLOAD, streams: 1 }), "download"],
    ["nine messages at once", json(DOWNLOAD, ...Array.from({ length: 9 }, () => ({ kind: "begin" }))), "too many"],
  ])("%s", async (_name, bytes, text) => {
    const one = start();
    const bystander = await connect(one);
    const client = await connect(one);
    client.socket.write(bytes);
    await client.until("error");
    expect(client.messages.at(-1)).toEqual({ kind: "error", message: expect.stringContaining(text) });
    await client.closed;
    await until(() => one.server.clients === 1, "one client");
    expect(one.events.filter(({ type }) => type === "client-refused")).toHaveLength(1);
    bystander.send(DOWNLOAD);
    await bystander.until("connect");
    bystander.socket.end();
    await bystander.closed;
  });

  test("more clients than the limit; a place is free again when one leaves", async () => {
    const one = start({ clientLimit: 1 });
    const first = await connect(one);
    // A connection that asks for nothing takes no place.
    const idle = await connect(one);
    first.send(DOWNLOAD);
    await first.until("connect");
    const second = await connect(one);
    second.send(DOWNLOAD);
    await second.until("error");
    await second.closed;
    first.send({ kind: "end" });
    await first.closed;
    await until(() => one.server.clients === 1, "the idle one alone");
    const third = await connect(one);
    third.send(DOWNLOAD);
    await third.until("connect");
    for (const client of [third, idle]) client.socket.end();
  });

  test("clients that wait: a new policy lets one in, and a server that stops tells the other", async () => {
    const one = start({ clientLimit: 1, queueLimit: 4 });
    const clients = [await connect(one), await connect(one), await connect(one)] as const;
    for (const client of clients) client.send({ ...DOWNLOAD, extensions: { version: 2, wait: 60 } });
    await clients[0].until("connect");
    await Promise.all(clients.slice(1).map((client) => client.until("queued")));
    one.server.reload(makePolicy({ clientLimit: 2, queueLimit: 4 }));
    await clients[1].until("connect");
    expect(clients[2].messages).toEqual([{ kind: "queued", place: 2 }]);
    await one.server.stop("closing time");
    await clients[2].closed;
    expect(clients[2].messages.at(-1)).toEqual({ kind: "error", message: "closing time" });
  });

  test("an exhausted pool of ports", async () => {
    const port = await freePort();
    const one = start({ portPools: { tcp4: [{ first: port, last: port }] } });
    const client = await connect(one);
    client.send(DOWNLOAD);
    await client.until("error");
    expect(client.messages).toEqual([{ kind: "error", message: expect.stringContaining(`${port}`) }]);
    await client.closed;
  });

  test("stop tells its reason to all, and frees the port", async () => {
    const one = start();
    const clients = [await connect(one), await connect(one)];
    clients[0]?.send(DOWNLOAD);
    await clients[0]?.until("connect");
    await until(() => one.server.clients === 2, "two clients");
    await one.server.stop("maintenance");
    for (const { messages } of clients) expect(messages.at(-1)).toEqual({ kind: "error", message: "maintenance" });
    expect(one.server.clients).toBe(0);
    expect(one.pool.size).toBe(0);
    Bun.listen({ hostname: "127.0.0.1", port: one.server.port, exclusive: true, socket: { data: () => {} } }).stop(
      true,
    );
  });
});
