/**
 * The final account of a UDP stream, or of several, without what `--omit` leaves out. Where the sender's count is known,
 * packetsSent = packetsUnique + packetsLost.
 */
export interface UdpBooks {
  /** As the sender counted; null = unknown, and then what was lost behind the last packet that came is unknown too. */
  readonly packetsSent: number | null;
  /** Packets that came, each once. */
  readonly packetsUnique: number;
  readonly packetsLost: number;
  readonly packetsDuplicated: number;
  /** Packets of an id that was never sent, or so old that it cannot be told whether it had come. */
  readonly packetsStray: number;
  readonly reordering: Reordering;
  readonly bursts: LossBursts;
}

/** RFC 4737: packets whose id is below that of a packet before them (section 3.3), duplicates apart. */
export interface Reordering {
  readonly packets: number;
  /** Section 4.2.1: how many packets earlier the first one of a greater id came; 0 without reordering. */
  readonly maxExtentPackets: number;
  /** Null without reordering. */
  readonly meanExtentPackets: number | null;
}

/** Runs of consecutive ids that were lost, each as long as can be. */
export interface LossBursts {
  readonly count: number;
  /** 0 without loss. */
  readonly longestPackets: number;
  /** Null without loss. */
  readonly meanPackets: number | null;
}

/** The books of several streams as one; sent is unknown where it is of any of them. */
export function sumBooks(streams: readonly UdpBooks[]): UdpBooks {
  const sum = (countOf: (books: UdpBooks) => number): number =>
    streams.reduce((total, books) => total + countOf(books), 0);
  const longest = (lengthOf: (books: UdpBooks) => number): number => Math.max(0, ...streams.map(lengthOf));
  const reordered = sum(({ reordering }) => reordering.packets);
  const extents = sum(({ reordering }) => reordering.packets * (reordering.meanExtentPackets ?? 0));
  const burstCount = sum(({ bursts }) => bursts.count);
  const burstPackets = sum(({ bursts }) => bursts.count * (bursts.meanPackets ?? 0));
  const isSentKnown = streams.every((books) => books.packetsSent !== null);
  return {
    packetsSent: isSentKnown ? sum((books) => books.packetsSent ?? 0) : null,
    packetsUnique: sum((books) => books.packetsUnique),
    packetsLost: sum((books) => books.packetsLost),
    packetsDuplicated: sum((books) => books.packetsDuplicated),
    packetsStray: sum((books) => books.packetsStray),
    reordering: {
      packets: reordered,
      maxExtentPackets: longest(({ reordering }) => reordering.maxExtentPackets),
      meanExtentPackets: mean(extents, reordered),
    },
    bursts: {
      count: burstCount,
      longestPackets: longest(({ bursts }) => bursts.longestPackets),
      meanPackets: mean(burstPackets, burstCount),
    },
  };
}

/** Null of nothing. */
export function mean(total: number, count: number): number | null {
  return count === 0 ? null : total / count;
}
