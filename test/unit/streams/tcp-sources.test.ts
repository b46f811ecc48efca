// Where the one data connection of a TCP stream comes from.
import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import type { DialEndpoint } from "../../../src/streams/spec.ts";
import { adoptConnection, NOBODY, openConnection } from "../../../src/streams/tcp-connection.ts";
import { openDirectIo } from "../../../ffi/direct-io.ts";
import { closeDescriptor, connectSocket, openSocket } from "../../../ffi/open-socket.ts";
import { MAX_CANDIDATES } from "../../../src/streams/tcp-listen-source.ts";
import { testsUnless } from "../../support/conditional.ts";
import { eventually, within } from "../../support/eventually.ts";
import { freePort } from "../../support/ports.ts";
import { connectTcp, frameOf, type RawMessage, tcpBuffer, unframe } from "../../support/raw-client.ts";
import { openSockets } from "../../support/open-sockets.ts";
import { granted } from "../ffi/sockets.ts";
import { listenAt, NO_PATH, type Pair, receiverSpec, Recorder, senderSpec, TEST_ID, until } from "./recorder.ts";

const linux = testsUnless(process.platform === "linux" ? null : "only Linux has all of 127.0.0.0/8, and /proc");
const SLOW_TEST_MS = 30_000;
const HANDED = { type: "handed", localAddress: "127.0.0.1", localPort: 9 } as const;

const toStop: (() => void)[] = [];
afterEach(() => {
  for (const stop of toStop.splice(0)) stop();
});

function dial(port: number, isControlPort = false): DialEndpoint {
  return { type: "dial", address: "127.0.0.1", port, isControlPort };
}

