import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ReadRate } from "../../../src/streams/read-rate.ts";

/** Reads so many bytes every `gapSeconds`; gives the time of the last read. */
function readEvenly(rate: ReadRate, gapSeconds: number, bytes: number, reads = 1000, fromSeconds = 0): number {
  for (let i = 1; i <= reads; i++) rate.read(fromSeconds + i * gapSeconds, bytes);
  return fromSeconds + reads * gapSeconds;
}

describe("looking again", () => {
  test.each<[string, number, number, boolean]>([
    ["1 Mb/s in packets", 0.008_192, 1024, false],
    ["10 Mb/s in packets", 0.000_819_2, 1024, false],
    ["100 Mb/s in packets", 0.000_081_92, 1024, false],
    ["10 Gb/s in groups", 0.000_05, 62_500, true],
    ["100 Gb/s in megabytes", 0.000_08, 1_000_000, true],
    ["a million small packets a second", 0.000_001, 64, true],
  ])("at %s", (_name, gapSeconds, bytes, shouldLook) => {
    const rate = new ReadRate();
    const atSeconds = readEvenly(rate, gapSeconds, bytes);
    expect(rate.shouldLookAgain(atSeconds + 1e-6)).toBe(shouldLook);
  });

  test("not before anything was read, nor for the first reads", () => {
    const rate = new ReadRate();
    expect(rate.shouldLookAgain(0)).toBe(false);
    rate.read(5, 1_000_000);
    rate.read(5.000_05, 1000);
    expect(rate.shouldLookAgain(5.000_051)).toBe(false);
  });

  test("only for as long as data may come at once, however fast it was", () => {
    const rate = new ReadRate();
    const atSeconds = readEvenly(rate, 0.000_05, 62_500);
    expect(rate.shouldLookAgain(atSeconds + 10e-6)).toBe(true);
    expect(rate.shouldLookAgain(atSeconds + 0.001)).toBe(false);
    expect(rate.shouldLookAgain(atSeconds + 3600)).toBe(false);
  });

  test("a pause does not outweigh a hundred fast reads, and slow ones end it", () => {
    const rate = new ReadRate();
    const before = readEvenly(rate, 0.000_05, 62_500);
    rate.read(before + 60, 62_500);
    const after = readEvenly(rate, 0.000_05, 62_500, 100, before + 60);
    expect(rate.shouldLookAgain(after)).toBe(true);
    const slow = readEvenly(rate, 0.000_8, 1024, 100, after);
    expect(rate.shouldLookAgain(slow)).toBe(false);
  });
});

describe("resting", () => {
  const MOST_BYTES = 100_000;

  test("not before anything was read", () => {
    expect(new ReadRate().restSeconds(MOST_BYTES)).toBe(0);
  });

  test("not where nothing may wait", () => {
    const rate = new ReadRate();
    readEvenly(rate, 0.000_1, 1024);
    expect(rate.restSeconds(0)).toBe(0);
  });

  test.each([
    ["100 Mb/s", 0.000_081_92, 1024],
    ["500 Mb/s", 0.000_1, 6250],
    ["1 Gb/s", 0.000_1, 12_500],
  ])("at %s: several reads at once, no more than may wait, and no longer than a few milliseconds", (...args) => {
    const [, gapSeconds, bytes] = args;
    const rate = new ReadRate();
    readEvenly(rate, gapSeconds, bytes);
    const restSeconds = rate.restSeconds(MOST_BYTES);
    expect(restSeconds).toBeGreaterThan(gapSeconds);
    expect((restSeconds / gapSeconds) * bytes).toBeLessThanOrEqual(MOST_BYTES * 1.001);
    expect(restSeconds).toBeLessThanOrEqual(0.01);
  });

  test("where data is rare a rest saves nothing", () => {
    const rate = new ReadRate();
    readEvenly(rate, 0.01, 1024);
    expect(rate.restSeconds(MOST_BYTES)).toBe(0);
  });

  test("whatever comes, it is never negative, and never longer than a few milliseconds", () => {
    const reads = fc.array(
      fc.tuple(fc.double({ min: 0, max: 0.1, noNaN: true }), fc.integer({ min: 1, max: 1_000_000 })),
      { minLength: 1, maxLength: 50 },
    );
    fc.assert(
      fc.property(reads, fc.nat({ max: 1_000_000 }), (gaps, mostBytes) => {
        const rate = new ReadRate();
        let nowSeconds = 0;
        for (const [gapSeconds, bytes] of gaps) {
          nowSeconds += gapSeconds;
          rate.read(nowSeconds, bytes);
        }
        const restSeconds = rate.restSeconds(mostBytes);
        expect(restSeconds).toBeGreaterThanOrEqual(0);
        expect(restSeconds).toBeLessThanOrEqual(0.01);
      }),
    );
  });
});
