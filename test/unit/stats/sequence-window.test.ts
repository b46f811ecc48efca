import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type SequenceVerdict, SequenceWindow } from "../../../src/stats/sequence-window.ts";
import { type Arrival, SequenceOracle } from "./sequence-oracle.ts";

const WINDOW = 2 ** 20;
const V = {
  i: "in-order",
  g: "gap",
  l: "late",
  d: "duplicate",
  a: "aside",
  s: "stray",
} as const satisfies Record<string, SequenceVerdict>;

/** The verdicts' first letters, with a "+" before the packet that bore out the one put aside. */
function judgeAll(sequence: SequenceWindow, ids: readonly number[]): string {
  return ids.map((id) => (sequence.admits(id) ? "+" : "") + letterOf(sequence.judge(id, false))).join("");
}

function letterOf(verdict: SequenceVerdict): string {
  return Object.entries(V).find(([, each]) => each === verdict)?.[0] ?? "?";
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

test.each<[string, number[], string, number[]]>([
  ["in order", [0, 1, 2, 3], "iiii", [0, 0, 0, 0]],
  ["the first is missing", [1, 2], "gi", [1, 0]],
  ["three are missing", [0, 4, 5], "igi", [0, 3, 0]],
  ["two swapped", [0, 2, 1, 3], "igli", [0, 1, 0, 0]],
  ["a duplicate", [0, 1, 1, 2], "iidi", [0, 0, 0, 0]],
  ["a duplicate of the first", [0, 0], "id", [0, 0]],
  ["a duplicate while one is missing", [0, 2, 2, 0], "igdd", [0, 1, 0, 0]],
  ["a duplicate after a late one", [0, 2, 1, 1], "igld", [0, 1, 0, 0]],
  ["two gaps, both filled, then a duplicate", [1, 3, 0, 2, 2], "gglld", [1, 1, 0, 0, 0]],
  ["as far ahead as the window is long", [0, WINDOW], "ig", [0, WINDOW - 1]],
])("%s", (_name, ids, verdicts, skipped) => {
  const sequence = new SequenceWindow();
  const judged = ids.map((id) => {
    const verdict = sequence.judge(id, false);
    return [verdict, verdict === "gap" ? sequence.skipped : 0];
  });
  expect(judged).toEqual(
    verdicts.split("").map((letter, index) => [V[letter as keyof typeof V], skipped[index] ?? NaN]),
  );
});

describe("ids out of the window", () => {
  const far = WINDOW * 5;

  test.each<[string, number[], string, number, number]>([
    ["one ahead is put aside", [0, WINDOW + 1, 1, 2], "iaii", 3, 1],
    ["the next one bears it out", [0, far, far + 1], "ia+i", 3, 0],
    ["one near ahead bears it out", [0, far, far + 1024], "ia+g", 3, 0],
    ["one near behind bears it out", [0, far, far - 1024], "ia+l", 3, 0],
    ["one too far on takes its place", [0, far, far + 1025, far + 1026], "iaa+i", 3, 1],
    ["its own duplicate does not bear it out", [0, far, far, far + 1], "iaa+i", 3, 1],
    ["every other packet lost", [0, far, far + 2, far + 4], "ia+gg", 4, 0],
    ["late packets and duplicates between do not matter", [0, 2, far, 1, 2, far + 1], "igald+i", 5, 0],
    ["a packet that goes on with the sequence speaks against it", [0, far, 1, far + 1, far + 2], "iaia+i", 4, 1],
    ["the first of all may be lost by the million", [far, far + 1], "a+i", 2, 0],
    ["ids that cannot be", [0, 2 ** 52, 2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 2 ** 63, 2 ** 64, 1], "issssssi", 2, 6],
    ["the last that can be", [2 ** 52 - 3, 2 ** 52 - 1, 2 ** 52 - 2], "a+gl", 3, 0],
    ["each far from the last", [2 ** 40, 2 ** 50, 2 ** 41, 2 ** 51, 0], "aaaai", 1, 4],
  ])("%s", (_name, ids, verdicts, packetsUnique, packetsStray) => {
    const sequence = new SequenceWindow();
    expect(judgeAll(sequence, ids)).toBe(verdicts);
    expect(sequence.packetsUnique).toBe(packetsUnique);
    expect(sequence.close(null, 0)).toMatchObject({ packetsUnique, packetsStray });
  });

  test("what is skipped until the packet borne out, and from there", () => {
    const sequence = new SequenceWindow();
    sequence.judge(far, false);
    expect(sequence.admits(far + 3)).toBe(true);
    expect(sequence.skipped).toBe(far);
    expect(sequence.judge(far + 3, false)).toBe("gap");
    expect(sequence.skipped).toBe(2);
  });

  test("two forged ids that bear each other out spoil the stream, but not its sum", () => {
    const sequence = new SequenceWindow();
    expect(judgeAll(sequence, [...range(0, 10), 2 ** 50, 2 ** 50 + 1, 10, 11])).toBe(`${"i".repeat(10)}a+iss`);
    expect(sequence.close(12, 0)).toMatchObject({
      packetsSent: 12,
      packetsUnique: 10,
      packetsLost: 2,
      packetsStray: 4,
      bursts: { count: 1, longestPackets: 2, meanPackets: 2 },
    });
  });

  test("a sender's count that contradicts what came keeps the sum, and no count is negative", () => {
    const sequence = new SequenceWindow(32);
    judgeAll(sequence, [...range(5, 20), ...range(30, 100), ...range(101, 200)]);
    const books = sequence.close(7, 0);
    expect(books).toMatchObject({ packetsSent: 7, packetsUnique: 0, packetsLost: 7, packetsStray: 184 });
    expect(books.bursts).toEqual({ count: 2, longestPackets: 7, meanPackets: 3.5 });
    const omitted = new SequenceWindow(32);
    for (const id of [...range(5, 20), ...range(30, 100), ...range(101, 200)]) omitted.judge(id, true);
    expect(omitted.close(7, 3)).toMatchObject({ packetsSent: 0, packetsUnique: 0, packetsLost: 0, packetsStray: 184 });
  });
});

test("what is missing holds as much as came behind it", () => {
  const sequence = new SequenceWindow();
  sequence.judge(1, false);
  sequence.advance(100_000);
  expect(judgeAll(sequence, [100_000, 4096, 4097, 0, 0, 1])).toBe("dddldd");
  expect(sequence.close(100_002, 0)).toMatchObject({ packetsUnique: 100_002, packetsDuplicated: 5 });
});

describe("the window's lower edge", () => {
  test.each<[string, number[], string]>([
    ["the oldest missing one is late", [1, ...range(2, 32), 0], `g${"i".repeat(30)}l`],
    ["one packet later it is given up", [1, ...range(2, 33), 0], `g${"i".repeat(31)}s`],
    ["given up, its duplicate cannot be told", [1, ...range(2, 33), 0, 0], `g${"i".repeat(31)}ss`],
    ["what came behind it is a duplicate for ever", [1, ...range(2, 500), 1, 498], `g${"i".repeat(498)}dd`],
    ["nothing is given up in order", [...range(0, 500), 0], `${"i".repeat(500)}d`],
    ["a jump gives up what it leaves behind", [0, 1, 33, 2, 38, 6, 7], "iiglgsl"],
  ])("%s", (_name, ids, verdicts) => {
    expect(judgeAll(new SequenceWindow(32), ids)).toBe(verdicts);
  });

  test("of the default length", () => {
    const sequence = new SequenceWindow();
    expect(judgeAll(sequence, [2, WINDOW, 1, WINDOW + 1, 0])).toBe("gglis");
    expect(sequence.close(WINDOW + 2, 0)).toMatchObject({ packetsUnique: 4, packetsLost: WINDOW - 2, packetsStray: 1 });
  });
});

describe("the books", () => {
  const NO_BURSTS = { count: 0, longestPackets: 0, meanPackets: null };

  test.each<[string, number[], number | null, object]>([
    ["nothing sent", [], 0, { packetsSent: 0, packetsUnique: 0, packetsLost: 0, bursts: NO_BURSTS }],
    ["nothing known", [], null, { packetsSent: null, packetsUnique: 0, packetsLost: 0, bursts: NO_BURSTS }],
    ["nothing came", [], 9, { packetsLost: 9, bursts: { count: 1, longestPackets: 9, meanPackets: 9 } }],
    ["all came", [0, 1, 2], 3, { packetsUnique: 3, packetsLost: 0, bursts: NO_BURSTS }],
    ["the tail is lost", [0, 1], 5, { packetsLost: 3, bursts: { count: 1, longestPackets: 3, meanPackets: 3 } }],
    ["the tail is not known", [0, 2], null, { packetsSent: null, packetsUnique: 2, packetsLost: 1 }],
    ["head, middle, tail", [1, 4], 8, { packetsLost: 6, bursts: { count: 3, longestPackets: 3, meanPackets: 2 } }],
    ["a late packet splits a burst", [0, 6, 3], 7, { bursts: { count: 2, longestPackets: 2, meanPackets: 2 } }],
    ["an id never sent", [0, 1, 7], 3, { packetsUnique: 2, packetsLost: 1, packetsStray: 1, packetsDuplicated: 0 }],
    ["all that came was never sent", [2, 2 ** 30, 2 ** 30 + 1], 1, { packetsSent: 1, packetsLost: 1, packetsStray: 3 }],
    ["no id was sent", [0, 1, 7], 0, { packetsSent: 0, packetsUnique: 0, packetsLost: 0, packetsStray: 3 }],
    [
      "RFC 4737: extents from the earliest packet of a greater id",
      [0, 4, 5, 1, 2, 3, 6, 6, 2],
      7,
      { packetsDuplicated: 2, reordering: { packets: 3, maxExtentPackets: 4, meanExtentPackets: 3 } },
    ],
  ])("%s", (_name, ids, sentPackets, expected) => {
    const sequence = new SequenceWindow();
    judgeAll(sequence, ids);
    expect(sequence.close(sentPackets, 0)).toMatchObject(expected);
  });

  test.each<[string, number[], number[], number, number, object]>([
    ["all came", [0, 1], [2, 3], 4, 2, { packetsSent: 2, packetsUnique: 2, packetsLost: 0, bursts: NO_BURSTS }],
    ["loss before counts not", [1, 3], [4], 5, 4, { packetsSent: 1, packetsLost: 0, bursts: NO_BURSTS }],
    ["a burst over the bound is split", [0], [7], 8, 4, { packetsSent: 4, packetsUnique: 1, packetsLost: 3 }],
    ["none came that counts", [0, 1], [], 9, 4, { packetsSent: 5, packetsUnique: 0, packetsLost: 5 }],
    ["none came", [], [], 9, 4, { packetsSent: 5, packetsUnique: 0, packetsLost: 5 }],
    ["all is omitted", [0, 2], [], 5, 5, { packetsSent: 0, packetsUnique: 0, packetsLost: 0, bursts: NO_BURSTS }],
    ["the marks stand against too high a number", [0], [1, 3], 4, 3, { packetsSent: 3, packetsUnique: 2 }],
    ["the marks stand against too low a number", [0, 2], [3], 4, 1, { packetsSent: 1, packetsUnique: 1 }],
    ["and so they do where a burst follows", [0, 2], [4], 5, 1, { packetsSent: 2, packetsUnique: 1, packetsLost: 1 }],
  ])("without what is omitted: %s", (_name, omitted, counted, sentPackets, omittedPackets, expected) => {
    const sequence = new SequenceWindow();
    for (const id of omitted) sequence.judge(id, true);
    for (const id of counted) sequence.judge(id, false);
    expect(sequence.close(sentPackets, omittedPackets)).toMatchObject(expected);
  });
});

/** What a network makes of a stream, and what a forger adds. */
const network = fc
  .record({
    sentPackets: fc.nat({ max: 250 }),
    omittedPackets: fc.oneof(fc.constant(0), fc.nat({ max: 80 })),
    tailLost: fc.oneof(fc.constant(0), fc.nat({ max: 60 })),
    /** Of each packet: the delays of its copies, in packets. */
    copies: fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constant([0]) },
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 2, arbitrary: fc.array(fc.nat({ max: 90 }), { maxLength: 3 }) },
      ),
      { minLength: 250, maxLength: 250 },
    ),
    lostRuns: fc.array(fc.tuple(fc.nat({ max: 250 }), fc.nat({ max: 90 })), { maxLength: 3 }),
    forged: fc.array(
      fc.record({
        at: fc.nat({ max: 250 }),
        ahead: fc.oneof(fc.nat({ max: 31 }), fc.integer({ min: 2 ** 30, max: 2 ** 53 }), fc.constant(2 ** 63)),
      }),
      { maxLength: 4 },
    ),
  })
  .map(({ sentPackets, omittedPackets, tailLost, copies, lostRuns, forged }) => {
    const isLost = (id: number) =>
      id >= sentPackets - tailLost || lostRuns.some(([from, length]) => id >= from && id < from + length);
    const timed = copies.slice(0, sentPackets).flatMap((delays, id) => {
      const arrival: Arrival = { id, isOmitted: id < omittedPackets };
      return isLost(id) ? [] : delays.map((delay) => ({ arrival, time: id + delay }));
    });
    for (const { at, ahead } of forged) {
      timed.push({ arrival: { id: sentPackets + ahead, isOmitted: false }, time: at });
    }
    const arrivals = timed.toSorted((a, b) => a.time - b.time).map(({ arrival }) => arrival);
    return { arrivals, sentPackets, omittedPackets: Math.min(omittedPackets, sentPackets) };
  });

