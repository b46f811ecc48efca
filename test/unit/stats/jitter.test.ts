import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { JitterMeter } from "../../../src/stats/jitter.ts";

/** Sends every 10 ms and receives with each of `delaysMs`. */
function run(meter: JitterMeter, delaysMs: readonly number[]): void {
  for (const [index, delayMs] of delaysMs.entries()) meter.inOrder(index / 100, index / 100 + delayMs / 1000);
}

function jitterMsOf(delaysMs: readonly number[]): number {
  const meter = new JitterMeter();
  run(meter, delaysMs);
  return (meter.take().jitterSeconds ?? NaN) * 1000;
}

describe("RFC 3550 A.8 by hand: the first difference starts, then J += (|D| - J) / 16", () => {
  test.each<[string, number[], number]>([
    ["two packets", [5, 8], 3],
    ["two packets, the second faster", [8, 5], 3],
    ["steady", [5, 5, 5, 5], 0],
    ["one step, then steady", [0, 16, 16], 15],
    ["one step, then steady twice", [0, 16, 16, 16], 14.062_5],
    ["to and fro", [0, 16, 0, 16], 16],
    ["differences 4, 20, 1", [0, 4, 24, 23], 4.75],
    // 16, then 17, then 15.9375, then 15.9375 + 32.0625 / 16.
    ["differences 16, 32, 0, 48", [0, 16, 48, 48, 0], 17.941_406_25],
    ["a constant offset of clocks does not matter", [1e6, 1e6 + 4, 1e6 + 24, 1e6 + 23], 4.75],
  ])("%s", (_name, delaysMs, expectedMs) => {
    expect(jitterMsOf(delaysMs)).toBeCloseTo(expectedMs, 6);
  });

  test("a sender's stamps matter as much as arrivals", () => {
    const meter = new JitterMeter();
    meter.inOrder(0, 1);
    meter.inOrder(0.25, 1.125);
    expect(meter.take()).toEqual({ packets: 2, jitterSeconds: 0.125 });
  });
});

describe("runs", () => {
  test("nothing, and one packet, have no jitter", () => {
    const meter = new JitterMeter();
    expect(meter.take()).toEqual({ packets: 0, jitterSeconds: null });
    run(meter, [5]);
    expect(meter.take()).toEqual({ packets: 1, jitterSeconds: null });
  });

  test.each<[string, number[][], number, number | null]>([
    [
      "the longest, when it is first",
      [
        [0, 8, 0],
        [0, 1],
      ],
      3,
      8,
    ],
    [
      "the longest, when it is last",
      [
        [0, 1],
        [0, 8, 0],
      ],
      3,
      8,
    ],
    [
      "the longest, when it is in the middle",
      [
        [0, 1],
        [0, 8, 0],
        [0, 2],
      ],
      3,
      8,
    ],
    [
      "the first of two as long",
      [
        [0, 4],
        [0, 2],
      ],
      2,
      4,
    ],
    ["breaks alone", [[], [], []], 0, null],
    ["single packets", [[1], [2], [3]], 1, null],
  ])("%s", (_name, runs, packets, jitterMs) => {
    const meter = new JitterMeter();
    for (const delaysMs of runs) {
      run(meter, delaysMs);
      meter.break();
    }
    const taken = meter.take();
    expect(taken.packets).toBe(packets);
    if (jitterMs === null) expect(taken.jitterSeconds).toBeNull();
    else expect((taken.jitterSeconds ?? NaN) * 1000).toBeCloseTo(jitterMs, 6);
  });

  test("taking ends the run in hand and forgets the longest", () => {
    const meter = new JitterMeter();
    run(meter, [0, 8, 0, 8]);
    expect(meter.take().packets).toBe(4);
    run(meter, [0]);
    expect(meter.take()).toEqual({ packets: 1, jitterSeconds: null });
    expect(meter.take()).toEqual({ packets: 0, jitterSeconds: null });
  });
});

describe("packets that left and arrived together", () => {
  test("by hand: each takes a sixteenth off the jitter", () => {
    const meter = new JitterMeter();
    run(meter, [0, 16]);
    meter.together(0.01, 0.01 + 0.016, 2);
    const { packets, jitterSeconds } = meter.take();
    expect(packets).toBe(4);
    expect((jitterSeconds ?? NaN) * 1000).toBeCloseTo(14.062_5, 9);
  });

  test("the second of a run has a jitter of nothing", () => {
    const meter = new JitterMeter();
    run(meter, [5]);
    meter.together(0, 0.005, 1);
    expect(meter.take()).toEqual({ packets: 2, jitterSeconds: 0 });
  });

  test("at the start of a run the first of them has none to differ from", () => {
    const meter = new JitterMeter();
    meter.together(3, 7, 1);
    expect(meter.take()).toEqual({ packets: 1, jitterSeconds: null });
    meter.together(3, 7, 2);
    expect(meter.take()).toEqual({ packets: 2, jitterSeconds: 0 });
  });

  test("they count as if each had come by itself", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("packet" as const), delayMs: fc.integer({ min: 0, max: 1000 }) }),
      fc.record({
        kind: fc.constant("together" as const),
        delayMs: fc.integer({ min: 0, max: 1000 }),
        count: fc.integer({ min: 1, max: 63 }),
      }),
      fc.record({ kind: fc.constant("break" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const grouped = new JitterMeter();
        const single = new JitterMeter();
        for (const [index, one] of steps.entries()) {
          if (one.kind === "break") {
            grouped.break();
            single.break();
            continue;
          }
          const times = [index / 100, index / 100 + one.delayMs / 1000] as const;
          if (one.kind === "packet") {
            grouped.inOrder(...times);
            single.inOrder(...times);
          } else {
            grouped.together(...times, one.count);
            for (let i = 0; i < one.count; i++) single.inOrder(...times);
          }
        }
        const [taken, expected] = [grouped.take(), single.take()];
        expect(taken.packets).toBe(expected.packets);
        if (expected.jitterSeconds === null) expect(taken.jitterSeconds).toBeNull();
        else expect(taken.jitterSeconds).toBeCloseTo(expected.jitterSeconds, 12);
      }),
    );
  });
});

test("jitter lies between the least and the greatest difference", () => {
  const delays = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 2, maxLength: 50 });
  fc.assert(
    fc.property(delays, (delaysMs) => {
      const differences = delaysMs.slice(1).map((delay, index) => Math.abs(delay - (delaysMs[index] ?? 0)));
      const jitterMs = jitterMsOf(delaysMs);
      expect(jitterMs).toBeGreaterThanOrEqual(Math.min(...differences) - 1e-6);
      expect(jitterMs).toBeLessThanOrEqual(Math.max(...differences) + 1e-6);
    }),
  );
});
