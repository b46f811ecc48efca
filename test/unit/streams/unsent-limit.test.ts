import { describe, expect, test } from "bun:test";
import { UnsentLimit } from "../../../src/streams/unsent-limit.ts";

const LEAST_BYTES = new UnsentLimit().bytes;
const MEGABIT = 1e6 / 8;

/** Sends at this rate, a write each millisecond; gives each new limit. */
function send(limit: UnsentLimit, bytesPerSecond: number, seconds: number, fromSeconds = 1_700_000_000): number[] {
  const limits: number[] = [];
  for (let ms = 0; ms < seconds * 1000; ms++) {
    if (limit.sent(fromSeconds + ms / 1000, bytesPerSecond / 1000)) limits.push(limit.bytes);
  }
  return limits;
}

test("it begins small: nothing is known of the link", () => {
  expect(LEAST_BYTES).toBeGreaterThanOrEqual(32 * 1024);
  expect(LEAST_BYTES).toBeLessThanOrEqual(256 * 1024);
});

describe("at a steady rate", () => {
  test.each([0.01, 1, 10])("%d Mb/s leaves it small", (megabits) => {
    const limit = new UnsentLimit();
    expect(send(limit, megabits * MEGABIT, 3)).toEqual([]);
    expect(limit.bytes).toBe(LEAST_BYTES);
  });

  test.each([1000, 10_000, 40_000])("%d Mb/s raises it to some hundredths of a second of it, once", (megabits) => {
    const limit = new UnsentLimit();
    expect(send(limit, megabits * MEGABIT, 3)).toHaveLength(1);
    expect(limit.bytes / (megabits * MEGABIT)).toBeGreaterThan(0.01);
    expect(limit.bytes / (megabits * MEGABIT)).toBeLessThan(0.1);
  });
});

test("it follows a link that becomes slow, and never falls below where it began", () => {
  const limit = new UnsentLimit();
  send(limit, 10_000 * MEGABIT, 1, 0);
  const fast = limit.bytes;
  send(limit, 1000 * MEGABIT, 1, 1);
  expect(limit.bytes).toBeLessThan(fast / 5);
  send(limit, MEGABIT, 1, 2);
  expect(limit.bytes).toBe(LEAST_BYTES);
});

test("small changes are not worth a call", () => {
  const limit = new UnsentLimit();
  send(limit, 1000 * MEGABIT, 1, 0);
  expect(send(limit, 1200 * MEGABIT, 1, 1)).toEqual([]);
  expect(send(limit, 850 * MEGABIT, 1, 2)).toEqual([]);
  expect(send(limit, 4000 * MEGABIT, 1, 3).length).toBeGreaterThan(0);
});

test("a pause is part of the rate", () => {
  const limit = new UnsentLimit();
  limit.sent(0, 1_000_000);
  // A megabyte in ten seconds is no fast link.
  expect(limit.sent(10, 1_000_000)).toBe(false);
  expect(limit.bytes).toBe(LEAST_BYTES);
});
