import { describe, expect, test } from "bun:test";
import { systemClock } from "../../../src/clock.ts";
import { createStream } from "../../../src/streams/create-stream.ts";
import type { ReceiverSpec, SenderSpec, Stream, StreamEvent, StreamSpec } from "../../../src/streams/spec.ts";
import type { Interval, ReceiveInterval, SendInterval } from "../../../src/stats/interval.ts";
import { testsUnless } from "../../support/conditional.ts";
import { freePort } from "../../support/ports.ts";

const FAMILIES = ["tcp", "udp"] as const;
const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => 0xc0 + index);
const FOREIGN = Uint8Array.from({ length: 64 }, () => 0x55);
const UDP_LENGTH = 1024;
const FRAMED = UDP_LENGTH + 8;

const testIpv6 = testsUnless(hasIpv6() ? null : "this machine has no ::1").test;

function hasIpv6(): boolean {
  try {
    Bun.listen({ hostname: "::1", port: 0, socket: { data: () => {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

function receiverSpec(family: "tcp" | "udp", changes: Partial<ReceiverSpec> = {}): ReceiverSpec {
  return {
    role: "receiver",
    family,
    streamIndex: 0,
    testId: TEST_ID,
    lengthBytes: UDP_LENGTH,
    intervalSeconds: 1,
    omitSeconds: 0,
    affinityCpu: null,
    bindAddress: "127.0.0.1",
    ports: [],
    firstChoice: 0,
    receiveBufferBytes: 0,
    ...changes,
  };
}

function senderSpec(family: "tcp" | "udp", remotePort: number, changes: Partial<SenderSpec> = {}): SenderSpec {
  return {
    role: "sender",
    family,
    streamIndex: 0,
    testId: TEST_ID,
    lengthBytes: UDP_LENGTH,
    intervalSeconds: 1,
    omitSeconds: 0,
    affinityCpu: null,
    remoteAddress: "127.0.0.1",
    remotePort,
    bandwidthBytesPerSecond: 500_000,
    durationSeconds: 1,
    sendIntervalSeconds: 0.05,
    sendBufferBytes: 0,
    noDelay: false,
    ...changes,
  };
}

/** A stream and everything that it told. */
class Recorder {
  readonly stream: Stream;
  readonly events: StreamEvent[] = [];
  readonly over: Promise<void>;

  constructor(spec: StreamSpec) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.stream = createStream(spec, systemClock(), (event) => {
      this.events.push(event);
      if (event.type === "ended" || event.type === "failed") resolve();
    });
  }

  static async prepared(spec: StreamSpec): Promise<Recorder> {
    const recorder = new Recorder(spec);
    await recorder.stream.prepare();
    return recorder;
  }

  all<Type extends StreamEvent["type"]>(type: Type): Extract<StreamEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<StreamEvent, { type: Type }> => event.type === type);
  }

  get port(): number {
    return this.all("prepared")[0]?.port ?? 0;
  }

  get intervals(): Interval[] {
    return this.all("interval").map(({ interval }) => interval);
  }

  get sends(): SendInterval[] {
    return this.intervals.filter((interval) => interval.kind === "send");
  }

  get receives(): ReceiveInterval[] {
    return this.intervals.filter((interval) => interval.kind === "receive");
  }

  get bytes(): number {
    return this.intervals.reduce((sum, one) => sum + (one.kind === "send" ? one.bytesSent : one.bytesReceived), 0);
  }

  /** Ended in good order: `ended` came once, and last. */
  expectEnded(): void {
    expect(this.all("failed")).toEqual([]);
    expect(this.events.at(-1)).toEqual({ type: "ended" });
    expect(this.all("ended")).toHaveLength(1);
  }

  expectFailed(code: string): void {
    expect(this.events.at(-1)).toMatchObject({ type: "failed", code });
    expect(this.all("failed")).toHaveLength(1);
    expect(this.all("ended")).toEqual([]);
  }
}

interface Pair {
  readonly sender: Recorder;
  readonly receiver: Recorder;
}

async function startPair(
  family: "tcp" | "udp",
  senderChanges: Partial<SenderSpec> = {},
  receiverChanges: Partial<ReceiverSpec> = {},
): Promise<Pair> {
  const receiver = await Recorder.prepared(receiverSpec(family, receiverChanges));
  const sender = await Recorder.prepared(senderSpec(family, receiver.port, senderChanges));
  receiver.stream.start();
  sender.stream.start();
  return { sender, receiver };
}

async function runPair(...args: Parameters<typeof startPair>): Promise<Pair> {
  const pair = await startPair(...args);
  await Promise.all([pair.sender.over, pair.receiver.over]);
  return pair;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    if (isTrue()) return;
    await Bun.sleep(5);
  }
  throw new Error(`waited in vain for ${what}`);
}

describe("a sender and a receiver", () => {
  const cases = FAMILIES.flatMap((family) =>
    ["127.0.0.1", "::1"].map((address) => ({ family, address, run: address === "::1" ? testIpv6 : test })),
  );
  for (const { family, address, run } of cases) {
    run(`${family} over ${address}: 500,000 B/s for 1 s are 500,000 bytes on both sides`, async () => {
      const { sender, receiver } = await runPair(family, { remoteAddress: address }, { bindAddress: address });
      sender.expectEnded();
      receiver.expectEnded();
      expect(sender.bytes).toBeLessThanOrEqual(500_000);
      // TCP may send any number of bytes, UDP whole packets.
      expect(500_000 - sender.bytes).toBeLessThan(family === "tcp" ? 2 : FRAMED);
      expect(receiver.bytes).toBe(sender.bytes);
      expect(sender.all("prepared")).toEqual([{ type: "prepared", port: null }]);
      expect(receiver.port).toBeGreaterThan(0);
      expect([...sender.all("warning"), ...receiver.all("warning")]).toEqual([]);
      if (family === "udp") {
        const packets = sender.bytes / FRAMED;
        expect(sum(sender.sends.map((one) => (one.family === "udp" ? one.packetsSent : NaN)))).toBe(packets);
        const received = receiver.receives.map((one) => (one.family === "udp" ? one : null));
        expect(sum(received.map((one) => one?.packetsReceived ?? NaN))).toBe(packets);
        expect(sum(received.map((one) => one?.packetsLost ?? NaN))).toBe(0);
        expect(sum(received.map((one) => one?.packetsDuplicated ?? NaN))).toBe(0);
        // The whole of an interval is one run, which has a jitter.
        for (const one of received) expect(one?.unbrokenSequence).toBe(one?.packetsReceived ?? NaN);
        expect(received[0]?.jitterSeconds).toBeGreaterThanOrEqual(0);
      }
    });
  }

  test.each(FAMILIES)("%s: intervals are exact multiples, the last one apart", async (family) => {
    const intervalSeconds = 0.2;
    const { sender, receiver } = await runPair(family, { intervalSeconds }, { intervalSeconds });
    expect(sender.intervals).toHaveLength(5);
    for (const { intervals } of [sender, receiver]) {
      const [first] = intervals;
      for (const [index, interval] of intervals.slice(0, -1).entries()) {
        expect(interval.durationSeconds).toBeCloseTo(intervalSeconds, 9);
        // UNIX seconds in a double are exact to some 0.2 µs.
        const origin = (first?.timestampSeconds ?? NaN) - intervalSeconds;
        expect(interval.timestampSeconds - origin).toBeCloseTo((index + 1) * intervalSeconds, 5);
      }
    }
    expect(sum(sender.intervals.map((one) => one.durationSeconds))).toBeGreaterThanOrEqual(1 - 1e-9);
  });

  test.each<[string, "tcp" | "udp", Partial<SenderSpec>]>([
    ["TCP without a limit", "tcp", { bandwidthBytesPerSecond: 0, lengthBytes: 32_768, durationSeconds: 0.5 }],
    ["TCP in buffers of 16 bytes", "tcp", { lengthBytes: 16, durationSeconds: 0.3 }],
    ["TCP in buffers beyond the rate", "tcp", { lengthBytes: 1_000_000, durationSeconds: 0.3 }],
    ["TCP at once", "tcp", { noDelay: true, durationSeconds: 0.3 }],
    ["UDP in the smallest packets", "udp", { lengthBytes: 36, bandwidthBytesPerSecond: 50_000, durationSeconds: 0.3 }],
    ["UDP in the largest packets", "udp", { lengthBytes: 65_507, durationSeconds: 0.5 }],
    ["UDP in one slice", "udp", { bandwidthBytesPerSecond: 100_000, sendIntervalSeconds: 1, durationSeconds: 0.5 }],
  ])("%s: both sides count the same", async (_name, family, changes) => {
    const { sender, receiver } = await runPair(family, changes);
    sender.expectEnded();
    receiver.expectEnded();
    expect(sender.bytes).toBeGreaterThan(0);
    expect(receiver.bytes).toBe(sender.bytes);
    const limit = (changes.bandwidthBytesPerSecond ?? 500_000) * (changes.durationSeconds ?? 1);
    if (limit > 0) expect(sender.bytes).toBeLessThanOrEqual(limit);
  });
});

test("UDP packets rarer than one a second are sent", async () => {
  const receiver = await Recorder.prepared(receiverSpec("udp"));
  receiver.stream.start();
  const changes = { bandwidthBytesPerSecond: 800, durationSeconds: 2.8 };
  const sender = await Recorder.prepared(senderSpec("udp", receiver.port, changes));
  sender.stream.start();
  await Promise.all([sender.over, receiver.over]);
  receiver.expectEnded();
  expect(sender.bytes).toBe(2 * FRAMED);
  expect(receiver.bytes).toBe(2 * FRAMED);
}, 30_000);

describe("small TCP rates", () => {
  test("100 B/s: the preamble goes at once, the rest in time", async () => {
    const changes = { bandwidthBytesPerSecond: 100, intervalSeconds: 0.1 };
    const { sender, receiver } = await runPair("tcp", changes, { intervalSeconds: 0.1 });
    receiver.expectEnded();
    // By 0.1 s the plan has 10 or 15 bytes; the preamble has 16.
    expect(sender.sends[0]?.bytesSent).toBe(16);
    expect(sender.bytes).toBeGreaterThanOrEqual(99);
    expect(sender.bytes).toBeLessThanOrEqual(100);
    expect(receiver.bytes).toBe(sender.bytes);
  });

  test.each([
    ["1 B/s", { bandwidthBytesPerSecond: 1, durationSeconds: 0.3 }],
    ["no time at all", { durationSeconds: 0 }],
  ])("%s: the preamble and nothing else", async (_name, changes) => {
    const { sender, receiver } = await runPair("tcp", changes);
    sender.expectEnded();
    receiver.expectEnded();
    expect([sender.bytes, receiver.bytes]).toEqual([16, 16]);
  });
});

describe("what others send to a receiver", () => {
  test("foreign datagrams are not counted and warned about once", async () => {
    const receiver = await Recorder.prepared(receiverSpec("udp"));
    const stranger = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    const throwAll = () => {
      for (const datagram of [FOREIGN, FOREIGN.slice(0, 16), TEST_ID.slice(0, 15), new Uint8Array([...TEST_ID, 0])]) {
        stranger.send(datagram, receiver.port, "127.0.0.1");
      }
    };
    receiver.stream.start();
    throwAll();
    await until(() => receiver.all("warning").length > 0, "a warning");
    const sender = await Recorder.prepared(senderSpec("udp", receiver.port, { durationSeconds: 0.4 }));
    sender.stream.start();
    const timer = setInterval(throwAll, 50);
    await Promise.all([sender.over, receiver.over]);
    clearInterval(timer);
    stranger.close();
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    expect(receiver.all("warning")).toHaveLength(1);
    expect(receiver.all("warning")[0]?.message).toContain(`port ${receiver.port} (from 127.0.0.1)`);
  });

  test("foreign connections are closed, not counted, and warned about once", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    receiver.stream.start();
    const closed: number[] = [];
    const open = async (index: number, bytes: Uint8Array) => {
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: receiver.port,
        socket: { data: () => {}, close: () => void closed.push(index) },
      });
      socket.write(bytes);
    };
    await open(0, FOREIGN);
    await open(1, Uint8Array.of(...TEST_ID.slice(0, 15), 0));
    await until(() => closed.length === 2, "two closed connections");
    // One that never tells who it is waits, until the real one comes.
    await open(2, TEST_ID.slice(0, 5));
    expect(closed).toHaveLength(2);
    const sender = await Recorder.prepared(senderSpec("tcp", receiver.port, { durationSeconds: 0.3 }));
    sender.stream.start();
    await Promise.all([sender.over, receiver.over]);
    await until(() => closed.length === 3, "the third to be closed");
    sender.expectEnded();
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    expect(receiver.all("warning")).toHaveLength(1);
    expect(receiver.all("warning")[0]?.message).toContain(`port ${receiver.port} (from 127.0.0.1)`);
  });

  test("connections that tell nothing, however many, do not keep the real one out", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    receiver.stream.start();
    const connect = () => Bun.connect({ hostname: "127.0.0.1", port: receiver.port, socket: { data: () => {} } });
    const silent = await Promise.all(Array.from({ length: 100 }, connect));
    const sender = await Recorder.prepared(senderSpec("tcp", receiver.port, { durationSeconds: 0.3 }));
    sender.stream.start();
    await Promise.all([sender.over, receiver.over]);
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    for (const socket of silent) socket.terminate();
  });

  test("the preamble may come byte by byte, and counts", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    receiver.stream.start();
    const socket = await Bun.connect({ hostname: "127.0.0.1", port: receiver.port, socket: { data: () => {} } });
    socket.setNoDelay(true);
    for (const byte of TEST_ID) {
      socket.write(Uint8Array.of(byte));
      await Bun.sleep(2);
    }
    socket.write(FOREIGN);
    socket.end();
    await receiver.over;
    receiver.expectEnded();
    expect(receiver.bytes).toBe(16 + FOREIGN.length);
  });

  test("data that comes between prepared and start counts", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    const sender = await Recorder.prepared(senderSpec("tcp", receiver.port, { durationSeconds: 0.3 }));
    sender.stream.start();
    await Bun.sleep(100);
    receiver.stream.start();
    await Promise.all([sender.over, receiver.over]);
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
  });
});

