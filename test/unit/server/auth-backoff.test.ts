import { describe, expect, test } from "bun:test";
import { AuthBackoff } from "../../../src/server/auth-backoff.ts";

const ADDRESS = "192.0.2.1";
const MINUTE_MS = 60_000;

/** Fails so many times, each as soon as it may, and gives the waits in seconds. */
function waitsOf(backoff: AuthBackoff, count: number, address = ADDRESS, startMs = 0): number[] {
  let nowMs = startMs;
  return Array.from({ length: count }, () => {
    backoff.failed(address, nowMs);
    const seconds = backoff.waitSeconds(address, nowMs);
    nowMs += seconds * 1000;
    return seconds;
  });
}

test("the first failures are free, then each doubles the wait, up to a minute", () => {
  expect(waitsOf(new AuthBackoff(), 12)).toEqual([0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
});

test("the wait goes by, and is told in whole seconds", () => {
  const backoff = new AuthBackoff();
  waitsOf(backoff, 5);
  backoff.failed(ADDRESS, 10_000);
  const waits = [10_000, 10_001, 13_000, 13_999, 14_000, 20_000].map((nowMs) => backoff.waitSeconds(ADDRESS, nowMs));
  expect(waits).toEqual([4, 4, 1, 1, 0, 0]);
});

test("a right proof clears it", () => {
  const backoff = new AuthBackoff();
  waitsOf(backoff, 8);
  backoff.succeeded(ADDRESS);
  expect(backoff.size).toBe(0);
  expect(waitsOf(backoff, 4)).toEqual([0, 0, 0, 1]);
});

describe("whose it is", () => {
  test.each<[string, string, boolean]>([
    ["192.0.2.1", "192.0.2.2", false],
    ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true],
    ["2001:db8:0:1::1", "2001:db8:0:2::1", false],
    ["2001:db8::1", "2001:db8::ffff:0:0:1", true],
    ["::1", "::2", true],
    ["1:2:3:4:5:6:7:8", "1:2:3:4::", true],
    ["1::5:6:7:8", "1:0:0:0::", true],
    ["1::4:5:6:7:8", "1:0:0:4::", true],
    ["fe80::1%eth0", "fe80::2%eth0", false],
  ])("%s and %s: %p", (one, other, isSame) => {
    const backoff = new AuthBackoff();
    waitsOf(backoff, 4, one);
    expect(backoff.waitSeconds(other, 0) > 0).toBe(isSame);
  });
});

describe("memory is bounded", () => {
  test("of very many addresses the one that failed longest ago is forgotten", () => {
    const backoff = new AuthBackoff();
    waitsOf(backoff, 4, "192.0.2.1");
    waitsOf(backoff, 4, "192.0.2.2");
    waitsOf(backoff, 1, "192.0.2.1");
    for (let index = 0; index < 9_999; index++) backoff.failed(`10.0.${index >> 8}.${index & 255}`, 0);
    expect(backoff.size).toBe(10_000);
    expect(backoff.waitSeconds("192.0.2.1", 0)).toBeGreaterThan(0);
    expect(backoff.waitSeconds("192.0.2.2", 0)).toBe(0);
  });

  test("who has not failed for ten minutes is forgotten when another fails", () => {
    const backoff = new AuthBackoff();
    for (let index = 0; index < 100; index++) waitsOf(backoff, 5, `192.0.2.${index}`);
    backoff.failed("198.51.100.1", 5 * MINUTE_MS);
    expect(backoff.size).toBe(101);
    backoff.failed("198.51.100.1", 11 * MINUTE_MS);
    expect(backoff.size).toBe(1);
  });
});
