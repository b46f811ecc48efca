import { expect, test } from "bun:test";
import type { ServerMessage } from "../../../src/protocol/messages.ts";
import { TestLog } from "../../../src/server/test-log.ts";

function result(bytesReceived: number): ServerMessage {
  const interval = {
    kind: "receive",
    family: "tcp",
    timestampSeconds: 0,
    durationSeconds: 1,
    bytesReceived,
  } as const;
  return { kind: "result", streamIndex: 0, interval };
}

function logOf(count: number): TestLog {
  const log = new TestLog();
  for (let number = 0; number < count; number++) log.append(result(number));
  return log;
}

/** The numbers of what is missing, which each message tells of itself here. */
function missing(log: TestLog, have: number) {
  const { first, messages } = log.missing(have);
  return [first, messages.map((message) => (message as { bytes_received: number }).bytes_received)];
}

test("what is appended goes out as it is kept", () => {
  const log = new TestLog();
  const sent = log.append(result(7));
  expect(sent).toMatchObject({ kind: "receive", bytes_received: 7 });
  expect(log.missing(0)).toEqual({ first: 0, messages: [sent] });
});

test.each([
  [0, [0, [0, 1, 2, 3]]],
  [1, [1, [1, 2, 3]]],
  [3, [3, [3]]],
  [4, [4, []]],
  // More than there is: of a client that makes things up.
  [9, [9, []]],
])("of four, a client that has %d misses the rest", (have, expected) => {
  expect(missing(logOf(4), have)).toEqual(expected);
});

test("what is acknowledged is forgotten, numbers go on, and an older word changes nothing", () => {
  const log = logOf(4);
  const before = log.bytes;
  log.acknowledge(3);
  expect(log.bytes).toBeGreaterThan(0);
  expect(log.bytes).toBeLessThan(before);
  log.acknowledge(1);
  expect(missing(log, 3)).toEqual([3, [3]]);
  // What is gone cannot be had again: the first number says so.
  expect(missing(log, 1)).toEqual([3, [3]]);
  log.append(result(4));
  expect(missing(log, 4)).toEqual([4, [4]]);
  log.acknowledge(5);
  expect(log.bytes).toBe(0);
  expect(() => log.acknowledge(6)).toThrow("have must be at most 5, not 6");
  log.append(result(5));
  expect(missing(log, 5)).toEqual([5, [5]]);
});

test("the memory is bounded: the oldest go first, and the numbers tell how many", () => {
  const log = logOf(30_000);
  expect(log.bytes).toBeLessThanOrEqual(2 * 1024 * 1024);
  const { first, messages } = log.missing(0);
  expect(first).toBeGreaterThan(0);
  expect(first + messages.length).toBe(30_000);
  expect(messages[0]).toMatchObject({ bytes_received: first });
  expect(log.bytes).toBe(messages.reduce<number>((sum, message) => sum + JSON.stringify(message).length, 0));
});