/** Set here as well: bun forgets the preloaded default from the second file of a run on. */
const SLOW_TEST_MS = 30_000;

describe("silence", () => {
  test.each(FAMILIES)(
    "%s: no data at all fails with stream-silent, and without an interval",
    async (family) => {
      const receiver = await Recorder.prepared(receiverSpec(family));
      receiver.stream.start();
      await receiver.over;
      receiver.expectFailed("stream-silent");
      expect(receiver.intervals).toEqual([]);
    },
    SLOW_TEST_MS,
  );

  test.each(FAMILIES)(
    "%s: no more data fails with stream-silent, and what came is told",
    async (family) => {
      const receiver = await Recorder.prepared(receiverSpec(family));
      receiver.stream.start();
      const data = Uint8Array.of(...TEST_ID, ...new Uint8Array(84));
      if (family === "tcp") {
        const socket = await Bun.connect({ hostname: "127.0.0.1", port: receiver.port, socket: { data: () => {} } });
        socket.write(data);
      } else {
        const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
        socket.send(data, receiver.port, "127.0.0.1");
        socket.close();
      }
      await receiver.over;
      receiver.expectFailed("stream-silent");
      expect(receiver.bytes).toBe(family === "tcp" ? 100 : 108);
    },
    SLOW_TEST_MS,
  );

  test("end markers alone end a UDP stream without an interval", async () => {
    const receiver = await Recorder.prepared(receiverSpec("udp"));
    receiver.stream.start();
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    for (let copy = 0; copy < 5; copy++) socket.send(TEST_ID, receiver.port, "127.0.0.1");
    await receiver.over;
    socket.close();
    await Bun.sleep(50);
    receiver.expectEnded();
    expect(receiver.intervals).toEqual([]);
  });
});

