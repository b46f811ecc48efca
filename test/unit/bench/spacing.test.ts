import { describe, expect, test } from "bun:test";
import type { CapturedPacket } from "../../bench/pcap.ts";
import { spacingOf } from "../../bench/spacing.ts";

const MS = 1e6;

/** Packets of 1000 bytes, unless told, at these times. */
function capture(timesMs: readonly number[], payloadBytes: (index: number) => number = () => 1000): CapturedPacket[] {
  return timesMs.map((timeMs, index) => ({
    family: "udp",
    atNanoseconds: timeMs * MS,
    sourcePort: 1,
    destinationPort: 2,
    payloadBytes: payloadBytes(index),
  }));
}

const everyMs = (count: number, startMs = 0) => Array.from({ length: count }, (_, index) => startMs + index);

describe("spacing", () => {
  test("an even sender: no deviation, bursts of one packet", () => {
    expect(spacingOf(capture(everyMs(101)), 1000, 0)).toEqual({
      datagrams: 101,
      evenGapNanoseconds: MS,
      deviationP99Nanoseconds: 0,
      largestBurstBytes: 1000,
    });
  });

  test("one packet late by half a gap: two gaps deviate", () => {
    const late = everyMs(1001).map((timeMs) => (timeMs === 500 ? 500.5 : timeMs));
    expect(spacingOf(capture(late), 1000, 0)).toMatchObject({ deviationP99Nanoseconds: 0, largestBurstBytes: 1000 });
    const oftenLate = everyMs(101).map((timeMs) => (timeMs % 20 === 10 ? timeMs + 0.5 : timeMs));
    expect(spacingOf(capture(oftenLate), 1000, 0)).toMatchObject({ deviationP99Nanoseconds: 0.5 * MS });
  });

  test("a burst is a run of gaps below a quarter of the even gap", () => {
    // 10 packets a burst every 10 ms, 0.1 ms apart; the even gap is about 1 ms.
    const bursts = Array.from({ length: 100 }, (_, index) => Math.floor(index / 10) * 10 + (index % 10) * 0.1);
    expect(spacingOf(capture(bursts), 1000, 0)?.largestBurstBytes).toBe(10_000);
    // Half the even gap apart: no burst.
    const pairs = Array.from({ length: 100 }, (_, index) => Math.floor(index / 2) * 2 + (index % 2) * 0.5);
    expect(spacingOf(capture(pairs), 1000, 0)?.largestBurstBytes).toBe(1000);
  });

  test("the longest run counts, not the last, and it may stand at the end", () => {
    const triple = [...everyMs(20), 20, 20, 20, ...everyMs(20, 21), 41, 41];
    expect(spacingOf(capture(triple), 1000, 0)?.largestBurstBytes).toBe(3000);
    const atEnd = [...everyMs(20), 20, 20, ...everyMs(20, 21), 41, 41, 41, 41];
    expect(spacingOf(capture(atEnd), 1000, 0)?.largestBurstBytes).toBe(4000);
  });

  test("a super-packet is as many datagrams as it holds, all at one time", () => {
    const every10Ms = everyMs(20).map((index) => index * 10);
    expect(
      spacingOf(
        capture(every10Ms, () => 10_000),
        1000,
        0,
      ),
    ).toMatchObject({
      datagrams: 200,
      largestBurstBytes: 10_000,
    });
    // The last segment may be shorter.
    expect(
      spacingOf(
        capture(every10Ms, () => 2_500),
        1000,
        0,
      ),
    ).toMatchObject({
      datagrams: 60,
      largestBurstBytes: 2_500,
    });
  });

  test("two super-packets close to each other are one burst", () => {
    const times = everyMs(20).flatMap((index) => [index * 10, index * 10 + 0.01]);
    expect(
      spacingOf(
        capture(times, () => 5_000),
        1000,
        0,
      )?.largestBurstBytes,
    ).toBe(10_000);
  });

  test("both ends are left out", () => {
    const rough = [0, 0, 0, 0, 0, ...everyMs(101, 5), 110, 110, 110, 110];
    expect(spacingOf(capture(rough), 1000, 0)?.largestBurstBytes).toBe(5000);
    expect(spacingOf(capture(rough), 1000, 5 * MS)).toEqual({
      datagrams: 101,
      evenGapNanoseconds: MS,
      deviationP99Nanoseconds: 0,
      largestBurstBytes: 1000,
    });
  });

  test("too few packets tell nothing", () => {
    expect(spacingOf([], 1000, 0)).toBeNull();
    expect(spacingOf(capture(everyMs(9)), 1000, 0)).toBeNull();
    expect(spacingOf(capture(everyMs(20)), 1000, 8 * MS)).toBeNull();
  });
});
