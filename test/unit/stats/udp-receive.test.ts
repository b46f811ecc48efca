import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { UdpReceiveInterval } from "../../../src/stats/interval.ts";
import { type ReceivedPacket, UdpReceiveStats } from "../../../src/stats/udp-receive.ts";

const FRAMED_BYTES = 1032;

function packet(packetId: number, changes: Partial<ReceivedPacket> = {}): ReceivedPacket {
  const sentSeconds = packetId / 100;
  return {
    packetId,
    sentSeconds,
    receivedSeconds: sentSeconds,
    framedBytes: FRAMED_BYTES,
    isOmitted: false,
    ...changes,
  };
}

/** One interval for each list of ids. */
function intervalsOf(lists: readonly (readonly number[])[]): UdpReceiveInterval[] {
  const stats = new UdpReceiveStats();
  return lists.map((ids, index) => {
    for (const id of ids) stats.add(packet(id));
    return stats.take(1000 + index, 1, null);
  });
}

/** received, lost, out of order, duplicated, longest run */
type Counts = readonly [number, number, number, number, number];

function countsOf(interval: UdpReceiveInterval): Counts {
  const { packetsReceived, packetsLost, packetsOutOfOrder, packetsDuplicated, unbrokenSequence } = interval;
  return [packetsReceived, packetsLost, packetsOutOfOrder, packetsDuplicated, unbrokenSequence];
}

describe("each interval's received, lost, out of order, duplicated, longest run", () => {
  test.each<[string, number[][], Counts[]]>([
    ["nothing", [[]], [[0, 0, 0, 0, 0]]],
    ["in order", [[0, 1, 2, 3]], [[4, 0, 0, 0, 4]]],
    ["a gap starts a run of its own", [[0, 1, 5, 6, 7]], [[5, 3, 0, 0, 3]]],
    ["a late packet fills its gap and breaks the run", [[0, 2, 1, 3]], [[4, 0, 1, 0, 1]]],
    ["a late packet among others", [[0, 1, 4, 5, 2, 6, 7, 8]], [[8, 1, 1, 0, 3]]],
    ["a duplicate counts as received and breaks the run", [[0, 1, 1, 2]], [[4, 0, 0, 1, 2]]],
    ["as many duplicates as packets", [[0, 0, 1, 1]], [[4, 0, 0, 2, 1]]],
    [
      "the sequence goes on over the boundary",
      [
        [0, 1],
        [2, 3],
      ],
      [
        [2, 0, 0, 0, 2],
        [2, 0, 0, 0, 2],
      ],
    ],
    [
      "a gap over the boundary belongs to where it was seen",
      [[0, 1], [4]],
      [
        [2, 0, 0, 0, 2],
        [1, 2, 0, 0, 1],
      ],
    ],
    [
      "late over the boundary is late, and no negative loss",
      [
        [0, 2],
        [1, 3],
      ],
      [
        [2, 1, 0, 0, 1],
        [2, 0, 1, 0, 1],
      ],
    ],
    [
      "late over the boundary takes nothing twice",
      [
        [0, 2],
        [1, 1],
      ],
      [
        [2, 1, 0, 0, 1],
        [2, 0, 1, 1, 0],
      ],
    ],
    [
      "late over the boundary, with a gap of the interval's own",
      [
        [0, 2],
        [4, 1, 5],
      ],
      [
        [2, 1, 0, 0, 1],
        [3, 0, 1, 0, 1],
      ],
    ],
    [
      "a duplicate over the boundary",
      [[0, 1], [1]],
      [
        [2, 0, 0, 0, 2],
        [1, 0, 0, 1, 0],
      ],
    ],
    ["a duplicate while one is missing is no late packet", [[0, 2, 2, 3]], [[4, 1, 0, 1, 1]]],
    ["an id out of any sequence is not counted, and breaks no run", [[0, 1, 1e9, 2, 2 ** 63, 3]], [[4, 0, 0, 0, 4]]],
    ["a jump borne out by the next packet counts both", [[0, 1e9, 1e9 + 2, 1e9 + 3]], [[4, 1e9, 0, 0, 2]]],
    ["a jump borne out by a packet before it", [[0, 1e9, 1e9 - 2, 1e9 + 1]], [[4, 1e9 - 2, 1, 0, 1]]],
    [
      "a jump over the boundary belongs to where it was borne out",
      [
        [0, 1e9],
        [1e9 + 1, 1e9 + 2],
      ],
      [
        [1, 0, 0, 0, 1],
        [3, 1e9 - 1, 0, 0, 3],
      ],
    ],
    [
      "an empty interval between",
      [[0], [], [1]],
      [
        [1, 0, 0, 0, 1],
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 1],
      ],
    ],
  ])("%s", (_name, lists, expected) => {
    const intervals = intervalsOf(lists);
    expect(intervals.map(countsOf)).toEqual(expected);
    expect(intervals.map((interval) => interval.bytesReceived)).toEqual(expected.map(([n]) => n * FRAMED_BYTES));
  });
});

