import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import { kindOf, LogBounds } from "../../../src/cli/log-bounds.ts";

const MOST_A_SECOND = 31 * 10;

/** Says `count` lines of a kind at once; how many passed. */
function flood(bounds: LogBounds<string>, kind: string, count: number, nowSeconds: number): number {
  return Array.from({ length: count }, (_, index) => bounds.passes(kind, `${kind} ${index}`, nowSeconds)).filter(
    Boolean,
  ).length;
}

describe("LogBounds", () => {
  test("the first ten of a kind pass, the others are counted, and told of when the second is over", () => {
    const bounds = new LogBounds<string>();
    expect(flood(bounds, "a", 5000, 7)).toBe(10);
    expect(bounds.dueSeconds).toBe(8);
    expect(bounds.take(7.9)).toEqual([]);
    expect(bounds.take(8)).toEqual([{ count: 4990, last: "a 4999" }]);
    expect(bounds.take(8)).toEqual([]);
    expect(bounds.dueSeconds).toBeNull();
  });

  test("each kind for itself: one that goes on is one line a second, until a second has none of it", () => {
    const bounds = new LogBounds<string>();
    expect([flood(bounds, "a", 11, 0), flood(bounds, "b", 3, 0.5)]).toEqual([10, 3]);
    expect(bounds.take(1)).toEqual([{ count: 1, last: "a 10" }]);
    expect([flood(bounds, "a", 11, 1), flood(bounds, "b", 11, 1)]).toEqual([0, 10]);
    expect(bounds.take(2)).toEqual([
      { count: 11, last: "a 10" },
      { count: 1, last: "b 10" },
    ]);
    expect(bounds.take(3)).toEqual([]);
    expect(flood(bounds, "a", 11, 3.5)).toBe(10);
  });

  test("nothing is due where nothing was held back", () => {
    const bounds = new LogBounds<string>();
    flood(bounds, "a", 10, 0);
    expect(bounds.dueSeconds).toBeNull();
    expect(bounds.take(5)).toEqual([]);
  });

  test("the end of the server is the end of a second", () => {
    const bounds = new LogBounds<string>();
    flood(bounds, "a", 12, 0);
    expect(bounds.take(Infinity)).toEqual([{ count: 2, last: "a 11" }]);
  });

  test("kinds that a peer makes up share one allowance", () => {
    const bounds = new LogBounds<string>();
    const passed = Array.from({ length: 10_000 }, (_, index) => flood(bounds, `kind ${index}`, 1, 0));
    expect(passed.reduce((sum, one) => sum + one)).toBe(40);
    expect(bounds.take(1)).toEqual([{ count: 9960, last: "kind 9999 0" }]);
  });

  test("whatever comes when: every line passes or is counted, and a second lets no more than its most pass", () => {
    const line = fc.record({ kind: fc.nat({ max: 60 }), gap: fc.constantFrom(0, 0, 0, 0.01, 0.4, 1, 3) });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 2000 }), (lines) => {
        const bounds = new LogBounds<number>();
        const passedAt: number[] = [];
        let heldBack = 0;
        let now = 0;
        for (const { kind, gap } of lines) {
          now += gap;
          for (const { count } of bounds.take(now)) heldBack += count;
          if (bounds.passes(`kind ${kind}`, kind, now)) passedAt.push(now);
        }
        for (const { count } of bounds.take(Infinity)) heldBack += count;
        expect(passedAt.length + heldBack).toBe(lines.length);
        // A window of the test's own meets at most two of the bounds'.
        for (const at of passedAt) {
          expect(passedAt.filter((other) => other >= at && other < at + 1).length).toBeLessThanOrEqual(
            2 * MOST_A_SECOND,
          );
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe("kindOf", () => {
  test.each([
    ["refused: streams must be from 1 to 255, not 0", "refused: streams must be from 1 to 255, not 256"],
    ['refused: unknown kind "x"', 'refused: unknown kind "y\\x0a"'],
    ["no way to 192.0.2.1:80", "no way to [2001:db8::7]:4711".replace("[", "").replace("]", "")],
    ["stream 3: the system refuses packets", "stream 250: the system refuses packets"],
  ])("%p is as %p", (one, other) => {
    expect(kindOf(one)).toBe(kindOf(other));
  });

  test("other reasons are other kinds", () => {
    expect(kindOf("refused: no begin came for 10 s")).not.toBe(kindOf("refused: no end came for 10 s"));
  });

  test.each(["a", "1", '"', "1a", ":"])("a text of a megabyte of %p takes no time to speak of", (unit) => {
    expect(kindOf(unit.repeat(1_000_000)).length).toBeLessThanOrEqual(200);
  });
});
