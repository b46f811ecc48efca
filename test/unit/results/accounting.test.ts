import { describe, expect, test } from "bun:test";
import { summariseStream, summariseTest } from "../../../src/results/summarise.ts";
import { NO_TOTALS, type SideTotals, type UdpSummary } from "../../../src/results/types.ts";
import type { ReceiveInterval, SendInterval } from "../../../src/stats/interval.ts";
import type { UdpBooks } from "../../../src/stats/udp-books.ts";
import { booksOf, configOf, FRAMED_BYTES, udpReceive, udpSend } from "../../golden/scenarios.ts";

function udpOf(
  send: readonly SendInterval[],
  receive: readonly ReceiveInterval[],
  receiver: Partial<SideTotals>,
  changes: { omitSeconds?: number; sender?: Partial<SideTotals> } = {},
): UdpSummary {
  const { udp } = summariseStream(configOf({ family: "udp", omitSeconds: changes.omitSeconds ?? 0 }), send, receive, {
    sender: { ...NO_TOTALS, ...changes.sender },
    receiver: { ...NO_TOTALS, ...receiver },
  });
  if (udp === null) throw new Error("a UDP stream has a UDP summary");
  return udp;
}

function lossy(packetsSent: number, packetsLost: number, changes: Partial<UdpBooks> = {}): UdpBooks {
  return booksOf(packetsSent, {
    packetsUnique: packetsSent - packetsLost,
    packetsLost,
    bursts: { count: 2, longestPackets: packetsLost - 1, meanPackets: packetsLost / 2 },
    ...changes,
  });
}

/** All that only exact accounting tells. */
const NOT_TOLD = {
  packetsStray: null,
  reorderExtentMax: null,
  reorderExtentMean: null,
  lossBursts: null,
  lossBurstLongest: null,
  lossBurstMean: null,
  packetsLostReceiveBuffer: null,
  packetsLostNetwork: null,
  sendsRefused: null,
};

test("without books there is what the intervals tell, and nothing beyond it", () => {
  const udp = udpOf([udpSend(100)], [udpReceive(95, { packetsLost: 2, packetsDuplicated: 5 })], {});
  expect(udp).toMatchObject({ packetsLost: 10, ...NOT_TOLD });
});

test("with books sent is unique and lost, exactly, the tail included", () => {
  const books = lossy(100, 10, {
    packetsDuplicated: 5,
    packetsStray: 3,
    reordering: { packets: 4, maxExtentPackets: 7, meanExtentPackets: 2.5 },
  });
  const udp = udpOf([udpSend(100)], [udpReceive(95, { packetsLost: 2, packetsDuplicated: 5 })], { books });
  expect(udp).toMatchObject({
    packetsSent: 100,
    packetsLost: 10,
    packetsStray: 3,
    reorderExtentMax: 7,
    reorderExtentMean: 2.5,
    lossBursts: 2,
    lossBurstLongest: 9,
    lossBurstMean: 5,
  });
  expect(books.packetsUnique + (udp.packetsLost ?? 0)).toBe(udp.packetsSent);
});

describe("books that do not agree with the intervals", () => {
  test.each([
    ["of a sender that counted more", lossy(110, 20)],
    ["of a sender that was never heard of: gaps alone", lossy(100, 4, { packetsSent: null })],
  ])("%s", (_, books) => {
    const udp = udpOf([udpSend(100)], [udpReceive(90)], { books, bufferDrops: 3 });
    // The summary's own counts add up, and bursts of other packets than those are left out.
    expect(udp).toMatchObject({ packetsLost: 10, packetsLostReceiveBuffer: 3, packetsLostNetwork: 7 });
    expect(udp).toMatchObject({ lossBursts: null, lossBurstLongest: null, lossBurstMean: null });
    expect(udp).toMatchObject({ packetsStray: 0, reorderExtentMax: 0, reorderExtentMean: null });
  });

  test("never make loss negative", () => {
    expect(udpOf([udpSend(10)], [udpReceive(30)], { books: lossy(10, 4) }).packetsLost).toBe(0);
  });
});

