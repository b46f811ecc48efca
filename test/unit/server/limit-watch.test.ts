import { expect, test } from "bun:test";
import { type ClassLimits, UNLIMITED } from "../../../src/config/policy.ts";
import { LimitWatch, mostSeconds, movedBytesOf } from "../../../src/server/limit-watch.ts";
import type { Interval } from "../../../src/stats/interval.ts";
import { forward } from "./configurations.ts";

const NAMED: ClassLimits = { ...UNLIMITED, name: "few" };

function received(bytesReceived: number, durationSeconds = 1): Interval {
  return { family: "tcp", kind: "receive", timestampSeconds: 0, durationSeconds, bytesReceived };
}

test("a rate over the limit is named with what was measured", () => {
  const watch = new LimitWatch({ ...NAMED, bytesPerSecond: 1_000_000 }, forward());
  const answers = [1, 2, 3, 4, 5].map((second) => watch.told(0, received(1_300_000), second));
  expect(answers.slice(0, 4)).toEqual([null, null, null, null]);
  expect(answers[4]).toBe("the limit of class few is 8.000 Mb/s in one direction, and 5 s had 10.40 Mb/s");
});

test("data that still comes behind the time is over the limit; silence is not", () => {
  const watch = new LimitWatch({ ...NAMED, durationSeconds: 30 }, forward({ extensions: null }));
  expect(watch.told(0, received(1), 33.9)).toBeNull();
  expect(watch.told(0, received(0), 60)).toBeNull();
  expect(watch.told(0, received(1), 34.1)).toBe("the limit of class few is 30 s");
});

test("what is under way on a slow link is not, where the end was told, and has an end too", () => {
  const watch = new LimitWatch({ ...NAMED, durationSeconds: 10 }, forward());
  const drained = Array.from({ length: 30 }, (_, second) => watch.told(0, received(100_000), 14 + second));
  expect(drained).toEqual(Array.from({ length: 30 }, () => null));
  expect(watch.told(0, received(4_000_000), 44)).toBe("the limit of class few is 10 s");
});

test("nothing is over a limit that there is not", () => {
  const watch = new LimitWatch(NAMED, forward());
  expect(watch.told(0, received(1e15), 1e9)).toBeNull();
});

test.each([
  [null, null],
  [1, 3],
  [10, 12],
  [60, 66],
  [3600, 3610],
])("a test of %p s may move data for %p s", (durationSeconds, most) => {
  expect(mostSeconds({ ...NAMED, durationSeconds })).toBe(most);
});

test("what a side tells that it moved", () => {
  expect(movedBytesOf(received(7))).toBe(7);
  const sent = { family: "tcp", kind: "send", timestampSeconds: 0, durationSeconds: 1, bytesSent: 8, sendsBlocked: 0 };
  expect(movedBytesOf(sent as Interval)).toBe(8);
});
