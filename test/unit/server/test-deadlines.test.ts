import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { Guard } from "../../../src/server/guard.ts";
import { TestDeadlines } from "../../../src/server/test-deadlines.ts";

let deadlines: TestDeadlines;
let expired: string[];
beforeEach(() => {
  jest.useFakeTimers();
  deadlines = new TestDeadlines(new Guard(() => {}).ofNobody());
  expired = [];
});
afterEach(() => {
  deadlines.stop();
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

function expire(what: string): () => void {
  return () => void expired.push(what);
}

test("a client that comes back again and again has no more time to begin", () => {
  deadlines.awaitNext("ready", expire("ready"));
  for (let second = 0; second < 9; second++) {
    jest.advanceTimersByTime(1000);
    deadlines.awaitReturn("reset", expire("return"));
    deadlines.returned();
  }
  jest.advanceTimersByTime(999);
  expect(expired).toEqual([]);
  jest.advanceTimersByTime(1);
  expect(expired).toEqual(["ready"]);
});

test("one that has gone does not come back in the time of its phase, nor behind its own", () => {
  deadlines.awaitNext("ready", expire("ready"));
  jest.advanceTimersByTime(7000);
  deadlines.awaitReturn("reset", expire("return"));
  jest.advanceTimersByTime(3000);
  expect(expired).toEqual(["ready"]);
  deadlines.awaitNext("running", expire("running"));
  deadlines.awaitReturn("lost", expire("return"));
  jest.advanceTimersByTime(19_999);
  expect(expired).toEqual(["ready"]);
  jest.advanceTimersByTime(1);
  expect(expired).toEqual(["ready", "return"]);
});

test("streams that were stopped have their two seconds, whoever comes back or goes meanwhile", () => {
  deadlines.awaitNext("running", expire("running"));
  deadlines.awaitFigures(expire("figures"));
  jest.advanceTimersByTime(1500);
  deadlines.awaitReturn("reset", expire("return"));
  deadlines.returned();
  jest.advanceTimersByTime(500);
  expect(expired).toEqual(["figures"]);
});

test("a begin comes 30 s behind the first answer, through whatever phases, or does not", () => {
  // Both directions, each as late as can be: only the sum is too much.
  for (const phase of ["ready", "admission", "preparing", "ready"] as const) {
    deadlines.awaitBegin(expire("begin"));
    deadlines.awaitNext(phase, expire(phase));
    expect(expired).toEqual([]);
    jest.advanceTimersByTime(7600);
  }
  expect(expired).toEqual(["begin"]);
});

test("a test that has begun has nothing to begin any more; its end does not move", () => {
  deadlines.awaitNext("ready", expire("ready"));
  deadlines.awaitBegin(expire("begin"));
  deadlines.awaitNext("running", expire("running"));
  deadlines.planEnd(60, expire("end"));
  jest.advanceTimersByTime(40_000);
  deadlines.awaitReturn("lost", expire("return"));
  deadlines.returned();
  jest.advanceTimersByTime(24_999);
  expect(expired).toEqual([]);
  jest.advanceTimersByTime(1);
  expect(expired).toEqual(["end"]);
});
