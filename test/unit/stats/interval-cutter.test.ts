import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Cut, IntervalCutter, overlapBeforeSeconds } from "../../../src/stats/interval-cutter.ts";

function allDue(cutter: IntervalCutter, nowSeconds: number): Cut[] {
  const cuts: Cut[] = [];
  for (let cut = cutter.cutDue(nowSeconds); cut !== null; cut = cutter.cutDue(nowSeconds)) cuts.push(cut);
  return cuts;
}

describe("cutDue", () => {
  test.each<[string, number[], [number, number][]]>([
    ["before the first boundary", [10, 10.5, 10.999], []],
    ["at the boundary", [11], [[10, 11]]],
    ["late", [11.3], [[10, 11]]],
    [
      "late again and again: the boundaries do not move",
      [11.3, 12.4, 13.001],
      [
        [10, 11],
        [11, 12],
        [12, 13],
      ],
    ],
    [
      "very late: one cut for each interval",
      [13.5],
      [
        [10, 11],
        [11, 12],
        [12, 13],
      ],
    ],
    ["a time asked for twice", [11, 11], [[10, 11]]],
  ])("%s", (_name, times, expected) => {
    const cutter = new IntervalCutter(10, 1);
    const cuts = times.flatMap((time) => allDue(cutter, time));
    expect(cuts.map((cut) => [cut.startSeconds, cut.endSeconds])).toEqual(expected);
    expect(cutter.boundarySeconds).toBe(11 + expected.length);
  });

  test("a million intervals later the boundaries are still exact multiples", () => {
    const cutter = new IntervalCutter(1000, 0.1);
    for (let index = 0; index < 1_000_000; index++) cutter.cutDue(Infinity);
    expect(cutter.boundarySeconds).toBe(1000 + 1_000_001 * 0.1);
  });
});

describe("cutFinal", () => {
  test.each([
    ["within the first interval", [], 10.25, [10, 10.25]],
    ["in mid-interval", [12.1], 12.5, [12, 12.5]],
    ["at a boundary", [12], 13, [12, 13]],
    ["beyond a boundary not cut: the last interval takes it", [11], 12.05, [11, 12.05]],
  ] as const)("%s", (_name, times, endSeconds, [start, end]) => {
    const cutter = new IntervalCutter(10, 1);
    for (const time of times) allDue(cutter, time);
    expect(cutter.cutFinal(endSeconds)).toEqual({ startSeconds: start, endSeconds: end });
  });
});

test("whenever the cutting is done, the cuts cover the time without a gap or an overlap", () => {
  const steps = fc.array(fc.double({ min: 0, max: 3, noNaN: true }), { maxLength: 30 });
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.double({ min: 0.1, max: 2, noNaN: true }),
      steps,
      (...args) => {
        const [origin, length, gaps] = args;
        const cutter = new IntervalCutter(origin, length);
        let now = origin;
        const cuts: Cut[] = [];
        for (const gap of gaps) {
          now += gap;
          cuts.push(...allDue(cutter, now));
          expect(cutter.boundarySeconds).toBeGreaterThan(now);
        }
        cuts.push(cutter.cutFinal(now));
        let end = origin;
        for (const [index, cut] of cuts.entries()) {
          expect(cut.startSeconds).toBe(end);
          expect(cut.startSeconds).toBe(origin + index * length);
          end = cut.endSeconds;
        }
        expect(end).toBe(now);
      },
    ),
  );
});

test.each([
  ["wholly before", 5, 6, 7, 1],
  ["up to the boundary", 5, 6, 6, 1],
  ["across", 5, 6, 5.25, 0.25],
  ["from the boundary on", 5, 6, 5, 0],
  ["wholly behind", 5, 6, 3, 0],
  ["no boundary yet", 5, 6.5, Infinity, 1.5],
  ["an empty cut", 5, 5, 7, 0],
] as const)("overlapBeforeSeconds: %s", (_name, startSeconds, endSeconds, boundarySeconds, expected) => {
  expect(overlapBeforeSeconds({ startSeconds, endSeconds }, boundarySeconds)).toBe(expected);
});
