import { expect, test } from "bun:test";
import fc from "fast-check";
import { sparkline } from "../../../src/report/sparkline.ts";

test.each([
  [[], ""],
  [[0, 0], "▁▁"],
  [[5], "█"],
  [[0, 1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇██"],
  [[1e9, 1], "█▁"],
  [[-1, Number.NaN, Number.POSITIVE_INFINITY, 2], "▁  █"],
])("%p", (values, expected) => {
  expect(sparkline(values)).toBe(expected);
});

test("one column for each value", () => {
  fc.assert(fc.property(fc.array(fc.double()), (values) => Bun.stringWidth(sparkline(values)) === values.length));
});
