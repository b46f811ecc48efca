import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { paceOf } from "../../../src/streams/pace-plan.ts";
import { batchBytesOf, mostBatchPackets, planned, RATES, spec } from "./pace-simulation.ts";

const MEGABIT = 1e6 / 8;
/** From here on a batch may be one offload unit, whatever time it takes. */
const WHOLE_UNITS_FROM = 500 * MEGABIT;
const FAMILIES = ["tcp", "udp"] as const;

function packetsAtOnce(changes: Parameters<typeof planned>[0]): number {
  const pace = planned(changes);
  return batchBytesOf(pace) / pace.unitBytes;
}

describe("UDP", () => {
  test.each([0.001, 0.0096, 0.1, 1, 10, 50, 90])("at %d Mb/s packets of 1024 B leave one by one", (megabits) => {
    const pace = planned({ bandwidthBytesPerSecond: megabits * MEGABIT });
    expect(pace.isEven).toBe(true);
    expect(pace.unitBytes).toBe(1032);
    expect(batchBytesOf(pace)).toBeCloseTo(1032, 6);
  });

  test("the higher the rate, the more at once, up to what one call takes", () => {
    const counts = [50, 100, 200, 300, 400, 499, 1000, 100_000].map((megabits) =>
      packetsAtOnce({ bandwidthBytesPerSecond: megabits * MEGABIT }),
    );
    for (const [index, count] of counts.entries()) {
      expect(count).toBeGreaterThanOrEqual((counts[index - 1] ?? 1) - 1e-6);
    }
    expect(counts[5]).toBeGreaterThan(1);
    expect(counts.at(-1)).toBeCloseTo(mostBatchPackets({ family: "udp", lengthBytes: 1024 }), 6);
  });

  const rates = fc.double({ min: Math.log(125), max: Math.log(12.5e9), noNaN: true }).map((log) => Math.exp(log));
  const lengths = fc.oneof(fc.integer({ min: 36, max: 65_507 }), fc.integer({ min: 36, max: 1500 }));

  test("a batch is whole packets, as many as one call takes, and below 500 Mb/s no longer than 1 ms", () => {
    fc.assert(
      fc.property(rates, lengths, (bandwidthBytesPerSecond, lengthBytes) => {
        const most = mostBatchPackets({ family: "udp", lengthBytes });
        const pace = planned({ bandwidthBytesPerSecond, lengthBytes });
        expect(pace).toMatchObject({ bandwidthBytesPerSecond, durationSeconds: 10, isEven: true });
        expect(pace.unitBytes).toBe(lengthBytes + 8);
        const packets = batchBytesOf(pace) / pace.unitBytes;
        expect(Math.abs(packets - Math.round(packets))).toBeLessThan(1e-6);
        expect(Math.round(packets)).toBeGreaterThanOrEqual(1);
        expect(Math.round(packets)).toBeLessThanOrEqual(most);
        if (bandwidthBytesPerSecond < WHOLE_UNITS_FROM && Math.round(packets) > 1) {
          expect(pace.sliceSeconds).toBeLessThanOrEqual(0.001 + 1e-9);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("where one call takes one packet, one it is at any rate", () => {
    for (const [, bandwidthBytesPerSecond] of RATES) {
      const whole = spec({ bandwidthBytesPerSecond });
      expect(batchBytesOf(paceOf(whole, { mostBatchPackets: 1, isPacedByKernel: false }))).toBeCloseTo(1032, 6);
    }
  });
});

describe("TCP", () => {
  test.each(RATES)("at %s: any byte may leave, in steps of no more than a millisecond or a segment", (_name, rate) => {
    const pace = planned({ family: "tcp", bandwidthBytesPerSecond: rate });
    expect(pace).toMatchObject({ bandwidthBytesPerSecond: rate, durationSeconds: 10, unitBytes: 1, isEven: true });
    expect(batchBytesOf(pace)).toBeLessThanOrEqual(Math.max(1460, rate * 0.001) + 1e-6);
    // The receiver hears of it in time, whatever the rate.
    expect(pace.sliceSeconds).toBeLessThanOrEqual(1);
    // And no core is busy with it.
    expect(pace.sliceSeconds).toBeGreaterThanOrEqual(0.0005);
  });

  test.each(RATES)("at %s, where the kernel spreads what is written, in larger steps", (_name, rate) => {
    const pace = planned({ family: "tcp", bandwidthBytesPerSecond: rate }, true);
    const alone = planned({ family: "tcp", bandwidthBytesPerSecond: rate });
    expect(pace).toEqual({ ...alone, sliceSeconds: pace.sliceSeconds });
    expect(pace.sliceSeconds).toBeGreaterThanOrEqual(alone.sliceSeconds);
    // Not so large that it would show beside an interval.
    expect(pace.sliceSeconds).toBeLessThanOrEqual(Math.max(alone.sliceSeconds, 0.02));
  });

  test("the length of a write does not matter", () => {
    for (const [, bandwidthBytesPerSecond] of RATES) {
      const of = (lengthBytes: number) => planned({ family: "tcp", bandwidthBytesPerSecond, lengthBytes });
      expect(of(16)).toEqual(of(1_000_000));
    }
  });
});

describe.each(FAMILIES)("%s", (family) => {
  test.each(RATES)("an explicit send interval gives slices of it, at %s", (_name, bandwidthBytesPerSecond) => {
    for (const sendIntervalSeconds of [0.001, 0.05, 1]) {
      const pace = planned({ family, bandwidthBytesPerSecond, pacing: "slices", sendIntervalSeconds });
      expect(pace).toMatchObject({ bandwidthBytesPerSecond, sliceSeconds: sendIntervalSeconds, isEven: false });
    }
  });

  test("without a limit nothing is held back", () => {
    for (const pacing of ["even", "slices"] as const) {
      const pace = planned({ family, bandwidthBytesPerSecond: 0, pacing });
      expect(pace).toMatchObject({ bandwidthBytesPerSecond: 0, isEven: false });
      expect(pace.sliceSeconds).toBeGreaterThan(0);
    }
  });
});
