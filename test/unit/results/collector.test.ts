import { describe, expect, test } from "bun:test";
import type { TestConfig } from "../../../src/config/types.ts";
import { RperfError } from "../../../src/errors.ts";
import { createResultCollector, type TestEnd } from "../../../src/results/collector.ts";
import { configOf, factsOf, STARTED_SECONDS, tcpReceive, tcpSend } from "../../golden/scenarios.ts";

const COMPLETED: TestEnd = { outcome: "completed", reason: null };
const FACTS = factsOf({ sendBufferBytes: 425_984, affinityCpu: 0, pacing: "kernel" });
const SILENT = { code: "stream-silent", message: "no data for 3 s" } as const;

function collectorOf(changes: Partial<TestConfig> = {}) {
  return createResultCollector({
    config: configOf(changes),
    server: { address: "192.0.2.1", port: 5199, ipVersion: 4 },
    startedSeconds: STARTED_SECONDS,
  });
}

test("a whole test succeeds", () => {
  const collector = collectorOf({ parallel: 2 });
  for (const streamIndex of [1, 0]) {
    collector.addInterval(streamIndex, tcpReceive(60));
    collector.addInterval(streamIndex, tcpSend(60 + streamIndex));
    collector.sideEnded(streamIndex, "server", "completed", null, null);
    collector.sideEnded(streamIndex, "client", "completed", null, FACTS);
  }
  const result = collector.build(COMPLETED);
  expect(result).toMatchObject({ schemaVersion: 1, success: true, outcome: "completed", reason: null });
  expect(result.startedSeconds).toBe(STARTED_SECONDS);
  expect(result.server).toEqual({ address: "192.0.2.1", port: 5199, ipVersion: 4 });
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
  collector.sideEnded(0, "client", "interrupted", { code: "stopped", message: "stopped" }, null);
  collector.sideEnded(0, "server", "failed", SILENT, null);
  const [stream] = collector.build(COMPLETED).streams;
  expect(stream?.[clientRole].outcome).toBe("interrupted");
  expect(stream?.[serverRole].outcome).toBe("failed");
});

test("a side that was never heard of is abandoned, and the test with it", () => {
  const collector = collectorOf();
  collector.sideEnded(0, "client", "completed", null, null);
  collector.socketFacts(0, "server", FACTS);
  const result = collector.build(COMPLETED);
  expect(result).toMatchObject({ success: false, outcome: "abandoned" });
  expect(result.reason?.message).toContain("stream 0, receiver");
  expect(result.streams[0]?.receiver).toMatchObject({ outcome: "abandoned", socket: FACTS });
  expect(result.streams[0]?.receiver.reason?.code).toBe("peer-lost");
});

describe("the end of the test", () => {
  test("a failed side outweighs an abandoned one before it", () => {
    const collector = collectorOf({ parallel: 2 });
    collector.sideEnded(1, "client", "failed", SILENT, null);
    const result = collector.build(COMPLETED);
    expect(result.outcome).toBe("failed");
    expect(result.reason).toEqual({ code: "stream-silent", message: "stream 1, sender: no data for 3 s" });
  });

  test("what the session saw stands, even when all sides completed", () => {
    const collector = collectorOf();
    collector.sideEnded(0, "client", "completed", null, null);
    collector.sideEnded(0, "server", "completed", null, null);
    const end: TestEnd = { outcome: "interrupted", reason: { code: "stopped", message: "interrupted by the user" } };
    expect(collector.build(end)).toMatchObject({ success: false, ...end });
  });

  test("sides not heard of are abandoned for the reason that ended the test", () => {
    const end: TestEnd = { outcome: "interrupted", reason: { code: "stopped", message: "interrupted by the user" } };
    expect(collectorOf().build(end).streams[0]?.sender.reason?.code).toBe("stopped");
  });
});

test("the first end of a side stands, and facts told before it are kept", () => {
  const collector = collectorOf();
  collector.socketFacts(0, "client", FACTS);
  collector.sideEnded(0, "client", "failed", SILENT, null);
  collector.sideEnded(0, "client", "completed", null, null);
  expect(collector.build(COMPLETED).streams[0]?.sender).toEqual({ outcome: "failed", reason: SILENT, socket: FACTS });
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
