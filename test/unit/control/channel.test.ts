import { afterEach, describe, expect, test } from "bun:test";
import { channelSocketHandlers, ControlChannel } from "../../../src/control/channel.ts";
import { RperfError } from "../../../src/errors.ts";
import { encodeFrame, FrameDecoder } from "../../../src/protocol/framing.ts";

/** One end of a connection, and everything that its channel told. */
class End {
  readonly messages: unknown[] = [];
  readonly errors: RperfError[] = [];
  closes = 0;
  readonly closed: Promise<void>;
  readonly channel: ControlChannel;

  constructor(socket: Bun.Socket<ControlChannel>, onMessage: (message: unknown, end: End) => void = () => {}) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.channel = new ControlChannel(socket, {
      onBody: (body) => {
        const message: unknown = JSON.parse(new TextDecoder().decode(body));
        this.messages.push(message);
        onMessage(message, this);
      },
      onError: (error) => {
        expect(this.closes).toBe(0);
        this.errors.push(error);
      },
      onClosed: () => {
        this.closes++;
        resolve();
      },
    });
  }
}

const listeners: Bun.TCPSocketListener<ControlChannel>[] = [];
afterEach(() => {
  for (const listener of listeners.splice(0)) listener.stop(true);
});

/** Listens with channels; `server` resolves with the first one. */
function listen(onMessage?: (message: unknown, end: End) => void) {
  const { promise, resolve } = Promise.withResolvers<End>();
  const listener = Bun.listen<ControlChannel>({
    hostname: "127.0.0.1",
    port: 0,
    socket: { ...channelSocketHandlers, open: (socket) => resolve(new End(socket, onMessage)) },
  });
  listeners.push(listener);
  return { port: listener.port, server: promise };
}

async function pair(onMessage?: (message: unknown, end: End) => void): Promise<{ client: End; server: End }> {
  const { port, server } = listen(onMessage);
  const { promise, resolve } = Promise.withResolvers<End>();
  await Bun.connect<ControlChannel>({
    hostname: "127.0.0.1",
    port,
    socket: { ...channelSocketHandlers, open: (socket) => resolve(new End(socket)) },
  });
  return { client: await promise, server: await server };
}

/** A peer without a channel: it writes raw bytes and keeps what it gets. */
async function rawPair(onMessage?: (message: unknown, end: End) => void) {
  const { port, server } = listen(onMessage);
  const received: unknown[] = [];
  const decoder = new FrameDecoder();
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  let failure: Error | null = null;
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, chunk) => {
        for (const body of decoder.push(chunk)) received.push(JSON.parse(new TextDecoder().decode(body)));
      },
      error: (_socket, error) => {
        failure = error;
      },
      end: () => resolve(),
      close: () => resolve(),
    },
  });
  socket.setNoDelay(true);
  return { socket, server: await server, received, ended, failure: () => failure };
}

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (let attempt = 0; attempt < 2000; attempt++) {
    if (isTrue()) return;
    await Bun.sleep(5);
  }
  throw new Error(`waited in vain for ${what}`);
}

describe("messages", () => {
  test("go both ways, in order, whatever their size", async () => {
    const { client, server } = await pair();
    const messages = [
      { kind: "begin" },
      { a: "é".repeat(30_000) },
      {},
      ...Array.from({ length: 300 }, (_, n) => ({ n })),
    ];
    for (const message of messages) {
      client.channel.send(message);
      server.channel.send(message);
    }
    await until(() => client.messages.length + server.messages.length === 2 * messages.length, "all messages");
    expect(server.messages).toEqual(messages);
    expect(client.messages).toEqual(messages);
    expect([...client.errors, ...server.errors]).toEqual([]);
  });

  test("more than the socket holds at once arrives whole, once the peer reads", async () => {
    const { client, server } = await pair();
    const filler = "x".repeat(60_000);
    // Some 3.6 MB: below what may wait.
    for (let n = 0; n < 60; n++) server.channel.send({ n, filler });
    await until(() => client.messages.length === 60, "all messages");
    expect(client.messages.map((message) => (message as { n: number }).n)).toEqual(
      Array.from({ length: 60 }, (_, n) => n),
    );
    expect(server.channel.isOpen).toBe(true);
  });

  test("in pieces of any size, down to a byte", async () => {
    const { socket, server } = await rawPair();
    const frame = encodeFrame({ kind: "begin" });
    for (const byte of frame) {
      expect(server.messages).toEqual([]);
      socket.write(Uint8Array.of(byte));
      await Bun.sleep(2);
    }
    // Two frames and a half, then the rest.
    const three = Buffer.concat([frame, frame, frame]);
    socket.write(three.subarray(0, frame.length * 2 + 5));
    await until(() => server.messages.length === 3, "three messages");
    socket.write(three.subarray(frame.length * 2 + 5));
    await until(() => server.messages.length === 4, "four messages");
    expect(server.errors).toEqual([]);
  });

  test("addresses are those of the connection", async () => {
    const { client, server } = await pair();
    expect(client.channel.localAddress).toBe("127.0.0.1");
    expect(client.channel.remoteAddress).toBe("127.0.0.1");
    expect(server.channel.remotePort).toBeGreaterThan(0);
    expect(server.channel.remotePort).not.toBe(client.channel.remotePort);
  });
});

