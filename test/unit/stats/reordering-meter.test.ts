import { expect, test } from "bun:test";
import { ReorderingMeter } from "../../../src/stats/reordering-meter.ts";

const MOST_GAPS = 2 ** 14;

/** Gaps of one id each, at the odd ids: every arrival leaves one. */
function gaps(count: number): ReorderingMeter {
  const meter = new ReorderingMeter();
  for (let gap = 0; gap < count; gap++) meter.skip(2 * gap + 1, gap + 1);
  return meter;
}

test.each<[string, number, number, number]>([
  ["the only gap", 1, 1, 1],
  ["the last of some", 100, 199, 1],
  ["the first of some", 100, 1, 100],
  ["the first of as many as are remembered", MOST_GAPS, 1, MOST_GAPS],
  ["the first that is remembered", MOST_GAPS + 10, 21, MOST_GAPS],
  ["one that is forgotten: at least", MOST_GAPS + 10, 19, MOST_GAPS],
])("the extent of a packet late in %s", (_name, count, id, extent) => {
  const meter = gaps(count);
  meter.late(id, count + 1);
  expect(meter.result).toEqual({ packets: 1, maxExtentPackets: extent, meanExtentPackets: extent });
});

test("gaps that are over are forgotten, and none that are open", () => {
  const meter = gaps(60);
  meter.forgetBelow(51);
  for (let gap = 60; gap < 140; gap++) meter.skip(2 * gap + 1, gap + 1);
  meter.late(51, 141);
  meter.late(279, 142);
  expect(meter.result).toEqual({ packets: 2, maxExtentPackets: 115, meanExtentPackets: 58.5 });
});