test("an interval tells its times, and omitted only where asked", () => {
  const stats = new UdpReceiveStats();
  stats.add(packet(0));
  const interval = stats.take(1_700_000_000.25, 1.5, null);
  expect(interval).toEqual({
    family: "udp",
    kind: "receive",
    timestampSeconds: 1_700_000_000.25,
    durationSeconds: 1.5,
    bytesReceived: FRAMED_BYTES,
    packetsReceived: 1,
    packetsLost: 0,
    packetsOutOfOrder: 0,
    packetsDuplicated: 0,
    unbrokenSequence: 1,
    jitterSeconds: null,
  });
  expect("omitted" in interval).toBe(false);
  expect(stats.take(0, 1, 0).omitted).toEqual({
    durationSeconds: 0,
    bytesReceived: 0,
    packetsReceived: 0,
    packetsOutOfOrder: 0,
    packetsDuplicated: 0,
  });
});

test("jitter is that of the longest run in order, whatever late packets and duplicates do", () => {
  const stats = new UdpReceiveStats();
  const arrive = (id: number, delayMs: number) => stats.add(packet(id, { receivedSeconds: id / 100 + delayMs / 1000 }));
  // A run of three with differences of 4 ms and 20 ms, a duplicate and a late packet with huge delays, a run of two.
  arrive(1, 0);
  arrive(2, 4);
  arrive(3, 24);
  arrive(0, 900);
  arrive(0, 900);
  arrive(4, 0);
  arrive(5, 7);
  const interval = stats.take(0, 1, null);
  expect(interval.unbrokenSequence).toBe(3);
  expect(interval.jitterSeconds).toBeCloseTo(0.005, 9);
});

describe("a group of packets of the same times", () => {
  function groupsOf(groups: readonly (readonly [firstId: number, followers: number, delayMs: number])[]) {
    const stats = new UdpReceiveStats();
    for (const [firstId, followers, delayMs] of groups) {
      const first = packet(firstId, { sentSeconds: firstId, receivedSeconds: firstId + 100 + delayMs / 1000 });
      stats.add(first);
      if (followers > 0) stats.addFollowers(first, followers);
    }
    return stats.take(0, 1, null);
  }

  test.each<[string, [number, number, number][], Counts, number]>([
    ["in order", [[0, 3, 0]], [4, 0, 0, 0, 4], 0],
    [
      "one after another",
      [
        [0, 1, 0],
        [2, 2, 16],
      ],
      [5, 0, 0, 0, 5],
      0.879,
    ],
    [
      "behind a gap",
      [
        [0, 1, 0],
        [5, 3, 0],
      ],
      [6, 3, 0, 0, 4],
      0,
    ],
    [
      "a group that came already",
      [
        [0, 3, 0],
        [0, 3, 9],
      ],
      [8, 0, 0, 4, 4],
      0,
    ],
    [
      "the end of it came already",
      [
        [0, 4, 0],
        [3, 3, 9],
      ],
      [9, 0, 0, 2, 5],
      0,
    ],
    [
      "late",
      [
        [0, 0, 0],
        [4, 0, 0],
        [1, 2, 5],
      ],
      [5, 0, 3, 0, 1],
      NaN,
    ],
    // The run begins behind the duplicate: with the first packet that is in order.
    [
      "behind a duplicate",
      [
        [0, 1, 0],
        [1, 3, 0],
        [5, 0, 16],
      ],
      [7, 0, 0, 1, 4],
      1,
    ],
    [
      "behind a duplicate, while one is missing",
      [
        [1, 1, 0],
        [2, 3, 0],
        [6, 0, 16],
      ],
      [7, 1, 0, 1, 4],
      1,
    ],
  ])("%s", (_name, groups, counts, jitterMs) => {
    const interval = groupsOf(groups);
    expect(countsOf(interval)).toEqual(counts);
    if (Number.isNaN(jitterMs)) expect(interval.jitterSeconds).toBeNull();
    else expect((interval.jitterSeconds ?? NaN) * 1000).toBeCloseTo(jitterMs, 3);
  });
});

