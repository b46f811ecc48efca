import { describe, expect, test } from "bun:test";
import type { TestConfig } from "../../../src/config/types.ts";
import { RperfError } from "../../../src/errors.ts";
import { createResultCollector, type SideEnd, type TestEnd } from "../../../src/results/collector.ts";
import { NO_TOTALS, type SideTotals, type SocketFacts } from "../../../src/results/types.ts";
import { booksOf, configOf, factsOf, tcpReceive, tcpSend, udpReceive, udpSend } from "../../golden/scenarios.ts";

const COMPLETED: TestEnd = { outcome: "completed", reason: null };
const FACTS = factsOf({ sendBufferBytes: 425_984, affinityCpu: 0, pacing: "kernel" });
const STOPPED = { code: "stopped", message: "stopped" } as const;
const SILENT = { code: "stream-silent", message: "no data for 3 s" } as const;

function collectorOf(changes: Partial<TestConfig> = {}) {
  return createResultCollector(configOf(changes));
}

function sideEnd(
  outcome: SideEnd["outcome"],
  reason: SideEnd["reason"] = null,
  socket: SocketFacts | null = null,
  totals: Partial<SideTotals> = {},
): SideEnd {
  return { outcome, reason, socket, totals: { ...NO_TOTALS, ...totals } };
}

test("a whole test succeeds", () => {
  const collector = collectorOf({ parallel: 2 });
  for (const streamIndex of [1, 0]) {
    collector.addInterval(streamIndex, tcpReceive(60));
    collector.addInterval(streamIndex, tcpSend(60 + streamIndex));
    collector.sideEnded(streamIndex, "server", sideEnd("completed"));
    collector.sideEnded(streamIndex, "client", sideEnd("completed", null, FACTS));
  }
  const result = collector.build(COMPLETED);
  expect(result).toMatchObject({ success: true, outcome: "completed", reason: null });
  expect(result.streams.map((stream) => [stream.streamIndex, stream.summary.bytesSent])).toEqual([
    [0, 60],
    [1, 61],
  ]);
  expect(result.summary.bytesSent).toBe(121);
  expect(result.streams[0]?.sender).toEqual({ outcome: "completed", reason: null, socket: FACTS });
});

test.each([
  [false, "sender", "receiver"],
  [true, "receiver", "sender"],
] as const)("reverse %p: the client is the %s", (reverse, clientRole, serverRole) => {
  const collector = collectorOf({ reverse });
  collector.sideEnded(0, "client", sideEnd("interrupted", STOPPED));
  collector.sideEnded(0, "server", sideEnd("failed", SILENT));
  const [stream] = collector.build(COMPLETED).streams;
  expect(stream?.[clientRole].outcome).toBe("interrupted");
  expect(stream?.[serverRole].outcome).toBe("failed");
});

test.each([
  ["completed", "completed", "completed", null],
  ["interrupted", "completed", "interrupted", "sender: stopped"],
  ["interrupted", "interrupted", "interrupted", "sender: stopped"],
  ["interrupted", null, "partial", "receiver: its end was never heard of"],
  [null, "failed", "failed", "receiver: stopped"],
  ["failed", "failed", "failed", "sender: stopped"],
] as const)("a stream whose sender %p and receiver %p is %p", (sender, receiver, outcome, message) => {
  const collector = collectorOf();
  if (sender !== null) collector.sideEnded(0, "client", sideEnd(sender, STOPPED));
  if (receiver !== null) collector.sideEnded(0, "server", sideEnd(receiver, STOPPED));
  const [stream] = collector.build(COMPLETED).streams;
  expect([stream?.outcome, stream?.reason?.message ?? null]).toEqual([outcome, message]);
});

test("a stream that failed for no reason told has one", () => {
  const collector = collectorOf();
  collector.sideEnded(0, "client", sideEnd("failed"));
  expect(collector.build(COMPLETED).reason).toEqual({
    code: "stream-failed",
    message: "stream 0, sender: failed",
  });
});

