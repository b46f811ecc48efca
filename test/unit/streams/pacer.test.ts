import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Pace, Pacer } from "../../../src/streams/pacer.ts";
import {
  batchBytesOf,
  DEFAULT_UNIT_BYTES,
  leastSpacing,
  planned,
  RATES,
  ROUNDING_BYTES,
  type Sending,
  simulate,
  totalOf,
} from "./pace-simulation.ts";

const SLICE_SECONDS = 0.05;
const DAY_SECONDS = 86_400;
/** So many wake-ups are simulated in the blink of an eye. */
const WAKE_UPS = 20_000;
/** Late, but not so late that anything is forgiven. */
const MOST_LATE_SECONDS = 0.9;

function sliced(changes: Partial<Pace> & Pick<Pace, "bandwidthBytesPerSecond">): Pace {
  return { durationSeconds: 10, sliceSeconds: SLICE_SECONDS, unitBytes: 1, isEven: false, ...changes };
}

/** Everything of the plan has left, and no byte more, in whole units. */
function expectWhole(sendings: readonly Sending[], { bandwidthBytesPerSecond, durationSeconds, unitBytes }: Pace) {
  const plannedBytes = bandwidthBytesPerSecond * durationSeconds;
  const sentBytes = totalOf(sendings);
  expect(sentBytes).toBeLessThanOrEqual(plannedBytes + ROUNDING_BYTES);
  expect(plannedBytes - sentBytes).toBeLessThan(unitBytes);
}

/** At no moment has more left than what had become due. */
function expectNeverAhead(sendings: readonly Sending[], { bandwidthBytesPerSecond, sliceSeconds }: Pace): void {
  let sentBytes = 0;
  let mostAheadBytes = -Infinity;
  for (const { atSeconds, bytes } of sendings) {
    sentBytes += bytes;
    mostAheadBytes = Math.max(mostAheadBytes, sentBytes - bandwidthBytesPerSecond * (atSeconds + sliceSeconds));
  }
  // Times are exact to a billionth of a slice.
  expect(mostAheadBytes).toBeLessThanOrEqual(bandwidthBytesPerSecond * sliceSeconds * 1e-6 + ROUNDING_BYTES);
}

function largestOf(sendings: readonly Sending[]): number {
  return sendings.reduce((most, { bytes }) => Math.max(most, bytes), 0);
}

describe.each(RATES)("slices at %s", (_name, bandwidthBytesPerSecond) => {
  const packetBytes = Math.min(DEFAULT_UNIT_BYTES, Math.floor(bandwidthBytesPerSecond / 5));

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
    const pace = sliced({ bandwidthBytesPerSecond, durationSeconds, sliceSeconds, unitBytes });
    const sendings = simulate(pace);
    expectWhole(sendings, pace);
    expectNeverAhead(sendings, pace);
  });

  test("every second holds its share, within one slice and one unit", () => {
    const unitBytes = packetBytes;
    const durationSeconds = 20;
    const sendings = simulate(sliced({ bandwidthBytesPerSecond, durationSeconds, unitBytes }));
    for (let second = 0; second < durationSeconds; second++) {
      const bytes = totalOf(sendings.filter(({ atSeconds }) => Math.floor(atSeconds + 1e-9) === second));
      expect(Math.abs(bytes - bandwidthBytesPerSecond)).toBeLessThanOrEqual(unitBytes + 1);
    }
  });

  test("no slice holds more than its share and one unit", () => {
    const sendings = simulate(sliced({ bandwidthBytesPerSecond, durationSeconds: 5, unitBytes: packetBytes }));
    expect(largestOf(sendings)).toBeLessThanOrEqual(bandwidthBytesPerSecond * SLICE_SECONDS + packetBytes);
  });

  test("timers that are late by less than a second cost nothing", () => {
    const lateness = fc.array(fc.double({ min: 0, max: MOST_LATE_SECONDS, noNaN: true }), {
      minLength: 1,
      maxLength: 50,
    });
    fc.assert(
      fc.property(lateness, (late) => {
        const pace = sliced({ bandwidthBytesPerSecond, durationSeconds: 8 });
        const sendings = simulate(pace, { lateSeconds: (wakeUp) => late[wakeUp % late.length] ?? 0 });
        expectWhole(sendings, pace);
        expectNeverAhead(sendings, pace);
        // All that was planned by a wake-up leaves with it.
        let sentBytes = 0;
        for (const { atSeconds, bytes } of sendings) {
          sentBytes += bytes;
          const plannedBytes = bandwidthBytesPerSecond * Math.min(atSeconds, 8);
          expect(sentBytes).toBeGreaterThanOrEqual(plannedBytes - 1 - bandwidthBytesPerSecond * 1e-9);
        }
      }),
      { numRuns: 50 },
    );
  });
});