describe("properties", () => {
  const ids = fc.array(fc.nat({ max: 80 }), { minLength: 1, maxLength: 150 });
  const kept = fc.array(fc.boolean(), { minLength: 1, maxLength: 200 }).filter((flags) => flags.includes(true));

  test("packets lost alone: received + lost = highest id + 1, over any boundaries", () => {
    fc.assert(
      fc.property(kept, fc.nat({ max: 20 }), (flags, perInterval) => {
        const arrived = flags.flatMap((isKept, id) => (isKept ? [id] : []));
        const size = perInterval + 1;
        const lists = Array.from({ length: Math.ceil(arrived.length / size) }, (_, index) =>
          arrived.slice(index * size, (index + 1) * size),
        );
        const intervals = intervalsOf(lists);
        const received = intervals.reduce((sum, interval) => sum + interval.packetsReceived, 0);
        const lost = intervals.reduce((sum, interval) => sum + interval.packetsLost, 0);
        expect(received + lost).toBe((arrived.at(-1) ?? NaN) + 1);
        for (const interval of intervals) {
          expect([interval.packetsOutOfOrder, interval.packetsDuplicated]).toEqual([0, 0]);
        }
      }),
    );
  });

  test("any order and repetition: received - duplicated + lost = highest id + 1", () => {
    fc.assert(
      fc.property(ids, (arrived) => {
        const [interval] = intervalsOf([arrived]);
        if (interval === undefined) throw new Error("no interval");
        expect(interval.packetsReceived).toBe(arrived.length);
        expect(interval.packetsReceived - interval.packetsDuplicated + interval.packetsLost).toBe(
          Math.max(...arrived) + 1,
        );
      }),
    );
  });

  test("no interval tells a negative count, over any boundaries", () => {
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 5 }), (lists) => {
        for (const interval of intervalsOf(lists)) expect(Math.min(...countsOf(interval))).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test("packets that come in one group are counted as if each had come by itself", () => {
    const group = fc.record({
      /** From the id that would be in order: late, again, or behind a gap. */
      offset: fc.integer({ min: -6, max: 3 }),
      followers: fc.integer({ min: 0, max: 12 }),
      delayMs: fc.integer({ min: 0, max: 50 }),
      framedBytes: fc.integer({ min: 44, max: 2000 }),
      isOmitted: fc.boolean(),
      endsInterval: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(group, { minLength: 1, maxLength: 30 }), (groups) => {
        const grouped = new UdpReceiveStats();
        const single = new UdpReceiveStats();
        const intervals: (readonly [UdpReceiveInterval, UdpReceiveInterval])[] = [];
        let expectedId = 0;
        for (const { offset, followers, delayMs, framedBytes, isOmitted, endsInterval } of groups) {
          const firstId = Math.max(0, expectedId + offset);
          expectedId = Math.max(expectedId, firstId + followers + 1);
          const sentSeconds = firstId / 100;
          const receivedSeconds = sentSeconds + delayMs / 1000;
          const first = packet(firstId, { sentSeconds, receivedSeconds, framedBytes, isOmitted });
          grouped.add(first);
          if (followers > 0) grouped.addFollowers(first, followers);
          for (let i = 0; i <= followers; i++) single.add({ ...first, packetId: firstId + i });
          if (endsInterval) intervals.push([grouped.take(0, 1, 0.5), single.take(0, 1, 0.5)]);
        }
        intervals.push([grouped.take(0, 1, 0.5), single.take(0, 1, 0.5)]);
        for (const [{ jitterSeconds, ...taken }, { jitterSeconds: expectedSeconds, ...expected }] of intervals) {
          expect(taken).toEqual(expected);
          if (expectedSeconds === null) expect(jitterSeconds).toBeNull();
          else expect(jitterSeconds).toBeCloseTo(expectedSeconds, 12);
        }
      }),
    );
  });

  test("omitted and not omitted packets are a partition of all", () => {
    const packets = fc.array(fc.tuple(fc.nat({ max: 40 }), fc.boolean(), fc.integer({ min: 44, max: 2000 })));
    fc.assert(
      fc.property(packets, (arrivals) => {
        const all = new UdpReceiveStats();
        // The same arrivals with the marks turned round: what was omitted is counted and the other way round.
        const inverse = new UdpReceiveStats();
        for (const [id, isOmitted, framedBytes] of arrivals) {
          all.add(packet(id, { isOmitted, framedBytes }));
          inverse.add(packet(id, { isOmitted: !isOmitted, framedBytes }));
        }
        const whole = all.take(0, 1, 0.5);
        const other = inverse.take(0, 1, 0.5);
        const { omitted } = whole;
        const rest = other.omitted;
        if (omitted === undefined || rest === undefined) throw new Error("omitted is missing");
        const marked = arrivals.filter(([, isOmitted]) => isOmitted);
        expect(omitted.packetsReceived).toBe(marked.length);
        expect(omitted.bytesReceived).toBe(marked.reduce((sum, [, , framedBytes]) => sum + framedBytes, 0));
        for (const key of ["bytesReceived", "packetsReceived", "packetsOutOfOrder", "packetsDuplicated"] as const) {
          expect(omitted[key] + rest[key]).toBe(whole[key]);
        }
      }),
    );
  });
});
