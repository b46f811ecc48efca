import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TrafficWatch } from "../../../src/server/traffic-watch.ts";

const RATE = 1_000_000;
const UNIT = 1024;

/** Bytes of one stream second by second; gives the second in which it was found to be over the limit, and the average. */
function firstOver(bytesPerInterval: readonly number[], intervalSeconds = 1) {
  const watch = new TrafficWatch(RATE, UNIT);
  for (const [index, bytes] of bytesPerInterval.entries()) {
    const average = watch.add(0, bytes, intervalSeconds);
    if (average !== null) return { atSeconds: (index + 1) * intervalSeconds, average };
  }
  return null;
}

const seconds = (count: number, bytes: number): number[] => Array.from({ length: count }, () => bytes);

describe("a sender over the limit", () => {
  test("is found when 5 s are over", () => {
    expect(firstOver(seconds(20, 1.3 * RATE))).toEqual({ atSeconds: 5, average: 1.3 * RATE });
  });

  test.each([
    [2, 4],
    [4, 2],
    [10, 1],
    [1000, 1],
  ])("%p times as fast has had more than 5 s may have behind %p s", (times, atSeconds) => {
    expect(firstOver(seconds(20, times * RATE))).toEqual({ atSeconds, average: (times * RATE * atSeconds) / 5 });
  });

  test.each([0, UNIT, RATE, 300 * RATE])("units of %p bytes are no credit beyond a slice", (unitBytes) => {
    const watch = new TrafficWatch(RATE, unitBytes);
    expect(watch.add(0, 5.25 * RATE + 2 * RATE + 1, 1)).toBeGreaterThan(RATE);
  });

  test("a little faster is found a little later", () => {
    expect(firstOver(seconds(60, 1.08 * RATE))?.atSeconds).toBeLessThan(40);
    expect(firstOver(seconds(60, 1.05 * RATE))).toBeNull();
  });

  test.each([0.1, 0.5, 2, 5])("whatever the interval, %p s", (intervalSeconds) => {
    const over = firstOver(seconds(200, 2 * RATE * intervalSeconds), intervalSeconds);
    expect(over?.atSeconds).toBeGreaterThanOrEqual(3);
    expect(over?.atSeconds).toBeLessThanOrEqual(5 + 1e-9);
  });

  test("one that becomes so is found within 5 s of the credit it has, and what it saved up is bounded", () => {
    const over = firstOver([...seconds(600, 0), ...seconds(20, 3 * RATE)]);
    expect(over?.atSeconds).toBeLessThanOrEqual(605);
    // At once no more than 6 s of the rate.
    expect(firstOver([...seconds(600, 0), 7 * RATE])?.atSeconds).toBe(601);
  });

  test("many streams are one sender", () => {
    const watch = new TrafficWatch(RATE, 4 * UNIT);
    const overs = seconds(6, 0).flatMap((_, second) =>
      [0, 1, 2, 3].flatMap((index) => (watch.add(index, RATE / 2, 1) === null ? [] : [second + 1])),
    );
    expect(overs[0]).toBe(4);
  });

  test("what came before the last 5 s counts no more for the average", () => {
    const over = firstOver([...seconds(10, 0.5 * RATE), ...seconds(20, 4 * RATE)]);
    expect(over?.average).toBeLessThanOrEqual(4 * RATE);
    expect(over?.atSeconds).toBeLessThan(15);
  });
});

describe("a sender at the limit is never found over it", () => {
  test("when it sends a slice of a second at its start", () => {
    for (const intervalSeconds of [0.1, 0.5, 1, 5]) {
      let sent = 0;
      const intervals = seconds(60 / intervalSeconds, 0).map((_, index) => {
        const due = (Math.floor((index + 1) * intervalSeconds + 1e-9) + 1) * RATE;
        const bytes = due - sent;
        sent = due;
        return bytes;
      });
      expect(firstOver(intervals, intervalSeconds)).toBeNull();
    }
  });

  test("whatever its link holds up for up to 5 s, and its clock is off by", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ heldUpSeconds: fc.nat(5), flowsSeconds: fc.integer({ min: 1, max: 12 }) }), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.double({ min: 0.5, max: 1.04, noNaN: true }),
        (phases, clock) => {
          const intervals = phases.flatMap(({ heldUpSeconds, flowsSeconds }) => [
            ...seconds(heldUpSeconds, 0),
            (heldUpSeconds + 1) * RATE * clock,
            ...seconds(flowsSeconds - 1, RATE * clock),
          ]);
          expect(firstOver(intervals)).toBeNull();
        },
      ),
    );
  });

  test("whatever the order in which its streams tell", () => {
    fc.assert(
      fc.property(fc.array(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), { minLength: 20 }), (orders) => {
        const watch = new TrafficWatch(RATE, 4 * UNIT);
        for (const order of orders) {
          for (const index of order) expect(watch.add(index, RATE / 4, 1)).toBeNull();
        }
      }),
    );
  });
});
