// What a server keeps by time, over thirty days of a busy and unfriendly net that pass in seconds: it stays within bounds, and
// is gone when its time is over.
//
//   RPERF_DAYS_SEED=… bun .ci/test.ts test/unit/server/thirty-days.test.ts
import { afterEach, beforeEach, expect, jest, setDefaultTimeout, test } from "bun:test";

import { LogBounds } from "../../../src/cli/log-bounds.ts";
import { runAfter } from "../../../src/clock.ts";
import { UNLIMITED } from "../../../src/config/policy.ts";
import { AuthBackoff } from "../../../src/server/auth-backoff.ts";
import { DailyUsage } from "../../../src/server/daily-usage.ts";
import { type RegisteredTest, TestRegistry } from "../../../src/server/test-registry.ts";
import type { Guest } from "../../../src/server/occupancy.ts";
import { WaitingRoom } from "../../../src/server/waiting-room.ts";
import { Random, seedOf } from "../../support/random.ts";

setDefaultTimeout(120_000);

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAYS = 30;
const EVENTS = 150_000;

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function nowSeconds(): number {
  return performance.now() / 1_000;
}

/** Events at random times, thick and thin by turns; the timers in between fire. */
function live(random: Random, happen: () => void, ofDays = DAYS): void {
  const meanMs = (ofDays * DAY_MS) / EVENTS;
  for (let count = 0, burst = 0; count < EVENTS; count += 1) {
    if (burst > 0) burst -= 1;
    // Every hundredth event begins a flood of some hundreds, within a second or so.
    else jest.advanceTimersByTime(random.below(2 * meanMs));
    if (burst > 0 && random.oneIn(20)) jest.advanceTimersByTime(random.below(50));
    if (burst === 0 && random.oneIn(100)) burst = random.below(500);
    happen();
  }
}

function addressOf(random: Random, hosts: number): string {
  const host = random.below(hosts);
  return `10.${host >>> 16}.${(host >>> 8) & 255}.${host & 255}`;
}

test("results of tests whose clients are gone", () => {
  const KEEP_MS = 10 * 60_000;
  const random = new Random(seedOf("RPERF_DAYS_SEED"));
  const registry = new TestRegistry(KEEP_MS);
  const kept = new Set<RegisteredTest>();
  let [expired, resumed, most] = [0, 0, 0];
  live(random, () => {
    const atMs = performance.now();
    const test: RegisteredTest = {
      remoteAddress: addressOf(random, 1_000),
      isFinished: true,
      keptBytes: random.oneIn(50) ? 2 ** 21 : random.below(50_000),
      take: () => null,
      expired: () => {
        if (!kept.delete(test)) throw new Error("expired twice");
        if (performance.now() - atMs > KEEP_MS) throw new Error("kept for too long");
        expired += 1;
      },
    };
    const token = random.bytes(16).toHex();
    registry.add(test, token);
    registry.addData(test, random.bytes(16));
    kept.add(test);
    registry.keep(test);
    // Some clients come back at once, get what there is, and end.
    if (random.oneIn(4) && kept.has(test)) {
      expect(registry.resume(token, test.remoteAddress)).toBe(test);
      registry.remove(test);
      kept.delete(test);
      resumed += 1;
    }
    most = Math.max(most, registry.size);
    if (registry.size !== kept.size || registry.size > 1_000) throw new Error(`${registry.size} tests are remembered`);
    if ([...kept].reduce((sum, { keptBytes }) => sum + keptBytes, 0) > 2 ** 25) throw new Error("too much is kept");
  });
  console.log(`  ${expired} expired, ${resumed} resumed, ${most} at the same time`);
  jest.advanceTimersByTime(KEEP_MS);
  expect(expired + resumed).toBe(EVENTS);
  expect([registry.size, kept.size, jest.getTimerCount()]).toEqual([0, 0, 0]);
});

test("a deadline beyond what a timer can wait", () => {
  const random = new Random(seedOf("RPERF_DAYS_SEED"));
  const began = performance.now();
  const fired: number[] = [];
  const delays = Array.from({ length: 500 }, () => random.below(2 * DAYS * DAY_MS));
  const cancels = delays.map((delayMs) => runAfter(delayMs, () => fired.push(performance.now() - began - delayMs)));
  const cancelled = cancels.filter((cancel, index) => index % 5 === 0 && (cancel(), true)).length;
  for (let day = 0; day < 2 * DAYS; day += 1) jest.advanceTimersByTime(DAY_MS);
  expect(fired.length).toBe(delays.length - cancelled);
  expect(Math.max(...fired.map(Math.abs))).toBeLessThan(2);
  expect(jest.getTimerCount()).toBe(0);
});

