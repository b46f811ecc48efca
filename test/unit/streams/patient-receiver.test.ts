// UDP receivers that are told by the control connection what was sent: when they end, and what their books say then.
import { afterEach, describe, expect, test } from "bun:test";
import type { UdpBooks } from "../../../src/stats/udp-books.ts";
import { type Datagrams, openDatagrams, udpPacket } from "../../support/raw-client.ts";
import { patientSpec, Recorder, senderSpec, sum, TEST_ID, until } from "./recorder.ts";

/** Set here as well: bun forgets the preloaded default from the second file of a run on. */
const SLOW_TEST_MS = 30_000;
/** A sender's last packets are waited for this long since the last one that came, and the machine may be busy. */
const LATE_MS = 300;
const BUSY_MS = 700;
const ID = [...TEST_ID];

const sockets: Datagrams[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

async function opened(): Promise<Datagrams> {
  const socket = await openDatagrams();
  sockets.push(socket);
  return socket;
}

async function receiving() {
  const receiver = await Recorder.prepared(patientSpec());
  receiver.stream.start(null);
  const socket = await opened();
  const send = (...ids: readonly number[]) => {
    for (const id of ids) socket.send(udpPacket(ID, id), receiver.port);
  };
  const finish = (packets: number, omittedPackets = 0) => receiver.stream.finish({ packets, omittedPackets });
  /** How long it takes from now on. */
  const timeToEnd = async () => {
    const startMs = performance.now();
    await receiver.over;
    receiver.expectEnded();
    return performance.now() - startMs;
  };
  return { receiver, send, mark: () => socket.send(TEST_ID, receiver.port), finish, timeToEnd };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

function booksOf(receiver: Recorder): UdpBooks | null | undefined {
  return receiver.report?.totals.books;
}

/** Both ways of counting: interval by interval, and in the books. */
function expectCounted(receiver: Recorder, sent: number, unique: number): void {
  expect(booksOf(receiver)).toMatchObject({
    packetsSent: sent,
    packetsUnique: unique,
    packetsLost: sent - unique,
    packetsDuplicated: 0,
    packetsStray: 0,
  });
  expect(sum(receiver.udpReceives.map((one) => one.packetsReceived))).toBe(unique);
}

describe("it ends", () => {
  test("at once when all came and the sender is done: end markers are not needed", async () => {
    const { receiver, send, finish, timeToEnd } = await receiving();
    send(...range(0, 20));
    await Bun.sleep(50);
    expect(receiver.all("ended")).toEqual([]);
    finish(20);
    expect(await timeToEnd()).toBeLessThan(LATE_MS / 2);
    expectCounted(receiver, 20, 20);
  });

  test("when the last of them came, however they trickle in, and not before", async () => {
    const { receiver, send, finish, timeToEnd } = await receiving();
    send(...range(0, 15));
    await Bun.sleep(50);
    finish(20);
    for (const id of range(15, 20)) {
      await Bun.sleep(LATE_MS / 3);
      expect(receiver.all("ended")).toEqual([]);
      send(id);
    }
    expect(await timeToEnd()).toBeLessThan(LATE_MS / 2);
    expectCounted(receiver, 20, 20);
  });

  test("0.3 s after the last packet where some are lost at the tail, and counts these", async () => {
    const { receiver, send, finish, timeToEnd } = await receiving();
    send(...range(0, 15));
    await Bun.sleep(50);
    finish(20);
    const tookMs = await timeToEnd();
    expect(tookMs).toBeGreaterThan(LATE_MS * 0.9);
    expect(tookMs).toBeLessThan(LATE_MS + BUSY_MS);
    expectCounted(receiver, 20, 15);
    expect(booksOf(receiver)?.bursts).toEqual({ count: 1, longestPackets: 5, meanPackets: 5 });
  });

  test("0.3 s after the count where nothing came at all: all is lost, and it failed", async () => {
    const { receiver, finish } = await receiving();
    const startMs = performance.now();
    finish(20);
    await receiver.over;
    expect(performance.now() - startMs).toBeLessThan(LATE_MS + BUSY_MS);
    receiver.expectFailed("stream-silent");
    expectCounted(receiver, 20, 0);
    expect(receiver.intervals).toEqual([]);
  });

  test("at once where nothing was sent", async () => {
    const { receiver, finish, timeToEnd } = await receiving();
    finish(0);
    expect(await timeToEnd()).toBeLessThan(LATE_MS / 2);
    expectCounted(receiver, 0, 0);
  });

  test("with what it has when it is stopped: what was sent is not known then", async () => {
    const { receiver, send } = await receiving();
    send(...range(0, 10));
    await until(() => receiver.events.length > 0, "an event");
    await Bun.sleep(50);
    receiver.stream.stop();
    receiver.expectEnded();
    expect(booksOf(receiver)).toMatchObject({ packetsSent: null, packetsUnique: 10, packetsLost: 0 });
  });

  test("once, though the count is told again after each resumption", async () => {
    const { receiver, send, finish, timeToEnd } = await receiving();
    send(...range(0, 20));
    await Bun.sleep(50);
    for (let again = 0; again < 3; again++) finish(20);
    await timeToEnd();
    finish(99);
    await Bun.sleep(50);
    expect(receiver.all("ended")).toHaveLength(1);
    expectCounted(receiver, 20, 20);
  });
});

describe("it goes on", () => {
  test(
    "over a silence of more than 3 s, before the data and in its midst",
    async () => {
      const { receiver, send, finish, timeToEnd } = await receiving();
      await Bun.sleep(3_300);
      send(...range(0, 10));
      await Bun.sleep(3_300);
      send(...range(20, 30));
      await Bun.sleep(50);
      expect(receiver.all("failed")).toEqual([]);
      finish(30);
      await timeToEnd();
      expectCounted(receiver, 30, 20);
      // Each second of the silence is an interval of its own.
      expect(receiver.intervals.length).toBeGreaterThanOrEqual(4);
    },
    SLOW_TEST_MS,
  );

  test("behind an end marker that overtook data", async () => {
    const { receiver, send, mark, finish, timeToEnd } = await receiving();
    send(...range(0, 10));
    for (let copy = 0; copy < 5; copy++) mark();
    await Bun.sleep(50);
    send(...range(10, 20));
    await Bun.sleep(50);
    expect(receiver.all("ended")).toEqual([]);
    finish(20);
    expect(await timeToEnd()).toBeLessThan(LATE_MS / 2);
    expectCounted(receiver, 20, 20);
  });
});

describe("what is no packet of its sender's", () => {
  test("a second sender with the right test id is refused, told of once and counted as stray", async () => {
    const { receiver, send, finish, timeToEnd } = await receiving();
    send(...range(0, 10));
    await Bun.sleep(50);
    const second = await opened();
    // New ids, known ids and an end marker: none of them may change what is known of the first.
    for (const id of [10, 11, 3]) second.send(udpPacket(ID, id), receiver.port);
    second.send(TEST_ID, receiver.port);
    await Bun.sleep(50);
    send(...range(10, 20));
    await Bun.sleep(50);
    finish(20);
    await timeToEnd();
    expect(booksOf(receiver)).toMatchObject({ packetsUnique: 20, packetsLost: 0, packetsDuplicated: 0 });
    expect(booksOf(receiver)?.packetsStray).toBeGreaterThanOrEqual(3);
    expect(receiver.all("warning").map(({ message }) => message)).toEqual([
      expect.stringMatching(/^a second sender of this stream, 127\.0\.0\.1 port \d+, is refused$/),
    ]);
    expect(sum(receiver.udpReceives.map((one) => one.packetsReceived))).toBe(20);
  });

  test("ids far ahead, up to 2^63, are counted as stray, and take no memory", async () => {
    const { receiver, send, finish, timeToEnd } = await receiving();
    send(...range(0, 10));
    await Bun.sleep(50);
    const beforeBytes = process.memoryUsage().rss;
    const forged = [2 ** 63, 2 ** 53, 2 ** 40, 2 ** 32, 2 ** 62, 2 ** 41, 2 ** 63, 2 ** 52 - 1];
    for (const id of forged) {
      send(id);
      await Bun.sleep(2);
    }
    send(...range(10, 20));
    await Bun.sleep(50);
    finish(20);
    await timeToEnd();
    expect(booksOf(receiver)).toMatchObject({
      packetsSent: 20,
      packetsUnique: 20,
      packetsLost: 0,
      packetsStray: forged.length,
    });
    expect(sum(receiver.udpReceives.map((one) => one.packetsLost))).toBe(0);
    // A bit for each id up to the smallest of these would be 512 MB.
    expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(64 * 1024 * 1024);
  });
});

test("a sender's report is what its receiver needs, and the omitted packets are left out of the books", async () => {
  const changes = { omitSeconds: 1, durationSeconds: 1.3, bandwidthBytesPerSecond: 200_000 };
  const receiver = await Recorder.prepared(patientSpec({ omitSeconds: 1 }));
  const sender = await Recorder.prepared(senderSpec("udp", receiver.port, changes));
  receiver.stream.start(null);
  sender.stream.start(null);
  await sender.over;
  sender.expectEnded();
  const sent = sender.report?.sent;
  if (!sent) throw new Error("a sender that does not tell what it sent");
  expect(sent.packets).toBe(sum(sender.sends.map((one) => (one.family === "udp" ? one.packetsSent : NaN))));
  expect(sent.omittedPackets).toBe(
    sum(sender.sends.map((one) => (one.family === "udp" ? (one.omitted?.packetsSent ?? NaN) : NaN))),
  );
  expect(sent.omittedPackets).toBeGreaterThan(0);
  receiver.stream.finish(sent);
  await receiver.over;
  const counted = sent.packets - sent.omittedPackets;
  expect(booksOf(receiver)).toMatchObject({ packetsSent: counted, packetsUnique: counted, packetsLost: 0 });
});

test("what was agreed on after it was made ready counts: patience, and how often it reports", async () => {
  const receiver = await Recorder.prepared(patientSpec({ isPatient: false }));
  receiver.stream.start({ isPatient: true, intervalSeconds: 0.1 });
  const socket = await opened();
  for (const id of range(0, 6)) {
    socket.send(udpPacket(ID, id), receiver.port);
    await Bun.sleep(100);
  }
  socket.send(TEST_ID, receiver.port);
  await Bun.sleep(50);
  expect(receiver.all("ended")).toEqual([]);
  expect(receiver.intervals.length).toBeGreaterThanOrEqual(3);
  receiver.stream.finish({ packets: 6, omittedPackets: 0 });
  await receiver.over;
  expectCounted(receiver, 6, 6);
});
