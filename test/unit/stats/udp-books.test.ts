import { expect, test } from "bun:test";
import { sumBooks, type UdpBooks } from "../../../src/stats/udp-books.ts";

const NOTHING: UdpBooks = {
  packetsSent: 0,
  packetsUnique: 0,
  packetsLost: 0,
  packetsDuplicated: 0,
  packetsStray: 0,
  reordering: { packets: 0, maxExtentPackets: 0, meanExtentPackets: null },
  bursts: { count: 0, longestPackets: 0, meanPackets: null },
};

const ONE: UdpBooks = {
  packetsSent: 10,
  packetsUnique: 7,
  packetsLost: 3,
  packetsDuplicated: 1,
  packetsStray: 2,
  reordering: { packets: 3, maxExtentPackets: 6, meanExtentPackets: 4 },
  bursts: { count: 1, longestPackets: 3, meanPackets: 3 },
};

const OTHER: UdpBooks = {
  packetsSent: 20,
  packetsUnique: 15,
  packetsLost: 5,
  packetsDuplicated: 4,
  packetsStray: 0,
  reordering: { packets: 1, maxExtentPackets: 8, meanExtentPackets: 8 },
  bursts: { count: 4, longestPackets: 2, meanPackets: 1.25 },
};

test.each<[string, UdpBooks[], UdpBooks]>([
  ["no streams", [], NOTHING],
  ["nothing of two streams", [NOTHING, NOTHING], NOTHING],
  ["one stream", [ONE], ONE],
  ["nothing changes nothing", [ONE, NOTHING], ONE],
  [
    "counts are summed, means weighted",
    [ONE, OTHER],
    {
      packetsSent: 30,
      packetsUnique: 22,
      packetsLost: 8,
      packetsDuplicated: 5,
      packetsStray: 2,
      reordering: { packets: 4, maxExtentPackets: 8, meanExtentPackets: 5 },
      bursts: { count: 5, longestPackets: 3, meanPackets: 1.6 },
    },
  ],
  ["one sender's count is unknown", [ONE, { ...NOTHING, packetsSent: null }], { ...ONE, packetsSent: null }],
])("%s", (_name, streams, expected) => {
  expect(sumBooks(streams)).toEqual(expected);
});
