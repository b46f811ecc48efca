import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { UNLIMITED } from "../../../src/config/policy.ts";
import type { Claim } from "../../../src/server/class-books.ts";
import { TestLimits } from "../../../src/server/test-limits.ts";
import type { Interval } from "../../../src/stats/interval.ts";
import { forward } from "./configurations.ts";

const OVER = "the limit of class few is 10 s";

function received(bytesReceived: number, durationSeconds = 1): Interval {
  return { family: "tcp", kind: "receive", timestampSeconds: 0, durationSeconds, bytesReceived };
}

let told: string[];
let limits: TestLimits;
beforeEach(() => {
  jest.useFakeTimers();
  told = [];
  const ofClass = { ...UNLIMITED, name: "few", durationSeconds: 10 };
  const claim: Claim = {
    limits: ofClass,
    identity: "x",
    place: "x",
    isCounted: false,
    count: () => null,
    extend: () => {},
    renew: () => {},
    end: () => {},
  };
  limits = new TestLimits(claim, (why) => void told.push(why));
});
afterEach(() => {
  limits.stop();
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

describe("a test of a class that has 10 s", () => {
  test.each([
    ["12 s behind its begin, though nothing moves", forward({ extensions: null }), 12_000],
    ["30 s behind its end where that was told, which may be waited for", forward(), 40_000],
  ])("ends %s", (_when, configuration, endMs) => {
    limits.watch(configuration);
    limits.begin();
    jest.advanceTimersByTime(endMs - 1);
    expect(told).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(told).toEqual([OVER]);
  });

  test("whose last figures come behind its end is not begun by them", () => {
    const watch = limits.watch(forward({ extensions: null }));
    limits.stop();
    watch(0, received(1000));
    expect(jest.getTimerCount()).toBe(0);
  });

  test("that sends before it begins has begun by that", () => {
    const watch = limits.watch(forward({ extensions: null }));
    watch(0, received(0));
    jest.advanceTimersByTime(20_000);
    watch(0, received(1000));
    jest.advanceTimersByTime(8000);
    limits.begin();
    jest.advanceTimersByTime(2999);
    expect(told).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(told).toEqual([OVER]);
  });

  test("that never begins, and sends, is over its limit as well", () => {
    const watch = limits.watch(forward({ extensions: null }));
    for (let second = 0; second < 14; second++) {
      watch(0, received(1000));
      jest.advanceTimersByTime(1000);
    }
    // By the clock, and by what came behind it.
    expect(told).toEqual([OVER, OVER]);
  });

  test("that is over is not told of it later", () => {
    limits.begin();
    limits.stop();
    jest.advanceTimersByTime(60_000);
    expect(told).toEqual([]);
  });
});