test("what each client moved in a day", () => {
  const random = new Random(seedOf("RPERF_DAYS_SEED"));
  const MOST = 5_000;
  const usage = new DailyUsage(MOST);
  const watched = "10.255.0.1";
  const moved: { readonly atSeconds: number; readonly bytes: number }[] = [];
  live(random, () => {
    const bytes = random.below(1e9);
    const isWatched = random.oneIn(50);
    usage.add(isWatched ? watched : addressOf(random, 20_000), bytes, nowSeconds());
    if (isWatched) moved.push({ atSeconds: nowSeconds(), bytes });
    if (usage.identities > MOST) throw new Error(`${usage.identities} identities are remembered`);
    if (!isWatched) return;
    const since = (hours: number) =>
      moved
        .filter(({ atSeconds }) => atSeconds > nowSeconds() - hours * 3_600)
        .reduce((sum, one) => sum + one.bytes, 0);
    // By the hour: what is told lies between the last 24 hours and the last 25.
    const told = usage.bytesOf(watched, nowSeconds());
    if (told < since(24) || told > since(25)) throw new Error(`${told} bytes are not those of the last day`);
  });
  expect(moved.length).toBeGreaterThan(1_000);
  jest.advanceTimersByTime(25 * HOUR_MS);
  expect(usage.bytesOf(watched, nowSeconds())).toBe(0);
});

test("addresses that guess keys", () => {
  const random = new Random(seedOf("RPERF_DAYS_SEED"));
  const backoff = new AuthBackoff();
  let longest = 0;
  let most = 0;
  live(random, () => {
    const address = addressOf(random, random.oneIn(2) ? 50 : 40_000);
    const nowMs = performance.now();
    if (random.oneIn(30)) backoff.succeeded(address);
    else backoff.failed(address, nowMs);
    longest = Math.max(longest, backoff.waitSeconds(address, nowMs));
    most = Math.max(most, backoff.size);
  });
  expect(longest).toBe(60);
  expect(most).toBeGreaterThan(100);
  expect(most).toBeLessThanOrEqual(10_000);
  jest.advanceTimersByTime(HOUR_MS);
  // The next one finds nobody else.
  backoff.failed("192.0.2.1", performance.now());
  expect(backoff.size).toBe(1);
});

test("lines of the log", () => {
  const random = new Random(seedOf("RPERF_DAYS_SEED"));
  const bounds = new LogBounds<string>();
  let [offered, passed, heldBack, ofSecond, second] = [0, 0, 0, 0, 0];
  live(random, () => {
    const now = nowSeconds();
    for (const { count } of bounds.take(now)) heldBack += count;
    if (now >= second + 1) [second, ofSecond] = [now, 0];
    for (let count = random.oneIn(10) ? 50 : 1; count > 0; count -= 1) {
      offered += 1;
      if (!bounds.passes(`kind ${random.oneIn(3) ? random.uint32() : random.below(5)}`, "a line", now)) continue;
      passed += 1;
      ofSecond += 1;
    }
    // Of two seconds of the bounds, which begin when something comes.
    if (ofSecond > 2 * 340) throw new Error(`${ofSecond} lines in a second`);
  });
  for (const { count } of bounds.take(Infinity)) heldBack += count;
  expect(passed + heldBack).toBe(offered);
  expect(heldBack).toBeGreaterThan(1_000);
  expect(bounds.dueSeconds).toBeNull();
});

test("those who wait for a place", () => {
  const [clientLimit, queueLimit] = [8, 20];
  const random = new Random(seedOf("RPERF_DAYS_SEED"));
  const room = new WaitingRoom({ clientLimit, queueLimit });
  const inside = new Set<Guest>();
  const waiting = new Set<Guest>();
  let [entered, served, refused] = [0, 0, 0];
  const letIn = (guests: readonly Guest[]) => {
    for (const guest of guests) {
      if (!waiting.delete(guest)) throw new Error("somebody is let in who did not wait");
      inside.add(guest);
      stay(guest);
    }
  };
  const leave = (guest: Guest) => {
    if (!inside.delete(guest) && !waiting.delete(guest)) return;
    served += 1;
    letIn(room.leave(guest, nowSeconds()));
  };
  const stay = (guest: Guest) => void setTimeout(() => leave(guest), random.between(1, 200) * 1_000);
  live(random, () => {
    entered += 1;
    const guest: Guest = {
      place: addressOf(random, 500),
      limits: UNLIMITED,
      plannedSeconds: random.oneIn(5) ? null : 60,
    };
    const verdict = room.enter(guest, random.oneIn(2), nowSeconds());
    if (verdict.type === "refused") refused += 1;
    else if (verdict.type === "inside") {
      inside.add(guest);
      stay(guest);
    } else {
      waiting.add(guest);
      // Some have no patience.
      setTimeout(() => waiting.has(guest) && leave(guest), random.between(1, 600) * 1_000);
    }
    if (room.inside !== inside.size || room.waiting !== waiting.size) throw new Error("the room counts others");
    if (room.inside > clientLimit || room.waiting > queueLimit) throw new Error("the room is too full");
    if (room.waiting > 0 && room.inside < clientLimit) throw new Error("somebody waits for a place that is free");
    room.news(nowSeconds());
  });
  jest.advanceTimersByTime(HOUR_MS);
  expect(refused).toBeGreaterThan(1_000);
  expect(served + refused).toBe(entered);
  expect([room.inside, room.waiting, jest.getTimerCount()]).toEqual([0, 0, 0]);
});
