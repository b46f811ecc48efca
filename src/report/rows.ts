import type { StreamResult, StreamSummary } from "../results/types.ts";
import type { ReceiveInterval, SendInterval } from "../stats/interval.ts";

/** How much of a row's time `--omit` leaves out of the totals. */
type OmittedShare = "none" | "part" | "all";

/** What one line of a report shows; null = not measured. */
export interface Row {
  /** A stream's index or "sum", and of one of two directions which one. */
  readonly label: string;
  readonly isSum: boolean;
  /** From the start of the stream. */
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly sentBytesPerSecond: number | null;
  readonly receivedBytesPerSecond: number | null;
  readonly bytesReceived: number | null;
  readonly sendsBlocked: number | null;
  /** Null for TCP, and where the receiver is missing. */
  readonly packets: PacketCounts | null;
  readonly omitted: OmittedShare;
}

interface PacketCounts {
  /** Duplicates included. */
  readonly received: number;
  /** Null where it is not known. */
  readonly lost: number | null;
  readonly outOfOrder: number;
  readonly duplicated: number;
  readonly jitterSeconds: number | null;
  /** Packets behind the jitter. */
  readonly jitterPackets: number;
}

/** An interval and where it lies, counted from the start of its side of the stream. */
export interface Placed<T> {
  readonly interval: T;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** The row of one interval of one stream; either side may be missing, not both. */
export function rowOfIntervals(
  label: string,
  send: Placed<SendInterval> | null,
  receive: Placed<ReceiveInterval> | null,
  omitSeconds: number,
): Row {
  const span = send ?? receive;
  return {
    label,
    isSum: false,
    startSeconds: span?.startSeconds ?? 0,
    endSeconds: span?.endSeconds ?? 0,
    sentBytesPerSecond: send && rateOf(send.interval.bytesSent, send.interval.durationSeconds),
    receivedBytesPerSecond: receive && rateOf(receive.interval.bytesReceived, receive.interval.durationSeconds),
    bytesReceived: receive && receive.interval.bytesReceived,
    sendsBlocked: send && send.interval.sendsBlocked,
    packets: receive && packetsOfInterval(receive.interval),
    omitted: omittedShare(send, receive, omitSeconds),
  };
}

/** The row that closes an interval of several streams: the sum of what the rows show. */
export function sumRows(label: string, rows: readonly Row[]): Row {
  const packets = rows.flatMap((row) => row.packets ?? []);
  const shares = new Set(rows.map((row) => row.omitted));
  return {
    label,
    isSum: true,
    startSeconds: Math.min(...rows.map((row) => row.startSeconds)),
    endSeconds: Math.max(...rows.map((row) => row.endSeconds)),
    sentBytesPerSecond: sumKnown(rows.map((row) => row.sentBytesPerSecond)),
    receivedBytesPerSecond: sumKnown(rows.map((row) => row.receivedBytesPerSecond)),
    bytesReceived: sumKnown(rows.map((row) => row.bytesReceived)),
    sendsBlocked: sumKnown(rows.map((row) => row.sendsBlocked)),
    packets: packets.length === 0 ? null : sumPackets(packets),
    omitted: shares.size > 1 ? "part" : ([...shares][0] ?? "none"),
  };
}

/** Whether the difference of the two sides' counts is loss: not while reports of one of them may be missing. */
export function isLossKnown({ summary }: StreamResult): boolean {
  return summary.udp !== null && summary.udp.packetsLost !== null;
}

/** The row of a whole stream, after the omitted time; a side that never reported shows nothing. */
export function rowOfStream(stream: StreamResult): Row {
  const { streamIndex, send, receive, summary } = stream;
  const hasSent = send.length > 0;
  const hasReceived = receive.length > 0;
  return {
    label: String(streamIndex),
    isSum: false,
    startSeconds: 0,
    endSeconds: hasSent ? summary.durationSendSeconds : summary.durationReceiveSeconds,
    sentBytesPerSecond: hasSent ? rateOf(summary.bytesSent, summary.durationSendSeconds) : null,
    receivedBytesPerSecond: hasReceived ? rateOf(summary.bytesReceived, summary.durationReceiveSeconds) : null,
    bytesReceived: hasReceived ? summary.bytesReceived : null,
    sendsBlocked: hasSent ? summary.sendsBlocked : null,
    packets: hasReceived ? packetsOfSummary(summary) : null,
    omitted: "none",
  };
}

/** Null where no time passed. */
export function rateOf(bytes: number, durationSeconds: number): number | null {
  return durationSeconds > 0 ? bytes / durationSeconds : null;
}

function packetsOfInterval(interval: ReceiveInterval): PacketCounts | null {
  if (interval.family === "tcp") return null;
  return {
    received: interval.packetsReceived,
    lost: interval.packetsLost,
    outOfOrder: interval.packetsOutOfOrder,
    duplicated: interval.packetsDuplicated,
    jitterSeconds: interval.jitterSeconds,
    jitterPackets: interval.jitterSeconds === null ? 0 : interval.unbrokenSequence,
  };
}

function packetsOfSummary({ udp }: StreamSummary): PacketCounts | null {
  if (udp === null) return null;
  return {
    received: udp.packetsReceived,
    lost: udp.packetsLost,
    outOfOrder: udp.packetsOutOfOrder,
    duplicated: udp.packetsDuplicated,
    jitterSeconds: udp.jitterAverageSeconds,
    jitterPackets: udp.jitterPacketsConsecutive,
  };
}

function sumPackets(counts: readonly PacketCounts[]): PacketCounts {
  const total = (amount: (count: PacketCounts) => number): number =>
    counts.reduce((sum, count) => sum + amount(count), 0);
  const jitterPackets = total((count) => count.jitterPackets);
  const weighted = total((count) => (count.jitterSeconds ?? 0) * count.jitterPackets);
  return {
    received: total((count) => count.received),
    lost: sumKnown(counts.map((count) => count.lost)),
    outOfOrder: total((count) => count.outOfOrder),
    duplicated: total((count) => count.duplicated),
    jitterSeconds: jitterPackets === 0 ? null : weighted / jitterPackets,
    jitterPackets,
  };
}

function sumKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0);
}

/** Shares smaller than this are the rounding of a boundary, not worth a mark. */
const VISIBLE_SHARE = 0.01;

function omittedShare(
  send: Placed<SendInterval> | null,
  receive: Placed<ReceiveInterval> | null,
  omitSeconds: number,
): OmittedShare {
  if (omitSeconds === 0) return "none";
  const sides = [send, receive].filter((side) => side !== null);
  const marked = sides.find(({ interval }) => omittedSecondsOf(interval) !== null);
  // Without marks of our own whole intervals are left out, up to the cut nearest to the boundary.
  if (marked === undefined) {
    return sides.some((side) => (side.startSeconds + side.endSeconds) / 2 < omitSeconds) ? "all" : "none";
  }
  const share = (omittedSecondsOf(marked.interval) ?? 0) / marked.interval.durationSeconds;
  if (share > 1 - VISIBLE_SHARE) return "all";
  return share > VISIBLE_SHARE ? "part" : "none";
}

function omittedSecondsOf(interval: SendInterval | ReceiveInterval): number | null {
  return "omitted" in interval ? (interval.omitted?.durationSeconds ?? null) : null;
}
