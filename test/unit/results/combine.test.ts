import { describe, expect, test } from "bun:test";
import { createResultCollector, type SideEnd, type TestEnd } from "../../../src/results/collector.ts";
import { makeTestResult } from "../../../src/results/combine.ts";
import { NO_TOTALS } from "../../../src/results/types.ts";
import { configOf, STARTED_SECONDS, tcpReceive, tcpSend } from "../../golden/scenarios.ts";

const COMPLETED: TestEnd = { outcome: "completed", reason: null };
const SERVER = { address: "192.0.2.1", port: 5199, ipVersion: 4 } as const;
const LOST: TestEnd = { outcome: "partial", reason: { code: "outage", message: "no connection" } };

function metaOf(bidir: boolean) {
  return {
    config: configOf({ bidir }),
    server: SERVER,
    startedSeconds: STARTED_SECONDS,
    features: ["resume"],
    outages: [{ startSeconds: 1, durationSeconds: 2 }],
  };
}

function directionOf(reverse: boolean, bytes: number, server: TestEnd = COMPLETED, end: TestEnd = COMPLETED) {
  const collector = createResultCollector(configOf({ reverse, bidir: true }));
  const sideEnd = (side: TestEnd): SideEnd => ({ ...side, socket: null, totals: NO_TOTALS });
  collector.addInterval(0, tcpSend(bytes));
  collector.addInterval(0, tcpReceive(bytes));
  collector.sideEnded(0, "client", sideEnd(COMPLETED));
  collector.sideEnded(0, "server", sideEnd(server));
  return collector.build(end);
}

test("one direction is the test", () => {
  const direction = directionOf(false, 100);
  expect(makeTestResult(metaOf(false), [direction], COMPLETED)).toEqual({
    ...direction,
    ...metaOf(false),
    schemaVersion: 2,
    directions: null,
  });
});

test("two directions are told apart and summed", () => {
  const forward = directionOf(false, 100);
  const reverse = directionOf(true, 70);
  const result = makeTestResult(metaOf(true), [forward, reverse], COMPLETED);
  expect(result.directions).toEqual({ forward, reverse });
  expect(result.streams).toEqual([...forward.streams, ...reverse.streams]);
  expect(result.summary).toMatchObject({ bytesSent: 170, bytesReceived: 170, durationSendSeconds: 2 });
  expect(result).toMatchObject({ success: true, outcome: "completed", reason: null, config: { reverse: false } });
});

describe("the end of a test of two directions", () => {
  const interrupted: TestEnd = { outcome: "interrupted", reason: { code: "stopped", message: "stopped" } };
  const failed: TestEnd = { outcome: "failed", reason: { code: "stream-silent", message: "no data for 3 s" } };

  test("is the worse one, and says of which", () => {
    const result = makeTestResult(
      metaOf(true),
      [directionOf(false, 1, interrupted), directionOf(true, 1, failed)],
      COMPLETED,
    );
    expect(result).toMatchObject({ success: false, outcome: "failed" });
    expect(result.reason).toEqual({ code: "stream-silent", message: "reverse: stream 0, sender: no data for 3 s" });
  });

  test("is what the session saw, in its own words", () => {
    const directions = [directionOf(false, 1, COMPLETED, LOST), directionOf(true, 1, COMPLETED, LOST)];
    expect(makeTestResult(metaOf(true), directions, LOST)).toMatchObject({ success: false, ...LOST });
  });

  test("is a direction's that ended worse than that", () => {
    const directions = [directionOf(false, 1, failed), directionOf(true, 1)];
    expect(makeTestResult(metaOf(true), directions, LOST).outcome).toBe("failed");
  });
});
