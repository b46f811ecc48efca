/**
 * The final account of a UDP stream, without what `--omit` leaves out. Where the sender's count is known,
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

/** Null of nothing. */
export function mean(total: number, count: number): number | null {
  return count === 0 ? null : total / count;
}