describe("stop", () => {
  test.each(FAMILIES)("%s receiver before data: failed, stopped", async (family) => {
    const receiver = await Recorder.prepared(receiverSpec(family));
    receiver.stream.start();
    receiver.stream.stop();
    receiver.stream.stop();
    await receiver.over;
    receiver.expectFailed("stopped");
    expect(receiver.intervals).toEqual([]);
  });

  test.each(FAMILIES)("%s receiver before start: failed, stopped, and its port is free again", async (family) => {
    const receiver = await Recorder.prepared(receiverSpec(family));
    receiver.stream.stop();
    receiver.expectFailed("stopped");
    if (family === "udp") return; // the port of UDP lingers on purpose
    const next = await Recorder.prepared(
      receiverSpec(family, { ports: [{ first: receiver.port, last: receiver.port }] }),
    );
    expect(next.port).toBe(receiver.port);
    next.stream.stop();
  });

  test.each(FAMILIES)("%s receiver after data: what came is told, and it ends", async (family) => {
    const { sender, receiver } = await startPair(family, { durationSeconds: 20, intervalSeconds: 0.1 });
    await until(() => sender.sends.some((one) => one.bytesSent > 0), "data");
    await Bun.sleep(50);
    receiver.stream.stop();
    receiver.expectEnded();
    expect(receiver.bytes).toBeGreaterThan(0);
    const told = receiver.events.length;
    receiver.stream.stop();
    sender.stream.stop();
    await sender.over;
    expect(receiver.events).toHaveLength(told);
  });

  test.each(FAMILIES)("%s sender before start: failed, stopped", async (family) => {
    const sender = await Recorder.prepared(senderSpec(family, 9));
    sender.stream.stop();
    sender.stream.stop();
    sender.expectFailed("stopped");
    expect(sender.intervals).toEqual([]);
  });

  test.each(FAMILIES)("%s sender in mid-run: both sides end with the same count", async (family) => {
    const { sender, receiver } = await startPair(family, { durationSeconds: 20, intervalSeconds: 0.1 });
    await until(() => sender.bytes > 0, "data");
    sender.stream.stop();
    sender.stream.stop();
    await Promise.all([sender.over, receiver.over]);
    sender.expectEnded();
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    expect(sender.bytes).toBeLessThan(20 * 500_000);
  });
});

