import { describe, expect, test } from "bun:test";
import type { SenderSpec } from "../../../src/streams/spec.ts";
import { testsUnless } from "../../support/conditional.ts";
import {
  FAMILIES,
  FRAMED,
  listenAt,
  receiverSpec,
  Recorder,
  runPair,
  senderSpec,
  startPair,
  sum,
  UDP_LENGTH,
  until,
} from "./recorder.ts";

const testIpv6 = testsUnless(hasIpv6() ? null : "this machine has no ::1").test;

function hasIpv6(): boolean {
  try {
    Bun.listen({ hostname: "::1", port: 0, socket: { data: () => {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}

describe("a sender and a receiver", () => {
  const cases = FAMILIES.flatMap((family) =>
    ["127.0.0.1", "::1"].map((address) => ({ family, address, run: address === "::1" ? testIpv6 : test })),
  );
  for (const { family, address, run } of cases) {
    run(`${family} over ${address}: 500,000 B/s for 1 s are 500,000 bytes on both sides`, async () => {
      const { sender, receiver } = await runPair(family, {}, { endpoint: listenAt({ bindAddress: address }) });
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

  const MEGABIT = 1e6 / 8;
  test.each<[string, "tcp" | "udp", Partial<SenderSpec>]>([
    ["TCP without a limit", "tcp", { bandwidthBytesPerSecond: 0, lengthBytes: 32_768, durationSeconds: 0.5 }],
    ["TCP without a limit, as suits the link", "tcp", { bandwidthBytesPerSecond: 0, writeSize: "auto" }],
    ["TCP in buffers of 16 bytes", "tcp", { lengthBytes: 16, durationSeconds: 0.3 }],
    ["TCP in buffers beyond the rate", "tcp", { lengthBytes: 1_000_000, durationSeconds: 0.3 }],
    ["TCP at once", "tcp", { noDelay: true, durationSeconds: 0.3 }],
    ["TCP in slices", "tcp", { pacing: "slices", durationSeconds: 0.3 }],
    ["TCP at 100 Mb/s", "tcp", { writeSize: "auto", bandwidthBytesPerSecond: 100 * MEGABIT, durationSeconds: 0.5 }],
    ["TCP at a rate of odd bytes", "tcp", { bandwidthBytesPerSecond: 1_543_217, durationSeconds: 0.777 }],
    ["UDP in the smallest packets", "udp", { lengthBytes: 36, bandwidthBytesPerSecond: 50_000, durationSeconds: 0.3 }],
    ["UDP in the largest packets", "udp", { lengthBytes: 65_507, durationSeconds: 0.5 }],
    ["UDP in packets of odd bytes", "udp", { lengthBytes: 1021, durationSeconds: 0.5 }],
    ["UDP in slices", "udp", { pacing: "slices", durationSeconds: 0.5 }],
    [
      "UDP in one slice",
      "udp",
      { pacing: "slices", bandwidthBytesPerSecond: 100_000, sendIntervalSeconds: 1, durationSeconds: 0.5 },
    ],
  ])("%s: both sides count the same, and the plan is kept", async (_name, family, changes) => {
    const { sender, receiver } = await runPair(family, changes);
    sender.expectEnded();
    receiver.expectEnded();
    expect(sender.bytes).toBeGreaterThan(0);
    expect(receiver.bytes).toBe(sender.bytes);
    const plannedBytes = (changes.bandwidthBytesPerSecond ?? 500_000) * (changes.durationSeconds ?? 1);
    if (plannedBytes === 0) return;
    expect(sender.bytes).toBeLessThanOrEqual(plannedBytes);
    const unitBytes = family === "tcp" ? 1 : (changes.lengthBytes ?? UDP_LENGTH) + 8;
    expect(plannedBytes - sender.bytes).toBeLessThan(unitBytes + 1);
  });
});

test("UDP packets rarer than one a second are sent", async () => {
  const receiver = await Recorder.prepared(receiverSpec("udp"));
  receiver.stream.start(null);
  const changes = { bandwidthBytesPerSecond: 800, durationSeconds: 2.8 };
  const sender = await Recorder.prepared(senderSpec("udp", receiver.port, changes));
  sender.stream.start(null);
  await Promise.all([sender.over, receiver.over]);
  receiver.expectEnded();
  expect(sender.bytes).toBe(2 * FRAMED);
  expect(receiver.bytes).toBe(2 * FRAMED);
}, 30_000);

describe("small TCP rates", () => {
  test.each(["even", "slices"] as const)(
    "100 B/s: the preamble goes at once, the rest in time (%s)",
    async (pacing) => {
      const changes = { bandwidthBytesPerSecond: 100, intervalSeconds: 0.1, pacing };
      const { sender, receiver } = await runPair("tcp", changes, { intervalSeconds: 0.1 });
      receiver.expectEnded();
      const first = sender.sends[0]?.bytesSent ?? NaN;
      // In slices of 0.05 s the plan has 10 or 15 bytes by 0.1 s; the preamble has 16.
      if (pacing === "slices") expect(first).toBe(16);
      expect(first).toBeGreaterThanOrEqual(16);
      expect(first).toBeLessThan(100);
      expect(sender.bytes).toBeGreaterThanOrEqual(99);
      expect(sender.bytes).toBeLessThanOrEqual(100);
      expect(receiver.bytes).toBe(sender.bytes);
    },
  );

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