test("a side that was never heard of is partial, and the test with it", () => {
  const collector = collectorOf();
  collector.sideEnded(0, "client", sideEnd("completed"));
  collector.socketFacts(0, "server", FACTS);
  const result = collector.build(COMPLETED);
  expect(result).toMatchObject({ success: false, outcome: "partial" });
  expect(result.reason?.message).toContain("stream 0, receiver");
  expect(result.streams[0]?.receiver).toMatchObject({ outcome: "partial", socket: FACTS });
  expect(result.streams[0]?.receiver.reason?.code).toBe("peer-lost");
});

describe("the end of the test", () => {
  test("a failed side outweighs a partial one before it", () => {
    const collector = collectorOf({ parallel: 2 });
    collector.sideEnded(1, "client", sideEnd("failed", SILENT));
    const result = collector.build(COMPLETED);
    expect(result.outcome).toBe("failed");
    expect(result.reason).toEqual({ code: "stream-silent", message: "stream 1, sender: no data for 3 s" });
  });

  test("what the session saw stands, even when all sides completed", () => {
    const collector = collectorOf();
    collector.sideEnded(0, "client", sideEnd("completed"));
    collector.sideEnded(0, "server", sideEnd("completed"));
    const end: TestEnd = { outcome: "interrupted", reason: { code: "stopped", message: "interrupted by the user" } };
    expect(collector.build(end)).toMatchObject({ success: false, ...end });
  });

  test("sides not heard of are partial for the reason that ended the test", () => {
    const end: TestEnd = { outcome: "interrupted", reason: { code: "stopped", message: "interrupted by the user" } };
    expect(collectorOf().build(end).streams[0]?.sender.reason?.code).toBe("stopped");
  });
});

test("the first end of a side stands, and facts told before it are kept", () => {
  const collector = collectorOf();
  collector.socketFacts(0, "client", FACTS);
  collector.sideEnded(0, "client", sideEnd("failed", SILENT));
  collector.sideEnded(0, "client", sideEnd("completed"));
  expect(collector.build(COMPLETED).streams[0]?.sender).toEqual({ outcome: "failed", reason: SILENT, socket: FACTS });
});

describe("what the sides tell of themselves", () => {
  const bursts = { count: 1, longestPackets: 3, meanPackets: 3 };
  const receiver = {
    books: booksOf(10, { packetsUnique: 7, packetsLost: 3, bursts, packetsStray: 1 }),
    bufferDrops: 1,
  };

  function reported(senderEnd: SideEnd | null, receiverEnd: SideEnd | null) {
    const collector = collectorOf({ family: "udp" });
    collector.addInterval(0, udpSend(10));
    collector.addInterval(0, udpReceive(7));
    if (senderEnd !== null) collector.sideEnded(0, "client", senderEnd);
    if (receiverEnd !== null) collector.sideEnded(0, "server", receiverEnd);
    return collector.build(COMPLETED).summary.udp;
  }

  test.each(["completed", "failed"] as const)("is in the summary, %s or not", (outcome) => {
    const sender = sideEnd("completed", null, null, { sendsRefused: 4 });
    expect(reported(sender, sideEnd(outcome, null, null, receiver))).toMatchObject({
      packetsLost: 3,
      packetsLostReceiveBuffer: 1,
      packetsLostNetwork: 2,
      lossBursts: 1,
      packetsStray: 1,
      sendsRefused: 4,
    });
  });

  test("loses what follows from loss while the end of a side was never heard of", () => {
    const unknown = { packetsLost: null, packetsLostReceiveBuffer: null, packetsLostNetwork: null, lossBursts: null };
    expect(reported(null, sideEnd("completed", null, null, receiver))).toMatchObject({ ...unknown, packetsStray: 1 });
    expect(reported(sideEnd("completed"), null)).toMatchObject({ ...unknown, packetsStray: null });
  });
});

test("a result does not change with what comes later", () => {
  const collector = collectorOf();
  const before = collector.build(COMPLETED);
  collector.addInterval(0, tcpSend(1));
  expect(before.streams[0]?.send).toHaveLength(0);
  expect(collector.build(COMPLETED).streams[0]?.send).toHaveLength(1);
});

test.each([-1, 1, 255])("stream %d of one stream is a defect of the caller", (streamIndex) => {
  expect(() => collectorOf().addInterval(streamIndex, tcpSend(1))).toThrow(RperfError);
});