describe("omit marks", () => {
  const omitSeconds = 1;
  const times = { omitSeconds, durationSeconds: 1.6, intervalSeconds: 0.4 };

  test("a TCP sender cuts each interval at the boundary", async () => {
    const { sender, receiver } = await runPair("tcp", times, times);
    const omitted = sender.sends.map((one) => one.omitted);
    expect(omitted).not.toContain(undefined);
    expect(sum(omitted.map((one) => one?.durationSeconds ?? NaN))).toBeCloseTo(omitSeconds, 9);
    for (const [index, interval] of sender.sends.entries()) {
      const share = omitted[index];
      expect(share?.packetsSent).toBe(0);
      expect(share?.bytesSent).toBeLessThanOrEqual(interval.bytesSent);
      if (index < 2) expect(share?.bytesSent).toBe(interval.bytesSent);
      if (index > 2) expect(share).toMatchObject({ durationSeconds: 0, bytesSent: 0, sendsBlocked: 0 });
    }
    const omittedBytes = sum(omitted.map((one) => one?.bytesSent ?? NaN));
    expect(omittedBytes).toBeGreaterThan(0);
    expect(omittedBytes).toBeLessThan(sender.bytes);
    for (const interval of receiver.intervals) expect("omitted" in interval).toBe(false);
  });

  test("UDP: both sides omit the same packets", async () => {
    const { sender, receiver } = await runPair("udp", times, times);
    const sent = sender.sends.map((one) => one.omitted);
    const received = receiver.receives.map((one) => (one.family === "udp" ? one.omitted : undefined));
    expect([...sent, ...received]).not.toContain(undefined);
    expect(sum(sent.map((one) => one?.durationSeconds ?? NaN))).toBeCloseTo(omitSeconds, 9);
    const sentPackets = sum(sent.map((one) => one?.packetsSent ?? NaN));
    const sentBytes = sum(sent.map((one) => one?.bytesSent ?? NaN));
    expect(sentBytes).toBe(sentPackets * FRAMED);
    expect(sentPackets).toBeGreaterThan(0);
    expect(sentBytes).toBeLessThan(sender.bytes);
    expect(receiver.bytes).toBe(sender.bytes);
    expect(sum(received.map((one) => one?.packetsReceived ?? NaN))).toBe(sentPackets);
    expect(sum(received.map((one) => one?.bytesReceived ?? NaN))).toBe(sentBytes);
    for (const [index, interval] of receiver.receives.entries()) {
      expect(received[index]?.durationSeconds).toBeLessThanOrEqual(interval.durationSeconds);
    }
  });

  test("stopped within the omitted time: all of it is omitted", async () => {
    const { sender, receiver } = await startPair("udp", { ...times, omitSeconds: 5 }, { ...times, omitSeconds: 5 });
    await until(() => sender.sends.length > 0, "an interval");
    sender.stream.stop();
    await Promise.all([sender.over, receiver.over]);
    for (const interval of [...sender.sends, ...receiver.receives]) {
      if (!("omitted" in interval)) throw new Error("omitted is missing");
      expect(interval.omitted?.durationSeconds).toBe(interval.durationSeconds);
      const { omitted, ...all } = interval;
      expect(all).toMatchObject(omitted ?? {});
    }
  });

  test.each(FAMILIES)("%s: without --omit no interval speaks of it", async (family) => {
    const { sender, receiver } = await runPair(family, { durationSeconds: 0.2 });
    expect(sender.intervals.length + receiver.intervals.length).toBeGreaterThanOrEqual(2);
    for (const interval of [...sender.intervals, ...receiver.intervals]) expect("omitted" in interval).toBe(false);
  });
});

