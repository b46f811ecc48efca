import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { JitterMeter } from "../../../src/stats/jitter.ts";
import { ArrivalClock } from "../../../src/streams/arrival-clock.ts";

const HOUR_SECONDS = 3600;

test("before any observation nothing is known; what is not told stays so", () => {
  const clock = new ArrivalClock();
  expect(clock.monotonicSecondsOf(5)).toBeNaN();
  clock.observe(1000, 10);
  expect(clock.monotonicSecondsOf(Number.NaN)).toBeNaN();
});

test("a wall-clock time becomes the monotonic one of the same moment", () => {
  const clock = new ArrivalClock();
  clock.observe(1000.25, 10);
  expect(clock.monotonicSecondsOf(1000.25)).toBe(10);
  expect(clock.monotonicSecondsOf(1000.125)).toBe(9.875);
  expect(clock.monotonicSecondsOf(999)).toBe(8.75);
});

test("what one reading of both clocks is off by changes nothing: differences of arrivals stay exact", () => {
  const errors = fc.array(fc.double({ min: 0, max: 0.000_3, noNaN: true }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(errors, (offBySeconds) => {
      const clock = new ArrivalClock();
      const times = offBySeconds.map((errorSeconds, index) => {
        clock.observe(500 + index, 100 + index + errorSeconds);
        return clock.monotonicSecondsOf(500 + index);
      });
      for (const [index, seconds] of times.entries()) expect(seconds - (times[0] ?? NaN)).toBeCloseTo(index, 9);
    }),
  );
});

describe.each([HOUR_SECONDS, -HOUR_SECONDS, 0.25, -0.25])("a wall clock that is set by %d s", (stepSeconds) => {
  const GAP_SECONDS = 0.001;
  const PACKETS = 400;
  const STEP_AT = 200;
  /** By what the readings of both clocks differ, in turn. */
  const READING_ERRORS = [0, 2e-6, 50e-6, 1e-6, 120e-6];

  function arrivals(): number[] {
    const clock = new ArrivalClock();
    return Array.from({ length: PACKETS }, (_, index) => {
      const monotonicSeconds = 50 + index * GAP_SECONDS;
      const wallSeconds = 900 + index * GAP_SECONDS + (index < STEP_AT ? 0 : stepSeconds);
      // Each packet is read a little later than it came.
      const errorSeconds = READING_ERRORS[index % READING_ERRORS.length] ?? 0;
      clock.observe(wallSeconds + 20e-6, monotonicSeconds + 20e-6 + errorSeconds);
      return clock.monotonicSecondsOf(wallSeconds);
    });
  }

  test("moves no arrival by more than one reading is off by", () => {
    for (const [index, seconds] of arrivals().entries()) {
      expect(Math.abs(seconds - (50 + index * GAP_SECONDS))).toBeLessThan(150e-6);
    }
  });

  test("does not show in the jitter", () => {
    const meter = new JitterMeter();
    for (const [index, seconds] of arrivals().entries()) meter.inOrder(index * GAP_SECONDS, seconds);
    const { packets, jitterSeconds } = meter.take();
    expect(packets).toBe(PACKETS);
    expect(jitterSeconds).toBeLessThan(1e-6);
  });
});

describe.each([HOUR_SECONDS, -HOUR_SECONDS, 2, -2, 0.25, -0.25])(
  "a wall clock that is set by %d s between packets' arrival and their reading",
  (stepSeconds) => {
    const GAP_SECONDS = 0.001;
    const PACKETS = 40;
    /** So many are read at once. */
    const BATCH = 5;
    const STEPPED_BATCH = 4;
    const FIRST_STEPPED = STEPPED_BATCH * BATCH;

    function arrivals(): number[] {
      const clock = new ArrivalClock();
      return Array.from({ length: PACKETS }, (_, index) => {
        const batch = Math.floor(index / BATCH);
        const nowSeconds = 50 + (batch + 1) * BATCH * GAP_SECONDS;
        // The clock is set when the packets of one batch are all there, and nobody has read them.
        const offsetNow = 850 + (batch < STEPPED_BATCH ? 0 : stepSeconds);
        const offsetThen = 850 + (batch <= STEPPED_BATCH ? 0 : stepSeconds);
        if (index % BATCH === 0) clock.observe(nowSeconds + offsetNow, nowSeconds);
        return clock.receivedSecondsOf(50 + index * GAP_SECONDS + offsetThen, nowSeconds);
      });
    }

    test("moves those alone, and by no more than they waited", () => {
      for (const [index, seconds] of arrivals().entries()) {
        const isStepped = index >= FIRST_STEPPED && index < FIRST_STEPPED + BATCH;
        const offSeconds = Math.abs(seconds - (50 + index * GAP_SECONDS));
        expect(offSeconds).toBeLessThan(isStepped ? (BATCH + 1) * GAP_SECONDS : 1e-9);
      }
    });

    test("costs the jitter no more than their own samples", () => {
      const meter = new JitterMeter();
      for (const [index, seconds] of arrivals().entries()) meter.inOrder(index * GAP_SECONDS, seconds);
      // Each sample weighs a sixteenth (RFC 3550, 6.4.1).
      expect(meter.take().jitterSeconds).toBeLessThan(((BATCH + 1) * BATCH * GAP_SECONDS) / 16);
    });
  },
);

test("what is read is never from the future, nor from before any packet could wait", () => {
  const clock = new ArrivalClock();
  clock.observe(1000, 100);
  expect(clock.receivedSecondsOf(Number.NaN, 100)).toBe(100);
  expect(clock.receivedSecondsOf(1002, 101)).toBe(101);
  expect(clock.receivedSecondsOf(991, 102)).toBe(102);
  expect(clock.receivedSecondsOf(1003, 103.5)).toBe(103);
  expect(clock.receivedSecondsOf(1002, 103.5)).toBe(103);
});
