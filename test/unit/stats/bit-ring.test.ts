import { expect, test } from "bun:test";
import fc from "fast-check";
import { BitRing } from "../../../src/stats/bit-ring.ts";

const MOST_BITS = 2 ** 14;

test.each([0, 31, 2 ** 31 - 100, 2 ** 32 - 100, 2 ** 52 - 7])("holds what it was given, from id %p on", (base) => {
  const step = fc.record({
    isSet: fc.boolean(),
    length: fc.nat({ max: 3000 }),
    /** How much of the range's lower end is let go. */
    dropped: fc.nat({ max: 2500 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const ring = new BitRing(MOST_BITS);
      const expected: boolean[] = [];
      let from = 0;
      for (const { isSet, length, dropped } of steps) {
        const keptTo = expected.length;
        const to = keptTo + length;
        from = Math.max(Math.min(from + dropped, keptTo), to - MOST_BITS);
        ring.hold(base + from, base + keptTo, base + to);
        ring.fill(isSet, base + keptTo, base + to);
        for (let id = keptTo; id < to; id++) expected.push(isSet);
        for (const id of [from, keptTo - 1, keptTo, to - 1]) {
          if (id >= from && id < to) expect(ring.has(base + id)).toBe(expected[id] ?? false);
        }
        for (const value of [true, false]) {
          const index = expected.indexOf(value, from);
          expect(ring.first(value, base + from, base + to)).toBe(base + (index < 0 ? to : index));
        }
      }
    }),
    { numRuns: 50 },
  );
});

test("a fill changes the bits asked for, and no others", () => {
  const bound = fc.nat({ max: 128 });
  fc.assert(
    fc.property(fc.boolean(), bound, bound, (value, one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      const ring = new BitRing(128);
      ring.fill(!value, 0, 128);
      ring.fill(value, from, to);
      for (let id = 0; id < 128; id++) expect(ring.has(id)).toBe(id >= from && id < to ? value : !value);
    }),
  );
});
