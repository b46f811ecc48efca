import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DailyUsage } from "../../../src/server/daily-usage.ts";

const HOUR = 3600;
const DAY = 24 * HOUR;

describe("DailyUsage", () => {
  test("forgets what is more than 24 hours ago, and nothing before", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ bytes: fc.nat(1000), afterSeconds: fc.nat(5 * HOUR) }), { maxLength: 40 }),
        (moves) => {
          const usage = new DailyUsage();
          let nowSeconds = 12_345;
          const told: { bytes: number; atSeconds: number }[] = [];
          for (const { bytes, afterSeconds } of moves) {
            nowSeconds += afterSeconds;
            usage.add("a", bytes, nowSeconds);
            told.push({ bytes, atSeconds: nowSeconds });
            const since = (ageSeconds: number) =>
              told.reduce((sum, { bytes, atSeconds }) => sum + (nowSeconds - atSeconds <= ageSeconds ? bytes : 0), 0);
            const used = usage.bytesOf("a", nowSeconds);
            expect(used).toBeGreaterThanOrEqual(since(DAY));
            expect(used).toBeLessThanOrEqual(since(DAY + HOUR));
          }
        },
      ),
    );
  });

  test("counts each by itself", () => {
    const usage = new DailyUsage();
    usage.add("a", 5, 0);
    usage.add("b", 7, 10);
    usage.add("a", 1, 20);
    expect([usage.bytesOf("a", 30), usage.bytesOf("b", 30), usage.bytesOf("c", 30)]).toEqual([6, 7, 0]);
    expect(usage.bytesOf("a", 30 + DAY + HOUR)).toBe(0);
  });

  test("keeps so many and no more, those that moved something last", () => {
    const usage = new DailyUsage(3);
    usage.add("none", 0, 0);
    for (const name of ["a", "b", "c"]) usage.add(name, 1, 0);
    usage.add("a", 1, 1);
    usage.add("d", 1, 2);
    expect(usage.identities).toBe(3);
    expect(["a", "b", "c", "d"].map((name) => usage.bytesOf(name, 3))).toEqual([2, 0, 1, 1]);
  });
});