describe.each([32, 64, 256, WINDOW])("a window of %p against an oracle that forgets nothing", (windowPackets) => {
  test("verdicts and books are the same, whatever the network does", () => {
    fc.assert(
      fc.property(network, fc.boolean(), ({ arrivals, sentPackets, omittedPackets }, isSentKnown) => {
        const sequence = new SequenceWindow(windowPackets);
        const oracle = new SequenceOracle(windowPackets);
        for (const arrival of arrivals) {
          const isAdmitted = sequence.admits(arrival.id);
          expect(isAdmitted).toBe(oracle.admits(arrival.id));
          if (isAdmitted) expect(sequence.skipped).toBe(oracle.skipped);
          const verdict = sequence.judge(arrival.id, arrival.isOmitted);
          expect(verdict).toBe(oracle.judge(arrival));
          if (verdict === "gap") expect(sequence.skipped).toBe(oracle.skipped);
        }
        const sent = isSentKnown ? sentPackets : null;
        const [books, expected] = [sequence.close(sent, omittedPackets), oracle.books(sent, omittedPackets)];
        if (isSentKnown) expect(books.packetsUnique + books.packetsLost).toBe(books.packetsSent ?? NaN);
        if (isSentKnown && oracle.gaveUpFrom(sentPackets)) {
          // Two forged ids bore each other out: what was lost below the sender's end is not told apart any more.
          expect(books.packetsSent).toBe(expected.packetsSent);
          return;
        }
        const { meanExtentPackets } = expected.reordering;
        expect(books).toEqual({
          ...expected,
          // Summed up in another order.
          reordering: { ...expected.reordering, meanExtentPackets: closeTo(meanExtentPackets) },
        });
      }),
      { numRuns: 250 },
    );
  });
});