describe("what a sender puts on the wire", () => {
  test("TCP: the test id first, then the pattern", async () => {
    const chunks: Uint8Array[] = [];
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_socket, chunk) => void chunks.push(Uint8Array.from(chunk)), close: () => resolve() },
    });
    const changes = { lengthBytes: 300, bandwidthBytesPerSecond: 12_000, durationSeconds: 0.05 };
    const sender = await Recorder.prepared(senderSpec("tcp", listener.port, changes));
    sender.stream.start();
    await Promise.all([sender.over, ended]);
    listener.stop(true);
    sender.expectEnded();
    const bytes = Buffer.concat(chunks);
    expect(bytes.length).toBe(sender.bytes);
    expect([...bytes.subarray(0, 16)]).toEqual([...TEST_ID]);
    // A short write is not resumed in mid-buffer: the next one begins with the test id again.
    const firstWrite = bytes.subarray(0, 300);
    expect(firstWrite).toHaveLength(300);
    expect([...firstWrite.subarray(16)]).toEqual(Array.from({ length: 284 }, (_, index) => (index + 16) % 256));
    expect([...bytes.subarray(300, 316)]).toEqual([...TEST_ID]);
  });

  test("UDP: numbered packets, then five end markers", async () => {
    const datagrams: Uint8Array[] = [];
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_socket, datagram) => void datagrams.push(Uint8Array.from(datagram)) },
    });
    const changes = { lengthBytes: 100, bandwidthBytesPerSecond: 10_800, durationSeconds: 0.5 };
    const sender = await Recorder.prepared(senderSpec("udp", socket.port, changes));
    sender.stream.start();
    await sender.over;
    await until(() => datagrams.filter((one) => one.length === 16).length === 5, "five end markers");
    socket.close();
    sender.expectEnded();
    const packets = datagrams.filter((one) => one.length === 100);
    expect(datagrams).toHaveLength(packets.length + 5);
    expect(packets.length * 108).toBe(sender.bytes);
    expect(packets.map((one) => Number(Buffer.from(one).readBigUInt64BE(16)))).toEqual(packets.map((_, id) => id));
    for (const datagram of datagrams) expect([...datagram.subarray(0, 16)]).toEqual([...TEST_ID]);
  });
});

