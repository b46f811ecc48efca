import type { SideTotals, UdpSummary } from "./types.ts";

/** What both sides of a stream tell of themselves beyond their intervals. */
export interface StreamTotals {
  readonly sender: SideTotals;
  readonly receiver: SideTotals;
}

type BurstField = "lossBursts" | "lossBurstLongest" | "lossBurstMean";
type LossField = "packetsLost" | "packetsLostReceiveBuffer" | "packetsLostNetwork" | BurstField;

/** The figures of a summary that come from the receiver's books, or are checked by them. */
type Bookkeeping = Pick<
  UdpSummary,
  LossField | "packetsStray" | "reorderExtentMax" | "reorderExtentMean" | "sendsRefused"
>;

const NO_BURSTS = { lossBursts: null, lossBurstLongest: null, lossBurstMean: null } satisfies Pick<
  UdpSummary,
  BurstField
>;

/**
 * `packetsLost` is what the sender counted less what came, each packet once: where the books are whole they say the
 * same. Where they do not, a summary still must add up, so that its own counts stand, and the bursts, which are of other
 * packets than those, are left out.
 */
export function udpBookkeeping(packetsLost: number, { sender, receiver }: StreamTotals): Bookkeeping {
  const { books } = receiver;
  return {
    packetsLost,
    packetsStray: books && books.packetsStray,
    reorderExtentMax: books && books.reordering.maxExtentPackets,
    reorderExtentMean: books && books.reordering.meanExtentPackets,
    ...(books !== null && books.packetsLost === packetsLost
      ? {
          lossBursts: books.bursts.count,
          lossBurstLongest: books.bursts.longestPackets,
          lossBurstMean: books.bursts.meanPackets,
        }
      : NO_BURSTS),
    ...splitLoss(packetsLost, receiver.bufferDrops),
    sendsRefused: sender.sendsRefused,
  };
}

/** The same of a stream of which the lost packets are not known. */
export function withoutLossOf(udp: UdpSummary): UdpSummary {
  return { ...udp, packetsLost: null, packetsLostReceiveBuffer: null, packetsLostNetwork: null, ...NO_BURSTS };
}

/** A system may have dropped duplicates, strays and omitted packets too: never more than all that were lost. */
function splitLoss(
  packetsLost: number,
  bufferDrops: number | null,
): Pick<UdpSummary, "packetsLostReceiveBuffer" | "packetsLostNetwork"> {
  if (bufferDrops === null) return { packetsLostReceiveBuffer: null, packetsLostNetwork: null };
  const packetsLostReceiveBuffer = Math.min(bufferDrops, packetsLost);
  return { packetsLostReceiveBuffer, packetsLostNetwork: packetsLost - packetsLostReceiveBuffer };
}
