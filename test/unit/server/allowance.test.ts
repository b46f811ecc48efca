import { expect, test } from "bun:test";
import { Allowance } from "../../../src/server/allowance.ts";

test("so many at once, then one each so many seconds, and never more than at first", () => {
  const allowance = new Allowance(3, 4, 100);
  const takenAt = (nowSeconds: number, count: number) =>
    Array.from({ length: count }, () => allowance.take(nowSeconds)).filter(Boolean).length;
  expect(takenAt(100, 10)).toBe(3);
  expect(takenAt(103.9, 10)).toBe(0);
  expect(takenAt(104, 10)).toBe(1);
  expect(takenAt(112, 10)).toBe(2);
  expect(takenAt(1000, 10)).toBe(3);
});