const EVEN: readonly (readonly [string, "udp" | "tcp", number])[] = RATES.flatMap(([name, rate]) =>
  (["udp", "tcp"] as const).map((family) => [`${family} at ${name}`, family, rate] as const),
);

describe.each(EVEN)("evenly, %s", (_name, family, bandwidthBytesPerSecond) => {
  const { sliceSeconds, unitBytes } = planned({ family, bandwidthBytesPerSecond });
  const paced = (durationSeconds: number) => planned({ family, bandwidthBytesPerSecond, durationSeconds });
  const batchBytes = Math.max(unitBytes, bandwidthBytesPerSecond * sliceSeconds);
  const durationSeconds = Math.min(60, WAKE_UPS * sliceSeconds);

  test.each([1, 0.777, 0.0123])("%d of the duration is sent, whole and in time", (share) => {
    const pace = paced(durationSeconds * share);
    const sendings = simulate(pace);
    expectWhole(sendings, pace);
    expectNeverAhead(sendings, pace);
  });

  test("every batch leaves at its due time, and holds its share", () => {
    const pace = paced(durationSeconds);
    const sendings = simulate(pace);
    expect(largestOf(sendings)).toBeLessThanOrEqual(batchBytes + unitBytes * 1e-3);
    // A slice of TCP need not be whole bytes: what is left of one may follow by itself.
    if (family === "tcp") return;
    for (const [index, { atSeconds }] of sendings.entries()) {
      expect(Math.abs(atSeconds / sliceSeconds - index)).toBeLessThan(1e-6);
    }
    expect(leastSpacing(sendings, bandwidthBytesPerSecond)).toBeGreaterThan(1 - 1e-6);
  });

  test("late wake-ups: all is sent, little at once, and no two batches together", () => {
    // A stall takes as long again to make up for; what comes sooner would be too much in the end.
    // And what it adds to a slice that is under way must not be more than a second: that would be forgiven.
    const mostLateSeconds = sliceSeconds < MOST_LATE_SECONDS ? MOST_LATE_SECONDS - sliceSeconds : MOST_LATE_SECONDS;
    const mostStallSeconds = Math.min(mostLateSeconds, 2000 * sliceSeconds);
    const stalls = fc.array(fc.double({ min: 0, max: mostStallSeconds, noNaN: true }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(stalls, fc.double({ min: 0, max: 0.2, noNaN: true }), (stallsSeconds, alwaysLate) => {
        const restSeconds = 4 * mostStallSeconds + 4 * sliceSeconds;
        const pace = paced((stallsSeconds.length + 1) * restSeconds);
        let next = 0;
        const lateSeconds = (_wakeUp: number, dueSeconds: number) => {
          if (dueSeconds < (next + 0.5) * restSeconds) return alwaysLate * sliceSeconds;
          return stallsSeconds[next++] ?? 0;
        };
        const sendings = simulate(pace, { lateSeconds });
        expectWhole(sendings, pace);
        expectNeverAhead(sendings, pace);
        // Far behind, up to 10 ms of the rate at once, as far as that is one offload unit.
        const mostBytes = Math.max(batchBytes, Math.min(bandwidthBytesPerSecond / 100, 62_500));
        expect(largestOf(sendings)).toBeLessThanOrEqual(mostBytes + unitBytes * 1e-3);
        expect(leastSpacing(sendings, bandwidthBytesPerSecond)).toBeGreaterThan(0.5 - 1e-6);
        // It has caught up by the time of each next stall: not more is owed than a few batches.
        for (let i = 1; i <= stallsSeconds.length; i++) {
          const untilSeconds = (i + 0.45) * restSeconds;
          const sentBytes = totalOf(sendings.filter(({ atSeconds }) => atSeconds <= untilSeconds));
          const owedBytes = bandwidthBytesPerSecond * untilSeconds - sentBytes;
          expect(owedBytes).toBeLessThan(3 * batchBytes);
        }
      }),
      { numRuns: 10 },
    );
  });

  test("a stall of ten seconds: no more than one second, and a unit, is made up for", () => {
    const pacer = new Pacer(paced(3600));
    const stallSeconds = 100 * sliceSeconds + 10;
    const mostBytes = bandwidthBytesPerSecond * Math.max(1, sliceSeconds) + unitBytes;
    expect(pacer.owedBytes(stallSeconds, 0)).toBeCloseTo(mostBytes, 1);
    // The rest is forgiven for good.
    const sentBytes = mostBytes;
    expect(pacer.owedBytes(stallSeconds, sentBytes)).toBeLessThan(1);
    const laterSeconds = stallSeconds + 10;
    const dueBytes = pacer.owedBytes(laterSeconds, sentBytes + bandwidthBytesPerSecond * 10);
    expect(Math.abs(dueBytes)).toBeLessThanOrEqual(batchBytes + 1);
  });

  test("24 hours: no drift", () => {
    const pace = paced(DAY_SECONDS);
    // The last of them wake by wake, and the rest at some moments.
    const fromSeconds = Math.max(0, DAY_SECONDS - WAKE_UPS * sliceSeconds);
    const before = Math.floor((bandwidthBytesPerSecond * fromSeconds + ROUNDING_BYTES) / unitBytes) * unitBytes;
    const sendings = simulate(pace, { fromSeconds, lateSeconds: () => 1e-9 });
    const plannedBytes = bandwidthBytesPerSecond * DAY_SECONDS;
    expect(Math.abs(plannedBytes - before - totalOf(sendings))).toBeLessThanOrEqual(unitBytes);
    expect(leastSpacing(sendings, bandwidthBytesPerSecond)).toBeGreaterThan(0.5 - 1e-3);
    for (const share of [1e-6, 0.001, 0.1, 1 / 3, 0.5, 0.777_777, 0.999_999]) {
      const slice = Math.floor((DAY_SECONDS * share) / sliceSeconds);
      const pacer = new Pacer(paced(2 * DAY_SECONDS));
      const inSliceSeconds = (slice + 0.5) * sliceSeconds;
      const dueBytes = pacer.dueBytes(inSliceSeconds, Math.round(slice * batchBytesOf(pace)));
      expect(Math.abs(dueBytes - batchBytesOf(pace))).toBeLessThanOrEqual(1);
      expect(pacer.nextSeconds(inSliceSeconds, Math.round((slice + 1) * batchBytesOf(pace)))).toBeCloseTo(
        (slice + 1) * sliceSeconds,
        6,
      );
    }
  });
});

test.each([
  ["1 kb/s", 125, 1032],
  ["9.6 kb/s", 1200, 1032],
  ["64 kb/s of small packets", 8000, 208],
])("a whole day wake by wake, often late: %s", (_name, bandwidthBytesPerSecond, unitBytes) => {
  const pace = planned({ bandwidthBytesPerSecond, lengthBytes: unitBytes - 8, durationSeconds: DAY_SECONDS });
  const sendings = simulate(pace, { lateSeconds: (wakeUp) => (wakeUp % 7) * 1e-4 + (wakeUp % 100 === 0 ? 0.5 : 0) });
  expectWhole(sendings, pace);
  expectNeverAhead(sendings, pace);
});

describe("debt", () => {
  // A unit of nothing: what is left of a debt shows by itself.
  const pace = sliced({ bandwidthBytesPerSecond: 1000, durationSeconds: 100, unitBytes: 0 });

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

  test.each([true, false])("a packet that takes longer than a second is not forgiven before (even: %p)", (isEven) => {
    const sliceSeconds = isEven ? 1032 / 125 : SLICE_SECONDS;
    const slow = { bandwidthBytesPerSecond: 125, durationSeconds: 20, sliceSeconds, unitBytes: 1032, isEven };
    expect(simulate(slow).map(({ bytes }) => bytes)).toEqual([1032, 1032]);
  });

  test("slices longer than a second may be due whole", () => {
    const pacer = new Pacer({ ...pace, sliceSeconds: 4 });
    expect(pacer.dueBytes(0, 0)).toBeCloseTo(4000, 6);
    expect(pacer.nextSeconds(0, 4000)).toBe(4);
  });

  test.each([true, false])("what was sent beyond the plan is waited for (even: %p)", (isEven) => {
    const pacer = new Pacer({ ...pace, bandwidthBytesPerSecond: 100, isEven });
    pacer.sent(0, 16);
    expect(pacer.dueBytes(0, 16)).toBeCloseTo(-11, 6);
    expect(pacer.dueBytes(0.1, 16)).toBeCloseTo(-1, 6);
    expect(pacer.dueBytes(0.15, 16)).toBeCloseTo(4, 6);
  });
});

describe("slices", () => {
  const pace = sliced({ bandwidthBytesPerSecond: 1000 });

  test.each([
    [0, 0.05],
    [0.049, 0.05],
    [0.05, 0.1],
    [0.05 - 1e-12, 0.1],
    [0.150_000_000_000_000_02, 0.2],
    [3, 3.05],
  ])("at %p s the next begins at %p s", (elapsed, next) => {
    const pacer = new Pacer(pace);
    expect(pacer.nextSeconds(elapsed, 1000 * (elapsed + SLICE_SECONDS))).toBeCloseTo(next, 9);
    // What is left in the slice does not matter: it was not taken because it cannot leave.
    expect(pacer.nextSeconds(elapsed, 0)).toBeCloseTo(next, 9);
  });

  test.each([true, false])("nothing more becomes due behind the duration (even: %p)", (isEven) => {
    const pacer = new Pacer({ ...pace, durationSeconds: 0.12, isEven });
    expect(pacer.owedBytes(0.1, 0)).toBeCloseTo(120, 6);
    expect(pacer.owedBytes(50, 0)).toBeCloseTo(120, 6);
    expect(pacer.dueBytes(50, 0)).toBeCloseTo(isEven ? 50 : 120, 6);
    expect(pacer.dueBytes(50, 120)).toBeCloseTo(0, 6);
  });
});

describe("catching up", () => {
  // A packet of 100 bytes every 0.1 s.
  const pace: Pace = { ...sliced({ bandwidthBytesPerSecond: 1000 }), sliceSeconds: 0.1, unitBytes: 100, isEven: true };

  test("at twice the speed, packet by packet, until nothing is owed", () => {
    const lateSeconds = (wakeUp: number) => (wakeUp === 0 ? 0.45 : 0);
    const times = simulate({ ...pace, durationSeconds: 1.2 }, { lateSeconds }).map(({ atSeconds }) => atSeconds);
    const expected = [0, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1, 1.1];
    expect(times).toHaveLength(expected.length);
    for (const [index, seconds] of expected.entries()) expect(times[index]).toBeCloseTo(seconds, 9);
  });

  test.each([1e6, 10e6, 50e6])("wake-ups that are all 5 ms late, at %d b/s: the plan is kept up with", (bits) => {
    const pace = planned({ family: "udp", bandwidthBytesPerSecond: bits / 8, durationSeconds: 10 });
    const sendings = simulate(pace, { lateSeconds: () => 0.005 });
    expectWhole(sendings, pace);
    expect(sendings.at(-1)?.atSeconds).toBeLessThan(10 + 0.6);
  });

  test("nothing is due before a batch's least time is over, and it says when that is", () => {
    const pacer = new Pacer(pace);
    pacer.sent(0.5, 100);
    expect(pacer.owedBytes(0.5, 100)).toBeCloseTo(500, 6);
    expect(pacer.dueBytes(0.5, 100)).toBe(0);
    expect(pacer.nextSeconds(0.5, 100)).toBeCloseTo(0.55, 9);
    expect(pacer.dueBytes(0.549_999, 100)).toBe(0);
    expect(pacer.dueBytes(0.55, 100)).toBeCloseTo(100, 6);
  });

  test("a call that moved nothing holds nothing up, and sets nothing free", () => {
    const pacer = new Pacer(pace);
    pacer.sent(0.5, 0);
    expect(pacer.dueBytes(0.5, 0)).toBeCloseTo(100, 6);
    pacer.sent(0.5, 100);
    pacer.sent(0.52, 0);
    expect(pacer.dueBytes(0.53, 100)).toBe(0);
  });
});

test.each([true, false])("no limit: anything is due at any time (even: %p)", (isEven) => {
  const pacer = new Pacer(sliced({ bandwidthBytesPerSecond: 0, durationSeconds: 1, isEven }));
  for (const [elapsed, sent] of [
    [0, 0],
    [0.5, 1e15],
    [100, 2 ** 53],
  ] as const) {
    expect(pacer.dueBytes(elapsed, sent)).toBe(Infinity);
  }
});

describe.each(EVEN)("forgiven, %s", (_name, family, bandwidthBytesPerSecond) => {
  test.each([true, false])("nothing that was owed leaves later, and all else does; evenly: %p", (isEven) => {
    const even = planned({ family, bandwidthBytesPerSecond, durationSeconds: 20 });
    const pace = isEven ? even : sliced({ bandwidthBytesPerSecond, durationSeconds: 20, unitBytes: even.unitBytes });
    const pacer = new Pacer(pace);
    const sentBytes = Math.floor((5 * bandwidthBytesPerSecond) / pace.unitBytes) * pace.unitBytes;
    // From the 5th second to the 9th nothing was sent.
    pacer.forgive(9, sentBytes);
    expect(Math.abs(pacer.owedBytes(9, sentBytes))).toBeLessThanOrEqual(ROUNDING_BYTES);
    const left = pacer.owedBytes(9.8, sentBytes);
    expect(Math.abs(left - 0.8 * bandwidthBytesPerSecond)).toBeLessThanOrEqual(
      bandwidthBytesPerSecond * pace.sliceSeconds + ROUNDING_BYTES,
    );
  });
});

test("a sender without a limit owes nothing, and is forgiven nothing", () => {
  const pacer = new Pacer(sliced({ bandwidthBytesPerSecond: 0 }));
  pacer.forgive(3, 1e9);
  expect(pacer.dueBytes(3, 1e9)).toBe(Infinity);
});