describe("closing", () => {
  test("either side's close ends both, once, without an error", async () => {
    for (const closer of ["client", "server"] as const) {
      const ends = await pair();
      ends[closer].channel.close();
      ends[closer].channel.close();
      expect(ends[closer].channel.isOpen).toBe(false);
      await Promise.all([ends.client.closed, ends.server.closed]);
      expect([ends.client.closes, ends.server.closes]).toEqual([1, 1]);
      expect([...ends.client.errors, ...ends.server.errors]).toEqual([]);
    }
  });

  test("nothing is sent or heard once closed", async () => {
    const { socket, server, received, ended } = await rawPair();
    server.channel.close();
    server.channel.send({ too: "late" });
    socket.write(encodeFrame({ too: "late" }));
    await Promise.all([ended, server.closed]);
    expect(received).toEqual([]);
    expect(server.messages).toEqual([]);
  });

  test("the last message arrives although unread bytes of the peer were under way", async () => {
    const { socket, server, received, ended, failure } = await rawPair((_message, end) => {
      end.channel.send({ kind: "error", message: "goodbye" });
      end.channel.close();
    });
    const flood = Buffer.concat(
      Array.from({ length: 2000 }, () => encodeFrame({ kind: "begin", filler: "x".repeat(200) })),
    );
    socket.write(flood);
    await ended;
    expect(received).toEqual([{ kind: "error", message: "goodbye" }]);
    expect(failure()).toBeNull();
    // What came behind the first is dropped.
    expect(server.messages).toHaveLength(1);
    socket.end();
    await server.closed;
    expect(server.errors).toEqual([]);
  });

  test("a message that waits for room still arrives before the end", async () => {
    const { client, server } = await pair();
    const filler = "x".repeat(60_000);
    for (let n = 0; n < 60; n++) server.channel.send({ n, filler });
    server.channel.send({ kind: "error", message: "goodbye" });
    server.channel.close();
    await client.closed;
    expect(client.messages).toHaveLength(61);
    expect(client.messages.at(-1)).toEqual({ kind: "error", message: "goodbye" });
    await server.closed;
  });

  test("a peer that never closes is cut off after a while", async () => {
    const { socket, server } = await rawPair();
    socket.pause();
    server.channel.close();
    await server.closed;
    expect(server.closes).toBe(1);
    expect(server.errors).toEqual([]);
    socket.terminate();
  });
});

describe("what a handler throws", () => {
  test.each<[string, () => Error, string, string]>([
    [
      "an error of ours is passed on",
      () => new RperfError("peer-protocol", "not like that"),
      "peer-protocol",
      "not like",
    ],
    ["any other is a defect of ours", () => new TypeError("oops"), "internal", "oops"],
  ])("%s, and closes the channel", async (_name, make, code, text) => {
    const { socket, server, ended } = await rawPair(() => {
      throw make();
    });
    socket.write(Buffer.concat([encodeFrame({ n: 1 }), encodeFrame({ n: 2 })]));
    await ended;
    socket.end();
    await server.closed;
    expect(server.errors).toMatchObject([{ code, message: expect.stringContaining(text) }]);
    expect(server.messages).toEqual([{ n: 1 }]);
    expect(server.closes).toBe(1);
  });
});

/** Set here as well: bun forgets the preloaded default from the second file of a run on. */
const SLOW_TEST_MS = 30_000;

describe("peers that misbehave", () => {
  test(
    "a half frame is waited for, for 5 s",
    async () => {
      const { socket, server, ended } = await rawPair();
      socket.write(encodeFrame({ kind: "begin" }));
      socket.write(encodeFrame({ kind: "end" }).subarray(0, 6));
      await ended;
      socket.end();
      await server.closed;
      expect(server.messages).toEqual([{ kind: "begin" }]);
      expect(server.errors).toMatchObject([{ code: "peer-protocol", message: expect.stringContaining("5 s") }]);
      expect(server.closes).toBe(1);
    },
    SLOW_TEST_MS,
  );

  test(
    "a frame that is dribbled is waited for no longer",
    async () => {
      const { socket, server, ended } = await rawPair();
      const frame = encodeFrame({ kind: "begin" });
      for (const byte of frame.subarray(0, 7)) {
        socket.write(Uint8Array.of(byte));
        await Bun.sleep(1000);
      }
      await ended;
      socket.end();
      await server.closed;
      expect(server.errors).toMatchObject([{ code: "peer-protocol", message: expect.stringContaining("5 s") }]);
    },
    SLOW_TEST_MS,
  );

  test("a reset is an error of the channel", async () => {
    const { socket, server } = await rawPair();
    socket.terminate();
    await server.closed;
    expect(server.errors).toMatchObject([{ code: "peer-lost", message: expect.stringContaining("ECONNRESET") }]);
  });

  test("a peer that does not read is cut off at 4 MiB", async () => {
    const { socket, server } = await rawPair();
    socket.pause();
    const filler = "x".repeat(60_000);
    let sent = 0;
    // The kernel's two buffers hold some MB of their own.
    while (server.channel.isOpen && sent < 2000) {
      server.channel.send({ filler });
      sent++;
      if (sent % 16 === 0) await Bun.sleep(1);
    }
    expect(server.errors).toMatchObject([{ code: "peer-lost" }]);
    expect(sent * 60_000).toBeGreaterThan(4 * 1024 * 1024);
    await server.closed;
    expect(server.closes).toBe(1);
    socket.terminate();
  });

  test("a peer that closes in mid-frame is no error of the channel", async () => {
    const { socket, server } = await rawPair();
    socket.write(encodeFrame({ kind: "begin" }).subarray(0, 3));
    await Bun.sleep(20);
    socket.end();
    await server.closed;
    expect(server.messages).toEqual([]);
    expect(server.closes).toBe(1);
  });
});

test("a defect in what an event sets off ends this connection, with what it was", async () => {
  const { client, server } = await pair();
  const defect = new TypeError("a defect");
  server.channel.guarded(() => {
    throw defect;
  });
  await Promise.all([client.closed, server.closed]);
  expect(server.errors.map(({ code, cause }) => ({ code, cause }))).toEqual([{ code: "internal", cause: defect }]);
  expect(client.errors).toEqual([]);
});
