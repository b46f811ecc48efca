// How UDP streams come to their peers where the client goes first: hellos, and sockets that share the control port.
import { afterEach, describe, expect, test } from "bun:test";
import { createSocket, type Socket } from "node:dgram";
import { decodeHello, encodeHello } from "../../../src/protocol/udp-hello.ts";
import { connectTo as connectSocketTo, openDatagrams } from "../../../src/streams/udp-socket.ts";
import { closeDescriptor, localEndpoint, remoteEndpoint } from "../../../ffi/open-socket.ts";
import { testsUnless } from "../../support/conditional.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/ports.ts";
import { openSockets } from "../../support/open-sockets.ts";
import { listenAt, NO_PATH, patientSpec, Recorder, senderSpec, sum, TEST_ID, until } from "./recorder.ts";
import type { Endpoint } from "../../../src/streams/spec.ts";

const linux = testsUnless(process.platform === "linux" ? null : "only Linux has all of 127.0.0.0/8, and /proc");
const SLOW_TEST_MS = 30_000;
const HELLO = encodeHello({ kind: "hello", testId: TEST_ID, streamIndex: 0 });

/** A socket that keeps what it gets. */
class Peer {
  readonly got: Buffer[] = [];
  readonly socket: Socket;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("message", (datagram) => void this.got.push(datagram));
    socket.on("error", () => {});
  }

  static async at(address = "127.0.0.1", port = 0, reusePort = false): Promise<Peer> {
    const socket = createSocket({ type: "udp4", reusePort });
    const peer = new Peer(socket);
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.bind(port, address, resolve);
    await promise;
    peers.push(peer);
    return peer;
  }

  say(datagram: Uint8Array, port: number): void {
    this.socket.send(datagram, port, "127.0.0.1");
  }

  get answers(): number {
    return this.got.filter((datagram) => decodeHello(datagram)?.kind === "answer").length;
  }
}

const peers: Peer[] = [];
afterEach(() => {
  for (const { socket } of peers.splice(0)) socket.close();
});

function dial(port: number): Endpoint {
  return { type: "dial", address: "127.0.0.1", port, isControlPort: false };
}

/** A sender to whoever says hello from this address. */
async function listeningSender(): Promise<Recorder> {
  const sender = await Recorder.prepared(senderSpec("udp", 0, { endpoint: listenAt({ peerAddress: "127.0.0.1" }) }));
  expect(sender.port).toBeGreaterThan(0);
  return sender;
}

async function runWhole(sender: Recorder, receiver: Recorder): Promise<void> {
  receiver.stream.start(null);
  sender.stream.start(null);
  await sender.over;
  sender.expectEnded();
  const sent = sender.report?.sent;
  if (!sent) throw new Error("a sender that does not tell what it sent");
  receiver.stream.finish(sent);
  await receiver.over;
  receiver.expectEnded();
  expect(sent.packets).toBeGreaterThan(0);
  expect(receiver.report?.totals.books).toMatchObject({ packetsSent: sent.packets, packetsLost: 0, packetsStray: 0 });
  expect(receiver.bytes).toBe(sender.bytes);
  expect([...sender.all("warning"), ...receiver.all("warning")]).toEqual([]);
}

describe("a receiver that dials", () => {
  linux.test("gets all that the sender sends, and no socket is left", async () => {
    const before = openSockets();
    const sender = await listeningSender();
    const receiver = await Recorder.prepared(patientSpec({ endpoint: dial(sender.port) }));
    expect(receiver.all("prepared")).toEqual([{ type: "prepared", port: null }]);
    await runWhole(sender, receiver);
    await eventually("sockets", openSockets, (count) => count === before);
  });

  test(
    "fails where nobody answers, and says where",
    async () => {
      const silent = await Peer.at();
      const { port } = silent.socket.address();
      const receiver = await Recorder.prepared(patientSpec({ endpoint: dial(port) }));
      receiver.expectFailed("stream-failed");
      expect(receiver.all("failed")[0]?.message).toContain(`UDP port ${port} of 127.0.0.1`);
      // It was said again and again: one of many is enough.
      expect(silent.got.length).toBeGreaterThan(10);
      for (const datagram of silent.got) expect(decodeHello(datagram)?.kind).toBe("hello");
    },
    SLOW_TEST_MS,
  );

  test("is not taken in by what is no answer to it", async () => {
    const peer = await Peer.at();
    const wrong = [
      HELLO,
      encodeHello({ kind: "answer", testId: TEST_ID, streamIndex: 1 }),
      encodeHello({ kind: "answer", testId: TEST_ID.map((byte) => byte ^ 1), streamIndex: 0 }),
      TEST_ID,
    ];
    const right = encodeHello({ kind: "answer", testId: TEST_ID, streamIndex: 0 });
    let isAnswering = false;
    peer.socket.on("message", (_, { port }) => {
      for (const datagram of wrong) peer.say(datagram, port);
      if (isAnswering) peer.say(right, port);
    });
    const receiver = new Recorder(patientSpec({ endpoint: dial(peer.socket.address().port) }));
    const preparing = receiver.stream.prepare();
    await Bun.sleep(300);
    expect(receiver.events.filter(({ type }) => type !== "socket")).toEqual([]);
    isAnswering = true;
    await preparing;
    expect(receiver.all("prepared")).toHaveLength(1);
    receiver.stream.stop();
  });
});