function closeTo(value: number | null): number | null {
  return value === null ? null : expect.closeTo(value, 9);
}

/** Ids from the one that would be in order: late, again, behind a gap, or far off; and how many follow each. */
const steps = fc.array(
  fc.tuple(
    fc.oneof(fc.integer({ min: -60, max: 6 }), fc.integer({ min: 0, max: 80 }), fc.constant(5000)),
    fc.oneof(fc.nat({ max: 8 }), fc.nat({ max: 200 })),
  ),
  { maxLength: 60 },
);

test.each([32, 128, WINDOW])("a window of %p: a run passed over at once is one judged packet by packet", (window) => {
  fc.assert(
    fc.property(steps, (groups) => {
      const grouped = new SequenceWindow(window);
      const single = new SequenceWindow(window);
      let next = 0;
      let aside = 0;
      for (const [offset, followers] of groups) {
        const id = Math.max(0, next + offset);
        const isAdmitted = grouped.admits(id);
        expect(single.admits(id)).toBe(isAdmitted);
        const verdict = grouped.judge(id, false);
        expect(single.judge(id, false)).toBe(verdict);
        if (isAdmitted) next = aside + 1;
        if (verdict === "in-order" || verdict === "gap") next = id + 1;
        if (verdict === "aside") aside = id;
        expect(grouped.isNext(next)).toBe(true);
        if (id + 1 !== next) continue;
        grouped.advance(followers);
        for (let i = 0; i < followers; i++) expect(single.judge(next + i, false)).toBe("in-order");
        next += followers;
      }
      expect(grouped.packetsUnique).toBe(single.packetsUnique);
      expect(grouped.close(next + 3, 0)).toEqual(single.close(next + 3, 0));
    }),
  );
});