describe("broken streams", () => {
  test("a TCP receiver whose sender resets fails, with what it had told", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    receiver.stream.start();
    const socket = await Bun.connect({ hostname: "127.0.0.1", port: receiver.port, socket: { data: () => {} } });
    socket.write(TEST_ID);
    await Bun.sleep(50);
    // Bun's `terminate` resets.
    socket.terminate();
    await receiver.over;
    receiver.expectFailed("stream-failed");
    expect(receiver.bytes).toBe(TEST_ID.length);
  });

  test.each(FAMILIES)(
    "%s: a receiver that is stopped while it opens tells one end, and nothing after",
    async (family) => {
      const receiver = new Recorder(receiverSpec(family));
      const preparing = receiver.stream.prepare();
      receiver.stream.stop();
      await preparing;
      await Bun.sleep(20);
      expect(receiver.events.map(({ type }) => type)).toEqual(["failed"]);
    },
  );

  test.each(FAMILIES)("%s: however short, a stream sends something", async (family) => {
    const receiver = await Recorder.prepared(receiverSpec(family));
    receiver.stream.start();
    const spec = senderSpec(family, receiver.port, { durationSeconds: 0, bandwidthBytesPerSecond: 0 });
    const sender = await Recorder.prepared(spec);
    sender.stream.start();
    await Promise.all([sender.over, receiver.over]);
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    expect(receiver.bytes).toBeGreaterThan(0);
  });

  test("a TCP sender to a closed port fails, naming it", async () => {
    const port = await freePort();
    const sender = await Recorder.prepared(senderSpec("tcp", port));
    sender.stream.start();
    await sender.over;
    sender.expectFailed("stream-failed");
    expect(sender.intervals).toEqual([]);
  });

  test("a UDP sender to a closed port goes on to its end", async () => {
    const port = await freePort();
    const sender = await Recorder.prepared(senderSpec("udp", port, { durationSeconds: 0.3 }));
    sender.stream.start();
    await sender.over;
    sender.expectEnded();
    expect(sender.bytes).toBeLessThanOrEqual(150_000);
  });

  test("a TCP sender whose receiver closes fails, with its last interval told", async () => {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => socket.terminate() },
    });
    const sender = await Recorder.prepared(senderSpec("tcp", listener.port, { durationSeconds: 10 }));
    sender.stream.start();
    await sender.over;
    listener.stop(true);
    sender.expectFailed("stream-failed");
    expect(sender.intervals).toHaveLength(1);
    expect(sender.bytes).toBeGreaterThanOrEqual(16);
  });

  test("a UDP packet too large for the route fails the sender", async () => {
    const receiver = await Recorder.prepared(receiverSpec("udp"));
    const sender = await Recorder.prepared(senderSpec("udp", receiver.port, { lengthBytes: 65_508 }));
    sender.stream.start();
    await sender.over;
    sender.expectFailed("stream-failed");
    expect(sender.bytes).toBe(0);
    receiver.stream.stop();
  });
});

