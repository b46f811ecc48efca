import { describe, expect, test } from "bun:test";
import { type ReceivedPacket, UdpReceiveStats } from "../../../src/stats/udp-receive.ts";

function packet(packetId: number, changes: Partial<ReceivedPacket> = {}): ReceivedPacket {
  return { packetId, sentSeconds: 0, receivedSeconds: 0, framedBytes: 1032, isOmitted: false, ...changes };
}

describe("a packet put aside", () => {
  test("counts with its own length, mark and times once it is borne out", () => {
    const stats = new UdpReceiveStats();
    const reused = { ...packet(1e9, { sentSeconds: 5, receivedSeconds: 7, framedBytes: 100, isOmitted: true }) };
    stats.add(reused);
    expect(stats.packetsUnique).toBe(0);
    Object.assign(reused, packet(1e9 + 1, { sentSeconds: 6, receivedSeconds: 9, framedBytes: 1000 }));
    stats.add(reused);
    expect(stats.packetsUnique).toBe(2);
    const interval = stats.take(0, 1, 0.5);
    expect(interval).toMatchObject({ bytesReceived: 1100, packetsReceived: 2, packetsLost: 1e9, jitterSeconds: 1 });
    expect(interval.omitted).toMatchObject({ bytesReceived: 100, packetsReceived: 1 });
    expect(stats.books(1e9 + 2, 1e9 + 1)).toMatchObject({ packetsUnique: 1, packetsLost: 0, packetsStray: 0 });
  });

  test("is borne out by those that came with it", () => {
    const stats = new UdpReceiveStats();
    const first = packet(1e9);
    stats.add(first);
    stats.addFollowers(first, 61);
    expect(stats.take(0, 1, null)).toMatchObject({ packetsReceived: 62, packetsLost: 1e9, unbrokenSequence: 62 });
    expect(stats.books(null, 0)).toMatchObject({ packetsUnique: 62, packetsLost: 1e9, packetsStray: 0 });
  });
});

test("the books tell of all intervals", () => {
  const stats = new UdpReceiveStats();
  const ids = [0, 2, 1, 1, 1e9, 5, 6];
  for (const id of ids) {
    stats.add(packet(id));
    stats.take(0, 1, null);
  }
  expect(stats.packetsUnique).toBe(5);
  expect(stats.books(10, 0)).toEqual({
    packetsSent: 10,
    packetsUnique: 5,
    packetsLost: 5,
    packetsDuplicated: 1,
    packetsStray: 1,
    reordering: { packets: 1, maxExtentPackets: 1, meanExtentPackets: 1 },
    bursts: { count: 2, longestPackets: 3, meanPackets: 2.5 },
  });
});