test("the turns of 2^31 and 2^32, and ids near the last, are as any others", () => {
  const bases = [2 ** 31 - 120, 2 ** 32 - 120, 3 * 2 ** 32 - 75, 2 ** 52 - 400_000];
  fc.assert(
    fc.property(steps, fc.constantFrom(64, WINDOW), fc.constantFrom(...bases), (groups, window, base) => {
      const relative = groups.reduce<number[]>(
        (ids, [offset]) => [...ids, Math.max(2, (ids.at(-1) ?? 2) + offset)],
        [],
      );
      const verdictsFrom = (start: number) => {
        const sequence = new SequenceWindow(window);
        const verdicts = judgeAll(sequence, [start, start + 1, ...relative.map((id) => start + id)]);
        const { packetsLost, ...books } = sequence.close(null, 0);
        return { verdicts, ...books, packetsLost: packetsLost - start, bursts: books.bursts.count };
      };
      expect(verdictsFrom(base)).toEqual(verdictsFrom(2 ** 24));
    }),
  );
});

describe("memory", () => {
  const STREAMS = 64;

  function bytesPerStream(feed: (sequence: SequenceWindow) => void): number {
    const used = () => {
      Bun.gc(true);
      return heapStats().heapSize;
    };
    const before = used();
    const streams = Array.from({ length: STREAMS }, () => new SequenceWindow());
    for (const sequence of streams) feed(sequence);
    const bytes = (used() - before) / STREAMS;
    expect(streams.length).toBe(STREAMS);
    return bytes;
  }

  test.each<[string, number, (sequence: SequenceWindow) => void]>([
    ["in order", 4, (sequence) => sequence.advance(2 ** 24)],
    ["reordered", 8, (sequence) => judgeAll(sequence, [...range(2, 4000), 0, 1, ...range(4100, 8000), 4050])],
    ["forged ids", 8, (sequence) => judgeAll(sequence, [2 ** 63, 2 ** 40, 2 ** 51, 1, 2 ** 52 - 1])],
    ["a jump borne out", 128 + 8, (sequence) => judgeAll(sequence, [2 ** 51, 2 ** 51 + 1])],
    // Bits, and the gaps that are remembered.
    [
      "every other packet lost",
      128 + 256 + 16,
      (sequence) => {
        for (let id = 1; id < 80_000; id += 2) sequence.judge(id, false);
        sequence.advance(2 ** 20);
      },
    ],
  ])("%s: at most %p KiB", (_name, mostKibibytes, feed) => {
    expect(bytesPerStream(feed)).toBeLessThan(mostKibibytes * 1024);
  });
});