describe("a sender that is dialled", () => {
  test("answers each hello of its peer: the answer before may be lost", async () => {
    const sender = await listeningSender();
    const peer = await Peer.at();
    for (let said = 1; said <= 3; said++) {
      peer.say(HELLO, sender.port);
      await until(() => peer.answers === said, `answer ${said}`);
    }
    sender.stream.stop();
  });

  linux.test(
    "is deaf to others: another address, another stream, another test; and to a second who comes later",
    async () => {
      const sender = await listeningSender();
      const [stranger, peer, second] = [await Peer.at("127.0.0.2"), await Peer.at(), await Peer.at()];
      stranger.say(HELLO, sender.port);
      peer.say(encodeHello({ kind: "hello", testId: TEST_ID, streamIndex: 1 }), sender.port);
      peer.say(encodeHello({ kind: "hello", testId: TEST_ID.map((byte) => byte ^ 1), streamIndex: 0 }), sender.port);
      peer.say(encodeHello({ kind: "answer", testId: TEST_ID, streamIndex: 0 }), sender.port);
      await Bun.sleep(100);
      expect([stranger.got.length, peer.got.length]).toEqual([0, 0]);
      peer.say(HELLO, sender.port);
      await until(() => peer.answers === 1, "an answer");
      second.say(HELLO, sender.port);
      await Bun.sleep(50);
      sender.stream.start(null);
      await sender.over;
      sender.expectEnded();
      expect([stranger.got.length, second.got.length]).toEqual([0, 0]);
      const sent = sum(sender.sends.map((one) => (one.family === "udp" ? one.packetsSent : NaN)));
      const packets = () => peer.got.filter((datagram) => datagram.length === 1024).length;
      await eventually("all packets", packets, (count) => count === sent);
    },
  );

  test(
    "fails where nobody comes",
    async () => {
      const sender = await listeningSender();
      sender.stream.start(null);
      await sender.over;
      sender.expectFailed("stream-failed");
      expect(sender.all("failed")[0]?.message).toContain("no hello of the receiver");
      expect(sender.intervals).toEqual([]);
    },
    SLOW_TEST_MS,
  );
});

linux.describe("streams at the control port's number", () => {
  async function withDoor(take: (address: string, port: number) => void): Promise<number> {
    const door = await Peer.at("127.0.0.1", await freePort(), true);
    door.socket.on("message", (datagram, from) => {
      if (decodeHello(datagram)?.kind === "hello") take(from.address, from.port);
    });
    return door.socket.address().port;
  }

  for (const dialling of ["sender", "receiver"] as const) {
    test(`the ${dialling} dials, the other is handed where it is; no socket is left`, async () => {
      let handed: Recorder | null = null;
      const port = await withDoor((address, from) => handed?.stream.take({ family: "udp", address, port: from }));
      const before = openSockets();
      const place = { type: "handed", localAddress: "127.0.0.1", localPort: port } as const;
      const out = { type: "dial", address: "127.0.0.1", port, isControlPort: true } as const;
      const sender = new Recorder(senderSpec("udp", 0, { endpoint: dialling === "sender" ? out : place }));
      const receiver = new Recorder(patientSpec({ endpoint: dialling === "sender" ? place : out }));
      handed = dialling === "sender" ? receiver : sender;
      await handed.stream.prepare();
      expect(handed.all("prepared")).toEqual([{ type: "prepared", port: null }]);
      await (dialling === "sender" ? sender : receiver).stream.prepare();
      await runWhole(sender, receiver);
      await eventually("sockets", openSockets, (count) => count === before);
    });
  }

  test("a hello that comes again, in mid-test, is answered by the stream's own socket, and opens no second one", async () => {
    const localPort = await freePort();
    const receiver = await Recorder.prepared(
      patientSpec({ endpoint: { type: "handed", localAddress: "127.0.0.1", localPort } }),
    );
    const peer = await Peer.at();
    const { port } = peer.socket.address();
    const before = openSockets();
    receiver.stream.start(null);
    for (let again = 0; again < 3; again++) receiver.stream.take({ family: "udp", address: "127.0.0.1", port });
    await until(() => peer.answers === 1, "an answer");
    expect(openSockets()).toBe(before + 1);
    peer.say(HELLO, localPort);
    await until(() => peer.answers === 2, "a second answer");
    // Of another stream: none of its business, and no reason to warn of.
    peer.say(encodeHello({ kind: "hello", testId: TEST_ID, streamIndex: 1 }), localPort);
    await Bun.sleep(50);
    expect(peer.answers).toBe(2);
    expect(receiver.all("warning")).toEqual([]);
    receiver.stream.stop();
    await eventually("sockets", openSockets, (count) => count === before);
  });
});

