import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  jainIndex,
  median,
  mostAtOnce,
  pairRatios,
  percentile,
  ratio,
  type Series,
  spreadOf,
} from "../../bench/statistics.ts";

describe("median and spread", () => {
  test.each<[string, Series, number | null, [number, number] | null]>([
    ["nothing", [], null, null],
    ["only failed runs", [null, null], null, null],
    ["one", [7], 7, [7, 7]],
    ["an odd number, unsorted", [9, 1, 10], 9, [1, 10]],
    ["an even number: the mean of the two in the middle", [4, 1, 3, 100], 3.5, [1, 100]],
    ["failed runs are missing, not 0", [null, 5, null, 7, 6], 6, [5, 7]],
    ["sorted as numbers", [10, 9, 100], 10, [9, 100]],
  ])("%s", (_name, series, middle, spread) => {
    expect(median(series)).toBe(middle);
    expect(spreadOf(series)).toEqual(spread && { least: spread[0], most: spread[1] });
  });
});

describe("ratios", () => {
  test.each<[number | null, number | null, number | null]>([
    [6, 3, 2],
    [0, 3, 0],
    [3, 0, null],
    [0, 0, null],
    [null, 3, null],
    [3, null, null],
  ])("%p ÷ %p is %p", (a, b, expected) => {
    expect(ratio(a, b)).toBe(expected);
  });

  test("pair by pair, within each round", () => {
    expect(pairRatios([10, 20, null, 40, 50], [5, null, 3, 80])).toEqual([2, null, null, 0.5, null]);
  });
});

describe("percentile, nearest rank", () => {
  const hundred = Float64Array.from({ length: 100 }, (_, index) => 100 - index);
  test.each<[string, Float64Array, number, number | null]>([
    ["of nothing", new Float64Array(), 0.99, null],
    ["of one", Float64Array.of(3), 0.99, 3],
    ["99 % of 1 to 100, unsorted", hundred, 0.99, 99],
    ["all", hundred, 1, 100],
    ["none: the least", hundred, 0, 1],
    ["half of four", Float64Array.of(4, 3, 2, 1), 0.5, 2],
  ])("%s", (_name, values, fraction, expected) => {
    expect(percentile(values, fraction)).toBe(expected);
  });
});

describe("Jain's index", () => {
  test.each<[string, number[], number | null]>([
    ["equal shares", [5, 5, 5, 5], 1],
    ["one of four has everything", [9, 0, 0, 0], 0.25],
    ["1 and 3", [1, 3], 0.8],
    ["nothing shared", [0, 0], null],
    ["no shares", [], null],
  ])("%s", (_name, shares, expected) => {
    expect(jainIndex(shares)).toBe(expected);
  });

  test("lies between 1/n and 1, whatever the unit", () => {
    const shares = fc.array(fc.integer({ min: 1, max: 1e9 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(shares, (values) => {
        const index = jainIndex(values) ?? Number.NaN;
        expect(index).toBeGreaterThan(1 / values.length - 1e-9);
        expect(index).toBeLessThan(1 + 1e-9);
        expect(jainIndex(values.map((value) => value * 8))).toBeCloseTo(index, 9);
      }),
    );
  });
});

test.each<[string, [number, number][], number]>([
  ["nothing", [], 0],
  ["one", [[0, 1]], 1],
  [
    "one after the other",
    [
      [1, 2],
      [0, 1],
    ],
    1,
  ],
  [
    "three, of which two overlap at any time",
    [
      [0, 2],
      [1, 4],
      [3, 5],
    ],
    2,
  ],
  [
    "one around all others",
    [
      [0, 10],
      [1, 2],
      [3, 4],
      [3, 5],
    ],
    3,
  ],
])("most at once: %s", (_name, intervals, expected) => {
  expect(mostAtOnce(intervals)).toBe(expected);
});