describe("port pools", () => {
  test.each(FAMILIES)("%s: streams are dealt round, a busy port is skipped, a pool can be empty", async (family) => {
    const [first, second] = [await freePort(), await freePort()];
    const ports = [
      { first, last: first },
      { first: second, last: second },
    ];
    const one = await Recorder.prepared(receiverSpec(family, { ports, firstChoice: 1 }));
    expect(one.port).toBe(second);
    const two = await Recorder.prepared(receiverSpec(family, { ports, firstChoice: 3 }));
    expect(two.port).toBe(first);
    const three = await Recorder.prepared(receiverSpec(family, { ports, firstChoice: 4 }));
    three.expectFailed("pool-exhausted");
    expect(three.all("failed")[0]?.message).toContain(`${first},${second}`);
    expect(three.all("prepared")).toEqual([]);
    for (const { stream } of [one, two]) stream.stop();
  });

  test.each(FAMILIES)("%s: an address of another machine cannot be bound", async (family) => {
    const receiver = await Recorder.prepared(receiverSpec(family, { bindAddress: "192.0.2.1" }));
    receiver.expectFailed("bind-failed");
    expect(receiver.all("failed")[0]?.message).toContain("192.0.2.1");
  });
});

describe("socket facts", () => {
  const linux = testsUnless(process.platform === "linux" ? null : "only Linux tells twice the buffer");
  for (const family of FAMILIES) {
    linux.test(`${family}: what was asked for is read back, doubled`, async () => {
      const { sender, receiver } = await runPair(
        family,
        { sendBufferBytes: 50_000, durationSeconds: 0.1 },
        { receiveBufferBytes: 60_000 },
      );
      expect(sender.all("socket").map(({ facts }) => facts)).toEqual([
        { sendBufferBytes: 100_000, receiveBufferBytes: null, affinityCpu: null },
      ]);
      // TCP tells twice: of the listener, then of the connection.
      expect(
        receiver
          .all("socket")
          .slice(-1)
          .map(({ facts }) => facts),
      ).toEqual([{ sendBufferBytes: null, receiveBufferBytes: 120_000, affinityCpu: null }]);
      receiver.expectEnded();
    });
  }
});
