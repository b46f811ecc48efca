import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Pace, Pacer } from "../../../src/streams/pacer.ts";

const SLICE_SECONDS = 0.05;

interface Sending {
  readonly atSeconds: number;
  readonly bytes: number;
}

interface Simulation extends Pace {
  /** How late the timer for a slice fires. */
  readonly lateSeconds?: (wakeUp: number) => number;
}

/** A sender on simulated time that sends whatever is due, in whole units, and then sleeps until the next slice. */
function simulate({ lateSeconds = () => 0, ...pace }: Simulation): Sending[] {
  const { unitBytes } = pace;
  const pacer = new Pacer(pace);
  const sendings: Sending[] = [];
  let now = 0;
  let sentBytes = 0;
  for (let wakeUp = 0; now < pace.durationSeconds; wakeUp++) {
    const units = Math.floor(Math.floor(pacer.dueBytes(now, sentBytes)) / unitBytes);
    if (units > 0) {
      sendings.push({ atSeconds: now, bytes: units * unitBytes });
      sentBytes += units * unitBytes;
    }
    const next = pacer.nextSliceSeconds(now);
    expect(next).toBeGreaterThan(now);
    now = next + lateSeconds(wakeUp);
  }
  return sendings;
}

const totalOf = (sendings: readonly Sending[]): number => sendings.reduce((sum, { bytes }) => sum + bytes, 0);

const RATES: readonly (readonly [string, number])[] = [
  ["1 kb/s", 125],
  ["9.6 kb/s", 1200],
  ["1 Mb/s", 125_000],
  ["a prime number of bytes/s", 999_983],
  ["1 Gb/s", 125_000_000],
  ["10 Gb/s", 1_250_000_000],
  ["100 Gb/s", 12_500_000_000],
];

describe.each(RATES)("%s", (_name, bandwidthBytesPerSecond) => {
  const packetBytes = Math.min(1032, Math.floor(bandwidthBytesPerSecond / 5));

  test.each([
    [1, 0.05, 1],
    [10, 0.05, 1],
    [10, 0.001, 1],
    [3, 0.3, 1],
    [2.5, 1, 1],
    [0.01, 0.05, 1],
    [10, 0.05, packetBytes],
    [60, 0.05, packetBytes],
  ])("%d s in slices of %d s, %d bytes at once", (durationSeconds, sliceSeconds, unitBytes) => {
    const sent = totalOf(simulate({ bandwidthBytesPerSecond, durationSeconds, sliceSeconds, unitBytes }));
    const planned = bandwidthBytesPerSecond * durationSeconds;
    expect(sent).toBeLessThanOrEqual(planned + 1e-3);
    expect(planned - sent).toBeLessThan(unitBytes + 1e-3);
  });

  test("every second holds its share, within one slice and one unit", () => {
    const unitBytes = packetBytes;
    const durationSeconds = 20;
    const sendings = simulate({ bandwidthBytesPerSecond, durationSeconds, sliceSeconds: SLICE_SECONDS, unitBytes });
    for (let second = 0; second < durationSeconds; second++) {
      const bytes = totalOf(sendings.filter(({ atSeconds }) => Math.floor(atSeconds + 1e-9) === second));
      expect(Math.abs(bytes - bandwidthBytesPerSecond)).toBeLessThanOrEqual(unitBytes + 1);
    }
  });

  test("no slice holds more than its share and one unit", () => {
    const sendings = simulate({
      bandwidthBytesPerSecond,
      durationSeconds: 5,
      sliceSeconds: SLICE_SECONDS,
      unitBytes: packetBytes,
    });
    const most = Math.max(...sendings.map(({ bytes }) => bytes));
    expect(most).toBeLessThanOrEqual(bandwidthBytesPerSecond * SLICE_SECONDS + packetBytes);
  });

  test("timers that are late by less than a second cost nothing", () => {
    const lateness = fc.array(fc.double({ min: 0, max: 0.9, noNaN: true }), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(lateness, (late) => {
        const durationSeconds = 8;
        const pacer = new Pacer({
          bandwidthBytesPerSecond,
          durationSeconds,
          sliceSeconds: SLICE_SECONDS,
          unitBytes: 1,
        });
        let sentBytes = 0;
        let now = 0;
        for (let wakeUp = 0; now < durationSeconds; wakeUp++) {
          sentBytes += Math.floor(pacer.dueBytes(now, sentBytes));
          // All that is planned by now has left, never more.
          const plannedBytes = bandwidthBytesPerSecond * Math.min(now + SLICE_SECONDS, durationSeconds);
          expect(sentBytes).toBeLessThanOrEqual(plannedBytes + bandwidthBytesPerSecond * 1e-9 + 1e-3);
          expect(sentBytes).toBeGreaterThanOrEqual(bandwidthBytesPerSecond * now - 1 - bandwidthBytesPerSecond * 1e-9);
          now = pacer.nextSliceSeconds(now) + (late[wakeUp % late.length] ?? 0);
        }
        // The last slice that a late timer left behind is still due after the end.
        sentBytes += Math.floor(pacer.dueBytes(now, sentBytes));
        expect(Math.abs(bandwidthBytesPerSecond * durationSeconds - sentBytes)).toBeLessThan(1.001);
      }),
      { numRuns: 50 },
    );
  });
});