linux.describe("openDatagrams", () => {
  test("binds where it is told, connects, and Bun closes it", async () => {
    const before = openSockets();
    const [localPort, peer] = [await freePort(), await Peer.at()];
    const { port } = peer.socket.address();
    const path = { ...NO_PATH, localAddress: "127.0.0.9", localPort };
    const own = await openDatagrams({ peer: { address: "127.0.0.1", port }, isPortShared: false, path });
    expect(own.port).toBe(localPort);
    expect(localEndpoint(own.fd)).toMatchObject({ ok: true, value: { address: "127.0.0.9", port: localPort } });
    expect(remoteEndpoint(own.fd)).toMatchObject({ ok: true, value: { address: "127.0.0.1", port } });
    own.socket.close();
    await eventually("sockets", openSockets, (count) => count === before + 1);
  });

  test.each<[string, object, string]>([
    ["an address of another machine", { localAddress: "192.0.2.1" }, "bind-failed"],
    ["a DSCP that does not fit", { dscp: 300 }, "option-refused"],
    ["an interface that is not there", { device: "nonesuch0" }, "bind-failed"],
  ])("%s", async (_name, changes, code) => {
    const before = openSockets();
    const request = { peer: null, isPortShared: false, path: { ...NO_PATH, localAddress: "127.0.0.1", ...changes } };
    const failure = await openDatagrams(request).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: "RperfError", code });
    expect(openSockets()).toBe(before);
  });

  test("a port of another socket is had only where it is shared", async () => {
    const shared = await Peer.at("127.0.0.1", await freePort(), true);
    const path = { ...NO_PATH, localAddress: "127.0.0.1", localPort: shared.socket.address().port };
    const alone = await openDatagrams({ peer: null, isPortShared: false, path }).catch((error: unknown) => error);
    expect(alone).toMatchObject({ code: "bind-failed", cause: { code: "EADDRINUSE" } });
    const own = await openDatagrams({ peer: null, isPortShared: true, path });
    expect(own.port).toBe(path.localPort);
    own.socket.close();
  });

  test("connecting a socket that is not open is refused", () => {
    expect(() => connectSocketTo(closedDescriptor(), { address: "127.0.0.1", port: 9 })).toThrow(
      expect.objectContaining({ code: "stream-failed" }),
    );
  });
});

/** Far above any that is open. */
function closedDescriptor(): number {
  expect(closeDescriptor(900_000)).toMatchObject({ ok: false });
  return 900_000;
}

linux.test("a sender whose receiver is gone writes to none of the sockets that get its number", async () => {
  // Slow: between two packets there is time for somebody else to get a number that is free.
  const sender = await Recorder.prepared(
    senderSpec("udp", 0, { endpoint: listenAt({ peerAddress: "127.0.0.1" }), bandwidthBytesPerSecond: 20_000 }),
  );
  const receiver = await Peer.at();
  receiver.say(HELLO, sender.port);
  await eventually(
    "an answer",
    () => receiver.answers,
    (answers) => answers > 0,
  );
  receiver.socket.close();
  peers.splice(peers.indexOf(receiver), 1);
  const got: number[] = [];
  const data = (_socket: unknown, chunk: Uint8Array): void => void got.push(chunk.length);
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data } });
  sender.stream.start(null);
  const ends: Bun.Socket[] = [];
  for (let count = 0; count < 20; count++) {
    await Bun.sleep(5);
    ends.push(await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data } }));
  }
  await sender.over;
  for (const end of ends) end.terminate();
  listener.stop(true);
  expect(got).toEqual([]);
});