test("with omission the books are of the counted part, and so is the loss", () => {
  const omittedSend = { durationSeconds: 1, bytesSent: 100 * FRAMED_BYTES, packetsSent: 100, sendsBlocked: 0 };
  const omittedReceive = {
    durationSeconds: 1,
    bytesReceived: 60 * FRAMED_BYTES,
    packetsReceived: 60,
    packetsOutOfOrder: 0,
    packetsDuplicated: 0,
  };
  const send = [udpSend(100, { omitted: omittedSend }), udpSend(100)];
  const receive = [udpReceive(60, { packetsLost: 40, omitted: omittedReceive }), udpReceive(95)];
  const udp = udpOf(send, receive, { books: lossy(100, 5), bufferDrops: 45 }, { omitSeconds: 1 });
  expect(udp).toMatchObject({ packetsSent: 100, packetsLost: 5, lossBursts: 2 });
  // The system counted the omitted time too.
  expect(udp).toMatchObject({ packetsLostReceiveBuffer: 5, packetsLostNetwork: 0 });
});

test.each([
  [0, 0, 10],
  [7, 7, 3],
  [10, 10, 0],
  // Duplicates were dropped too.
  [25, 10, 0],
  [null, null, null],
])("%p drops of a full buffer: %p lost there, %p in the network", (bufferDrops, inBuffer, inNetwork) => {
  const udp = udpOf([udpSend(100)], [udpReceive(90)], { books: lossy(100, 10), bufferDrops });
  expect([udp.packetsLostReceiveBuffer, udp.packetsLostNetwork]).toEqual([inBuffer, inNetwork]);
});

test("the sender tells of its refused sends", () => {
  expect(udpOf([udpSend(5)], [udpReceive(5)], {}, { sender: { sendsRefused: 3 } }).sendsRefused).toBe(3);
});

describe("a sum", () => {
  const config = configOf({ family: "udp", parallel: 2 });

  function sumOf(...parts: readonly (readonly [books: UdpBooks | null, outOfOrder: number, drops: number | null])[]) {
    const summaries = parts.map(([books, packetsOutOfOrder, bufferDrops]) =>
      summariseStream(config, [udpSend(100)], [udpReceive(90, { packetsOutOfOrder })], {
        sender: { ...NO_TOTALS, sendsRefused: 1 },
        receiver: { ...NO_TOTALS, books, bufferDrops },
      }),
    );
    return summariseTest(config, summaries).udp;
  }

  test("adds counts, takes the greatest, and weighs means by what is behind them", () => {
    const first = lossy(100, 10, {
      packetsStray: 1,
      reordering: { packets: 3, maxExtentPackets: 9, meanExtentPackets: 5 },
      bursts: { count: 1, longestPackets: 10, meanPackets: 10 },
    });
    const second = lossy(100, 10, {
      packetsStray: 2,
      reordering: { packets: 1, maxExtentPackets: 1, meanExtentPackets: 1 },
      bursts: { count: 4, longestPackets: 5, meanPackets: 2.5 },
    });
    expect(sumOf([first, 3, 4], [second, 1, 5])).toMatchObject({
      packetsLost: 20,
      packetsStray: 3,
      reorderExtentMax: 9,
      reorderExtentMean: 4,
      lossBursts: 5,
      lossBurstLongest: 10,
      lossBurstMean: 4,
      packetsLostReceiveBuffer: 9,
      packetsLostNetwork: 11,
      sendsRefused: 2,
    });
  });

  test("knows nothing that one part does not", () => {
    const books = lossy(100, 10, { reordering: { packets: 3, maxExtentPackets: 9, meanExtentPackets: 5 } });
    expect(sumOf([books, 3, 4], [null, 0, null])).toMatchObject({ ...NOT_TOLD, packetsLost: 20, sendsRefused: 2 });
  });
});