describe("debt", () => {
  // A unit of nothing: what is left of a debt shows by itself.
  const pace = { bandwidthBytesPerSecond: 1000, durationSeconds: 100, sliceSeconds: SLICE_SECONDS, unitBytes: 0 };

  test("a wake-up late by half a second finds all of it due", () => {
    const pacer = new Pacer(pace);
    expect(pacer.dueBytes(0, 0)).toBeCloseTo(50, 6);
    expect(pacer.dueBytes(0.5, 50)).toBeCloseTo(500, 6);
  });

  test("a stall of ten seconds leaves one second due, once", () => {
    const pacer = new Pacer(pace);
    expect(pacer.dueBytes(10, 0)).toBeCloseTo(1000, 6);
    expect(pacer.dueBytes(10, 1000)).toBeCloseTo(0, 6);
    expect(pacer.dueBytes(10.05, 1000)).toBeCloseTo(50, 6);
    // The rest is forgiven for good.
    expect(pacer.dueBytes(99.99, 1000 + 89_900)).toBeCloseTo(50, 6);
  });

  test("asking again while stalled forgives no more than time passed", () => {
    const pacer = new Pacer(pace);
    for (let second = 2; second <= 10; second++) expect(pacer.dueBytes(second, 0)).toBeCloseTo(1000, 6);
    expect(pacer.dueBytes(10, 500)).toBeCloseTo(500, 6);
  });

  test("a packet that takes longer than a second to become due is not forgiven before", () => {
    const slow = { bandwidthBytesPerSecond: 125, durationSeconds: 20, sliceSeconds: SLICE_SECONDS, unitBytes: 1032 };
    expect(simulate(slow).map(({ bytes }) => bytes)).toEqual([1032, 1032]);
  });

  test("slices longer than a second may be due whole", () => {
    const pacer = new Pacer({ ...pace, sliceSeconds: 4 });
    expect(pacer.dueBytes(0, 0)).toBeCloseTo(4000, 6);
    expect(pacer.nextSliceSeconds(0)).toBe(4);
  });

  test("what was sent beyond the plan is waited for", () => {
    const pacer = new Pacer({ ...pace, bandwidthBytesPerSecond: 100 });
    expect(pacer.dueBytes(0, 16)).toBeCloseTo(-11, 6);
    expect(pacer.dueBytes(0.1, 16)).toBeCloseTo(-1, 6);
    expect(pacer.dueBytes(0.15, 16)).toBeCloseTo(4, 6);
  });
});

describe("slices", () => {
  test.each([
    [0, 0.05],
    [0.049, 0.05],
    [0.05, 0.1],
    [0.05 - 1e-12, 0.1],
    [0.150_000_000_000_000_02, 0.2],
    [3, 3.05],
  ])("at %p s the next begins at %p s", (elapsed, next) => {
    const pacer = new Pacer({ bandwidthBytesPerSecond: 1000, durationSeconds: 10, sliceSeconds: 0.05, unitBytes: 1 });
    expect(pacer.nextSliceSeconds(elapsed)).toBeCloseTo(next, 9);
  });

  test("nothing more becomes due behind the duration", () => {
    const pacer = new Pacer({ bandwidthBytesPerSecond: 1000, durationSeconds: 0.12, sliceSeconds: 0.05, unitBytes: 1 });
    expect(pacer.dueBytes(0.1, 0)).toBeCloseTo(120, 6);
    expect(pacer.dueBytes(50, 0)).toBeCloseTo(120, 6);
    expect(pacer.dueBytes(50, 120)).toBeCloseTo(0, 6);
  });
});

test("no limit: anything is due at any time", () => {
  const pacer = new Pacer({ bandwidthBytesPerSecond: 0, durationSeconds: 1, sliceSeconds: 0.05, unitBytes: 1 });
  for (const [elapsed, sent] of [
    [0, 0],
    [0.5, 1e15],
    [100, 2 ** 53],
  ] as const) {
    expect(pacer.dueBytes(elapsed, sent)).toBe(Infinity);
  }
});