/** A peer by hand, and its end of each connection. */
async function listening(onConnection: (socket: Socket) => void, allowHalfOpen = false): Promise<number> {
  const server: Server = createServer({ allowHalfOpen }, (socket) => {
    socket.on("error", () => {});
    toStop.push(() => socket.destroy());
    onConnection(socket);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  toStop.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listener without a port");
  return address.port;
}

/** A connection that is there when this returns, with these bytes on the way; to be closed by whoever gets it. */
function connectAtOnce(port: number, bytes: Uint8Array): number {
  const request = { transport: "tcp", ipVersion: 4, localAddress: null, localPort: 0, device: null } as const;
  const fd = granted(openSocket({ ...request, reusePort: false }));
  // On the loopback the handshake is over with the call, though it is said to go on.
  granted(connectSocket(fd, "127.0.0.1", port));
  if (bytes.length > 0) expect(openDirectIo()?.send(fd, bytes, bytes.length)).toBe(bytes.length);
  return fd;
}

/** A connection to hand over, and the peer's end of it. */
async function connection() {
  const accepted = Promise.withResolvers<Socket>();
  const port = await listening((socket) => accepted.resolve(socket));
  const descriptor = await openConnection("127.0.0.1", port, NO_PATH);
  const peer = await accepted.promise;
  const messages: RawMessage[] = [];
  const closed = new Promise<void>((resolve) => void peer.once("close", () => resolve()));
  peer.on("data", (chunk: Buffer) => messages.push(...unframe(chunk).messages));
  return { descriptor, peer, messages, closed };
}

async function runWhole({ sender, receiver }: Pair): Promise<void> {
  receiver.stream.start(null);
  sender.stream.start(null);
  await Promise.all([sender.over, receiver.over]);
  sender.expectEnded();
  receiver.expectEnded();
  expect(sender.bytes).toBeGreaterThan(0);
  expect(receiver.bytes).toBe(sender.bytes);
  expect([...sender.all("warning"), ...receiver.all("warning")]).toEqual([]);
}

describe("listening and dialling", () => {
  linux.test("a receiver that dials gets all that the sender sends, and no socket is left", async () => {
    const before = openSockets();
    const endpoint = listenAt({ peerAddress: "127.0.0.1" });
    const sender = await Recorder.prepared(senderSpec("tcp", 0, { endpoint, durationSeconds: 0.3 }));
    const receiver = await Recorder.prepared(receiverSpec("tcp", { endpoint: dial(sender.port) }));
    expect(receiver.all("prepared")).toEqual([{ type: "prepared", port: null }]);
    await runWhole({ sender, receiver });
    await eventually("sockets", openSockets, (count) => count === before);
  });

  linux.test("a connection from elsewhere is closed, with the right test id too, and warned of once", async () => {
    const endpoint = listenAt({ bindAddress: "0.0.0.0", peerAddress: "127.0.0.2" });
    const sender = await Recorder.prepared(senderSpec("tcp", 0, { endpoint, durationSeconds: 0.2 }));
    for (let attempt = 0; attempt < 2; attempt++) {
      const stranger = await connectTcp(sender.port);
      const closed = new Promise((resolve) => void stranger.once("close", resolve));
      stranger.write(tcpBuffer([...TEST_ID], 16));
      await within("the close", closed);
    }
    expect(sender.all("warning").map(({ message }) => message)).toEqual([expect.stringContaining("(from 127.0.0.1)")]);
    const path = { ...NO_PATH, localAddress: "127.0.0.2" };
    const receiver = await Recorder.prepared(receiverSpec("tcp", { endpoint: dial(sender.port), path }));
    receiver.stream.start(null);
    sender.stream.start(null);
    await Promise.all([sender.over, receiver.over]);
    expect(receiver.bytes).toBe(sender.bytes);
  });

  linux.test(
    "behind a stall its own connection is found among many of the same address, wherever it stands",
    async () => {
      for (const before of [0, MAX_CANDIDATES, 2 * MAX_CANDIDATES]) {
        const receiver = await Recorder.prepared(receiverSpec("tcp", { endpoint: listenAt() }));
        receiver.stream.start(null);
        // This thread, which is the receiver's too, accepts none before all are there.
        const early = Array.from({ length: before }, () => connectAtOnce(receiver.port, new Uint8Array(0)));
        const own = connectAtOnce(receiver.port, tcpBuffer([...TEST_ID], 5000));
        const late = Array.from({ length: 3 * MAX_CANDIDATES }, () => connectAtOnce(receiver.port, Uint8Array.of(1)));
        closeDescriptor(own);
        await receiver.over;
        receiver.expectEnded();
        expect(receiver.bytes).toBe(5000);
        for (const fd of [...early, ...late]) closeDescriptor(fd);
      }
    },
  );

  test(
    "a sender whose receiver does not come fails",
    async () => {
      const sender = await Recorder.prepared(senderSpec("tcp", 0, { endpoint: listenAt() }));
      sender.stream.start(null);
      await sender.over;
      sender.expectFailed("connect-timeout");
    },
    SLOW_TEST_MS,
  );

  test("a receiver that dials a closed port fails, naming it", async () => {
    const port = await freePort();
    const receiver = await Recorder.prepared(receiverSpec("tcp", { endpoint: dial(port) }));
    receiver.expectFailed("stream-failed");
    expect(receiver.all("failed")[0]?.message).toContain(`127.0.0.1 port ${port}`);
  });

  linux.test("source ports and addresses are those of the path", async () => {
    const seen = Promise.withResolvers<Socket>();
    const port = await listening((socket) => seen.resolve(socket));
    const path = { ...NO_PATH, localAddress: "127.0.0.9", localPort: await freePort() };
    const receiver = await Recorder.prepared(receiverSpec("tcp", { endpoint: dial(port), path }));
    const { remoteAddress, remotePort } = await seen.promise;
    expect({ remoteAddress, remotePort }).toEqual({ remoteAddress: "127.0.0.9", remotePort: path.localPort });
    receiver.stream.stop();
  });
});

describe("a connection that is handed over", () => {
  linux.test("is gone on with: its peer hears so, and what it sends is counted to the end", async () => {
    const before = openSockets();
    const receiver = await Recorder.prepared(receiverSpec("tcp", { endpoint: HANDED }));
    const { descriptor, peer, messages } = await connection();
    receiver.stream.take({ family: "tcp", descriptor });
    await until(() => messages.length === 1, "a message");
    expect(messages).toEqual([{ kind: "data-ready" }]);
    receiver.stream.start(null);
    peer.end(tcpBuffer([...TEST_ID], 5000));
    await receiver.over;
    receiver.expectEnded();
    expect(receiver.bytes).toBe(5000);
    for (const stop of toStop.splice(0)) stop();
    await eventually("sockets", openSockets, (count) => count === before);
  });

  linux.test("is closed where one has come before, and after the end; the first is not disturbed", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp", { endpoint: HANDED }));
    const first = await connection();
    receiver.stream.take({ family: "tcp", descriptor: first.descriptor });
    await until(() => first.messages.length === 1, "a message");
    const second = await connection();
    receiver.stream.take({ family: "tcp", descriptor: second.descriptor });
    await within("the close of the second", second.closed);
    expect(second.messages).toEqual([]);
    receiver.stream.start(null);
    first.peer.end(tcpBuffer([...TEST_ID], 100));
    await receiver.over;
    expect(receiver.bytes).toBe(100);
    const late = await connection();
    receiver.stream.take({ family: "tcp", descriptor: late.descriptor });
    await within("the close of the late one", late.closed);
  });

  test("is what a sender sends on", async () => {
    const sender = await Recorder.prepared(senderSpec("tcp", 0, { endpoint: HANDED, durationSeconds: 0.2 }));
    const { descriptor, peer } = await connection();
    let bytes = 0;
    peer.on("data", (chunk: Buffer) => void (bytes += chunk.length));
    sender.stream.take({ family: "tcp", descriptor });
    sender.stream.start(null);
    await sender.over;
    sender.expectEnded();
    // Its peer hears first that the stream has the connection.
    const announcement = frameOf(JSON.stringify({ kind: "data-ready" })).length;
    await eventually(
      "the bytes",
      () => bytes,
      (count) => count === sender.bytes + announcement,
    );
  });
});

describe("dialling a control port", () => {
  /** What a stream comes to whose announcement is answered like this. */
  async function announced(answer: (socket: Socket) => void) {
    const messages: RawMessage[] = [];
    const port = await listening((socket) => {
      socket.on("data", (chunk: Buffer) => {
        messages.push(...unframe(chunk).messages);
        answer(socket);
      });
    });
    const receiver = await Recorder.prepared(receiverSpec("tcp", { endpoint: dial(port, true), streamIndex: 3 }));
    return { receiver, messages };
  }
  const say = (message: object) => (socket: Socket) => void socket.write(frameOf(JSON.stringify(message)));

  test("it says whose it is, and is ready when the stream there has it", async () => {
    const { receiver, messages } = await announced(say({ kind: "data-ready" }));
    expect(messages).toEqual([{ kind: "data", test_id: [...TEST_ID], stream_idx: 3 }]);
    expect(receiver.all("prepared")).toHaveLength(1);
    receiver.stream.stop();
  });

  test.each<[string, (socket: Socket) => void, string, string]>([
    ["is refused", say({ kind: "error", message: "no such stream" }), "peer-refused", "no such stream"],
    ["is closed", (socket) => socket.end(), "stream-failed", "closed"],
    ["is reset", (socket) => socket.resetAndDestroy(), "stream-failed", "closed"],
    ["is answered by another message", say({ kind: "connect-ready" }), "peer-protocol", "connect-ready"],
    ["is answered by gibberish", (socket) => void socket.write(frameOf("hello")), "peer-protocol", "not JSON"],
    ["is not answered", () => {}, "stream-failed", "no answer within 5 s"],
  ])(
    "it %s",
    async (_name, answer, code, text) => {
      const { receiver } = await announced(answer);
      receiver.expectFailed(code);
      expect(receiver.all("failed")[0]?.message).toContain(text);
    },
    SLOW_TEST_MS,
  );
});

test("a receiver that says that it will send nothing does not end a TCP sender", async () => {
  let bytes = 0;
  const port = await listening((socket) => {
    socket.on("data", (chunk: Buffer) => void (bytes += chunk.length));
    socket.end();
  }, true);
  const sender = await Recorder.prepared(senderSpec("tcp", port, { durationSeconds: 0.6 }));
  sender.stream.start(null);
  await sender.over;
  sender.expectEnded();
  expect(sender.bytes).toBeGreaterThan(250_000);
  await eventually(
    "the bytes",
    () => bytes,
    (count) => count === sender.bytes,
  );
});

linux.describe("openConnection", () => {
  test("gives a connection to be adopted, which Bun closes", async () => {
    const before = openSockets();
    const { descriptor, peer } = await connection();
    const socket = await adoptConnection(descriptor, NOBODY);
    peer.write("x");
    expect(socket.remotePort).toBe(peer.localPort ?? NaN);
    socket.end();
    for (const stop of toStop.splice(0)) stop();
    await eventually("sockets", openSockets, (count) => count === before);
  });

  test.each<[string, object, object]>([
    ["a closed port", {}, { code: "ECONNREFUSED" }],
    ["an address of another machine", { localAddress: "192.0.2.1" }, { name: "RperfError", code: "bind-failed" }],
    ["an interface that is not there", { device: "nonesuch0" }, { name: "RperfError", code: "bind-failed" }],
    ["a segment size beyond the system's", { maxSegmentBytes: 40_000 }, { name: "RperfError", code: "option-refused" }],
  ])("%s is refused, and leaves no descriptor", async (_name, changes, expected) => {
    const before = openSockets();
    const failure = await openConnection("127.0.0.1", await freePort(), { ...NO_PATH, ...changes }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject(expected);
    expect(openSockets()).toBe(before);
  });

  test("what is opened and not adopted is the caller's to close", async () => {
    const { descriptor, closed } = await connection();
    expect(closeDescriptor(descriptor)).toEqual({ ok: true, value: null });
    await within("the close", closed);
  });
});
