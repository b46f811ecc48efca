import { expect, test } from "bun:test";
import fc from "fast-check";
import { SequenceTracker, type SequenceVerdict } from "../../../src/stats/sequence.ts";

const V = { i: "in-order", g: "gap", l: "late", d: "duplicate" } as const satisfies Record<string, SequenceVerdict>;

test.each<[string, number[], string, number[]]>([
  ["in order", [0, 1, 2, 3], "iiii", [0, 0, 0, 0]],
  ["the first is missing", [1, 2], "gi", [1, 0]],
  ["three are missing", [0, 4, 5], "igi", [0, 3, 0]],
  ["two swapped", [0, 2, 1, 3], "igli", [0, 1, 1, 0]],
  ["a duplicate", [0, 1, 1, 2], "iidi", [0, 0, 0, 0]],
  ["a duplicate of the first", [0, 0], "id", [0, 0]],
  // An id below the expected one fills a gap as long as there is one, whichever id it is: so judges the original.
  ["a duplicate while one is missing", [0, 2, 2], "igl", [0, 1, 1]],
  ["a duplicate after a late one", [0, 2, 1, 1], "igld", [0, 1, 1, 1]],
  ["two gaps, both filled, then a duplicate", [1, 3, 0, 2, 2], "gglld", [1, 1, 1, 1, 1]],
  ["ids beyond 2^32", [2 ** 32, 2 ** 32 + 1, 2 ** 32 + 3], "gig", [2 ** 32, 0, 1]],
])("%s", (_name, ids, verdicts, skipped) => {
  const tracker = new SequenceTracker();
  const judged = ids.map((id) => [tracker.judge(id), tracker.skipped]);
  expect(judged).toEqual(
    verdicts.split("").map((letter, index) => [V[letter as keyof typeof V], skipped[index] ?? NaN]),
  );
});

test("a packet of each kind accounts for all ids up to the highest", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 100 }), (ids) => {
      const tracker = new SequenceTracker();
      let received = 0;
      let missing = 0;
      for (const id of ids) {
        const verdict = tracker.judge(id);
        if (verdict === "gap") missing += tracker.skipped;
        if (verdict === "late") missing--;
        if (verdict !== "duplicate") received++;
        expect(missing).toBeGreaterThanOrEqual(0);
      }
      expect(received + missing).toBe(Math.max(...ids) + 1);
    }),
  );
});

test("the next id is told, and a run of them may be passed over at once: what comes later is judged the same", () => {
  const step = fc.tuple(fc.nat({ max: 60 }), fc.nat({ max: 8 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const grouped = new SequenceTracker();
      const single = new SequenceTracker();
      let expectedId = 0;
      for (const [id, followers] of steps) {
        expect(grouped.isNext(id)).toBe(id === expectedId);
        const verdict = grouped.judge(id);
        expect(verdict).toBe(single.judge(id));
        if (verdict === "gap") expect(grouped.skipped).toBe(single.skipped);
        expectedId = Math.max(expectedId, id + 1);
        for (let i = 0; i < followers; i++) expect(single.judge(expectedId + i)).toBe("in-order");
        grouped.advance(followers);
        expectedId += followers;
      }
    }),
  );
});
