import { expect, test } from "bun:test";
import { TestLog } from "../../../src/server/test-log.ts";

const MIB = 1024 * 1024;

function filled(count: number): TestLog {
  const log = new TestLog();
  for (let number = 0; number < count; number += 1) log.append({ kind: "error", message: `message ${number}` });
  return log;
}

function numbersOf(messages: readonly object[]): number[] {
  return messages.map((message) => Number(/\d+/.exec(JSON.stringify(message))?.[0]));
}

test.each([
  ["nothing heard", 0, 0, [0, 1, 2, 3, 4]],
  ["a part heard", 3, 3, [3, 4]],
  ["all heard", 5, 5, []],
  ["more heard than there was", 99, 99, []],
])("%s", (_name, have, first, numbers) => {
  const missing = filled(5).missing(have);
  expect({ first: missing.first, numbers: numbersOf(missing.messages) }).toEqual({ first, numbers });
});

test("what is acknowledged is forgotten, and numbers stay", () => {
  const log = filled(5);
  log.acknowledge(3);
  expect({ ...log.missing(0), messages: numbersOf(log.missing(0).messages) }).toEqual({ first: 3, messages: [3, 4] });
  // Late, and out of order.
  log.acknowledge(1);
  expect(log.missing(0).first).toBe(3);
  log.acknowledge(5);
  expect(log.bytes).toBe(0);
  log.append({ kind: "error", message: "message 5" });
  expect({ ...log.missing(5), messages: numbersOf(log.missing(5).messages) }).toEqual({ first: 5, messages: [5] });
});

test("memory is bounded: the oldest go, and it shows", () => {
  const log = filled(100_000);
  expect(log.bytes).toBeLessThanOrEqual(2 * MIB);
  const { first, messages } = log.missing(0);
  expect(first).toBeGreaterThan(0);
  expect(first + messages.length).toBe(100_000);
  expect(numbersOf(messages.slice(0, 1))).toEqual([first]);
});
