import { UDP_HEADER_BYTES } from "../config/limits.ts";
import type { TestConfig } from "../config/types.ts";
import type { ReceiveInterval, SendInterval } from "../stats/interval.ts";
import { type StreamTotals, udpBookkeeping, withoutLossOf } from "./accounting.ts";
import { sumUdp, type Weighted, weightedMean } from "./sum-udp.ts";
import type { StreamSummary } from "./types.ts";

/** What of a test's configuration its totals depend on. */
type SummaryConfig = Pick<TestConfig, "family" | "omitSeconds" | "lengthBytes" | "sendIntervalSeconds">;

/** How far a receiver's cut may be moved to the boundary. */
const MAX_SNAP_SECONDS = 0.05;

interface SendTotals {
  readonly durationSeconds: number;
  readonly bytes: number;
  readonly packets: number;
  readonly blocked: number;
}

interface ReceiveTotals {
  readonly durationSeconds: number;
  readonly bytes: number;
  /** Duplicates included. */
  readonly packets: number;
  readonly outOfOrder: number;
  readonly duplicated: number;
}

/**
 * Totals of one stream after the omitted seconds.
 *
 * Both sides are cut at the same byte or packet wherever the reports allow it, so that what was under way at the
 * boundary is counted by both or by neither. A side without intervals sums to 0.
 */
export function summariseStream(
  config: SummaryConfig,
  send: readonly SendInterval[],
  receive: readonly ReceiveInterval[],
  totals: StreamTotals,
): StreamSummary {
  return config.family === "tcp"
    ? summariseTcp(config, send, receive, totals)
    : summariseUdp(config, send, receive, totals);
}

/** The same where the lost packets are not known. */
export function withoutLoss(summary: StreamSummary): StreamSummary {
  return summary.udp === null ? summary : { ...summary, udp: withoutLossOf(summary.udp) };
}

/** Sums over streams or directions, durations included; the mean jitter weighs each by the packets behind its own. */
export function summariseTest(config: SummaryConfig, parts: readonly StreamSummary[]): StreamSummary {
  const [only, ...others] = parts;
  // Not even rounded by a mean.
  if (only !== undefined && others.length === 0) return only;
  const total = (amount: (part: StreamSummary) => number): number => sum(parts, amount);
  return {
    durationSendSeconds: total((part) => part.durationSendSeconds),
    durationReceiveSeconds: total((part) => part.durationReceiveSeconds),
    bytesSent: total((part) => part.bytesSent),
    bytesReceived: total((part) => part.bytesReceived),
    bytesUndelivered: parts.some((part) => part.bytesUndelivered === null)
      ? null
      : total((part) => part.bytesUndelivered ?? 0),
    sendsBlocked: total((part) => part.sendsBlocked),
    udp:
      config.family === "udp"
        ? sumUdp(
            framedPacketSizeBytes(config),
            parts.flatMap(({ udp }) => udp ?? []),
          )
        : null,
  };
}

function summariseTcp(
  config: SummaryConfig,
  send: readonly SendInterval[],
  receive: readonly ReceiveInterval[],
  { sender }: StreamTotals,
): StreamSummary {
  const sent = sumSend(send);
  const sentCut = omittedBySender(config, send);
  const received = sumReceive(receive);
  // TCP keeps order, so the byte the sender had reached at the boundary is the byte to cut the receiver at.
  const receivedCut =
    send.length === 0
      ? sumReceive(leadingIntervals(receive, config.omitSeconds))
      : { bytes: sentCut.bytes, durationSeconds: arrivalSeconds(config, receive, sentCut.bytes) };
  const bytesSent = less(sent.bytes, sentCut.bytes);
  const bytesReceived = less(received.bytes, receivedCut.bytes);
  const { bytesUndelivered: unacknowledged } = sender;
  // What came has arrived, though its acknowledgement did not.
  const bytesUndelivered = unacknowledged && Math.min(unacknowledged, less(bytesSent, bytesReceived));
  return {
    durationSendSeconds: less(sent.durationSeconds, sentCut.durationSeconds),
    durationReceiveSeconds: less(received.durationSeconds, receivedCut.durationSeconds),
    bytesSent: bytesSent - (bytesUndelivered ?? 0),
    bytesReceived,
    bytesUndelivered,
    sendsBlocked: less(sent.blocked, sentCut.blocked),
    udp: null,
  };
}

function summariseUdp(
  config: SummaryConfig,
  send: readonly SendInterval[],
  receive: readonly ReceiveInterval[],
  totals: StreamTotals,
): StreamSummary {
  const sent = sumSend(send);
  const received = sumReceive(receive);
  const { sentCut, receivedCut, countedWhole } = udpCuts(config, send, receive);
  const packetsSent = less(sent.packets, sentCut.packets);
  const packetsReceived = less(received.packets, receivedCut.packets);
  const packetsDuplicated = less(received.duplicated, receivedCut.duplicated);
  const [jitterAverageSeconds, jitterPacketsConsecutive] = weightedMean(countedWhole.flatMap(jitterRun));
  return {
    durationSendSeconds: less(sent.durationSeconds, sentCut.durationSeconds),
    durationReceiveSeconds: less(received.durationSeconds, receivedCut.durationSeconds),
    bytesSent: less(sent.bytes, sentCut.bytes),
    bytesReceived: less(received.bytes, receivedCut.bytes),
    bytesUndelivered: null,
    sendsBlocked: less(sent.blocked, sentCut.blocked),
    udp: {
      packetsSent,
      packetsReceived,
      packetsOutOfOrder: less(received.outOfOrder, receivedCut.outOfOrder),
      packetsDuplicated,
      framedPacketSizeBytes: framedPacketSizeBytes(config),
      jitterAverageSeconds,
      jitterPacketsConsecutive,
      // The counts of a side whose reports are not whole must not make loss negative.
      ...udpBookkeeping(less(packetsSent, packetsReceived - packetsDuplicated), totals),
    },
  };
}

/** What each side of a UDP stream leaves out of its totals, and which of the receiver's intervals count whole. */
interface UdpCuts {
  readonly sentCut: SendTotals;
  readonly receivedCut: ReceiveTotals;
  /** An interval with an omitted part cannot be split into runs, so its jitter does not count. */
  readonly countedWhole: readonly ReceiveInterval[];
}

function udpCuts(config: SummaryConfig, send: readonly SendInterval[], receive: readonly ReceiveInterval[]): UdpCuts {
  const sentCut = omittedBySender(config, send);
  // The marks in the packets are the sender's: without them a receiver cannot have told the packets apart.
  const isMarked = send.length === 0 || send.some((interval) => interval.omitted !== undefined);
  if (config.omitSeconds > 0 && isMarked && receive.some(isTold)) {
    const countedWhole = receive.filter((interval) => !hasOmittedPart(interval));
    return { sentCut, receivedCut: omittedByReceiver(receive), countedWhole };
  }
  const leftOut = leadingIntervals(receive, config.omitSeconds);
  const countedWhole = receive.slice(leftOut.length);
  const receivedCut = sumReceive(leftOut);
  if (leftOut.length === 0 || send.length === 0) return { sentCut, receivedCut, countedWhole };
  // Unmarked (an original peer on either side), the receiver is cut between two intervals, and the sender at the
  // packet that was due there: cutting each side by its own clock would call every packet that was under way at the
  // boundary lost, or hide one that was.
  const packetId = packetsPassed(leftOut);
  const durationSeconds = secondsUntil(send, packetsSentIn, packetId);
  const bytes = packetId * framedPacketSizeBytes(config);
  return {
    sentCut: { durationSeconds, bytes, packets: packetId, blocked: sentCut.blocked },
    receivedCut,
    countedWhole,
  };
}

/** The first intervals, up to the cut between two of them that is nearest to `seconds`. */
function leadingIntervals<T extends { readonly durationSeconds: number }>(
  intervals: readonly T[],
  seconds: number,
): T[] {
  const leading: T[] = [];
  let startSeconds = 0;
  for (const interval of intervals) {
    if (startSeconds + interval.durationSeconds / 2 >= seconds) break;
    leading.push(interval);
    startSeconds += interval.durationSeconds;
  }
  return leading;
}

/**
 * The id the receiver expects after these intervals, when they are a stream's first ones. A packet in order raises it
 * by one, a gap by its length; a late packet moves from lost to received and a duplicate cancels out, so neither
 * changes it (only a packet late from one interval into another may count once too often).
 */
function packetsPassed(receive: readonly ReceiveInterval[]): number {
  return sum(receive, (interval) =>
    interval.family === "udp" ? interval.packetsReceived - interval.packetsDuplicated + interval.packetsLost : 0,
  );
}

/** What the sender had done at the omit boundary; an original sender does not say, so its first intervals stand for it. */
function omittedBySender(config: SummaryConfig, send: readonly SendInterval[]): SendTotals {
  if (config.omitSeconds === 0) return sumSend([]);
  const parts = send.flatMap((interval) => interval.omitted ?? []);
  if (parts.length === 0) return sumSend(leadingIntervals(send, config.omitSeconds));
  return {
    durationSeconds: sum(parts, (part) => part.durationSeconds),
    bytes: sum(parts, (part) => part.bytesSent),
    packets: sum(parts, (part) => part.packetsSent),
    blocked: sum(parts, (part) => part.sendsBlocked),
  };
}

function omittedByReceiver(receive: readonly ReceiveInterval[]): ReceiveTotals {
  const parts = receive.flatMap((interval) => (interval.family === "udp" ? (interval.omitted ?? []) : []));
  return {
    durationSeconds: sum(parts, (part) => part.durationSeconds),
    bytes: sum(parts, (part) => part.bytesReceived),
    packets: sum(parts, (part) => part.packetsReceived),
    outOfOrder: sum(parts, (part) => part.packetsOutOfOrder),
    duplicated: sum(parts, (part) => part.packetsDuplicated),
  };
}

function sumSend(intervals: readonly SendInterval[]): SendTotals {
  return {
    durationSeconds: sum(intervals, (interval) => interval.durationSeconds),
    bytes: sum(intervals, (interval) => interval.bytesSent),
    packets: sum(intervals, packetsSentIn),
    blocked: sum(intervals, (interval) => interval.sendsBlocked),
  };
}

function sumReceive(intervals: readonly ReceiveInterval[]): ReceiveTotals {
  const udp = intervals.filter((interval) => interval.family === "udp");
  return {
    durationSeconds: sum(intervals, (interval) => interval.durationSeconds),
    bytes: sum(intervals, (interval) => interval.bytesReceived),
    packets: sum(udp, (interval) => interval.packetsReceived),
    outOfOrder: sum(udp, (interval) => interval.packetsOutOfOrder),
    duplicated: sum(udp, (interval) => interval.packetsDuplicated),
  };
}

function packetsSentIn(interval: SendInterval): number {
  return interval.family === "udp" ? interval.packetsSent : 0;
}

/**
 * Seconds from the start of a side until its count reached `target`, taken as even within the interval that holds it;
 * all of its time when it never got there.
 */
function secondsUntil<T extends { readonly durationSeconds: number }>(
  intervals: readonly T[],
  countOf: (interval: T) => number,
  target: number,
): number {
  let seconds = 0;
  let missing = target;
  for (const interval of intervals) {
    if (missing <= 0) break;
    const count = countOf(interval);
    if (count > missing) return seconds + interval.durationSeconds * (missing / count);
    seconds += interval.durationSeconds;
    missing -= count;
  }
  return seconds;
}

/**
 * When the byte at `position` reached a TCP receiver. Interpolation cannot tell times apart within one slice of the
 * sender's, which arrives at once: so near the boundary the boundary itself is meant.
 */
function arrivalSeconds(config: SummaryConfig, receive: readonly ReceiveInterval[], position: number): number {
  const seconds = secondsUntil(receive, (interval) => interval.bytesReceived, position);
  const toleranceSeconds = Math.min(config.sendIntervalSeconds, MAX_SNAP_SECONDS);
  return Math.abs(seconds - config.omitSeconds) <= toleranceSeconds ? config.omitSeconds : seconds;
}

/** Jitter in seconds and the packets behind it. */
function jitterRun(interval: ReceiveInterval): Weighted[] {
  return interval.family === "udp" ? [[interval.jitterSeconds, interval.unbrokenSequence]] : [];
}

/** Whether the receiver looked for marks, though it may have seen none. */
function isTold(interval: ReceiveInterval): boolean {
  return interval.family === "udp" && interval.omitted !== undefined;
}

function hasOmittedPart(interval: ReceiveInterval): boolean {
  if (interval.family === "tcp" || interval.omitted === undefined) return false;
  return interval.omitted.durationSeconds > 0 || interval.omitted.packetsReceived > 0;
}

function framedPacketSizeBytes(config: SummaryConfig): number {
  return config.lengthBytes + UDP_HEADER_BYTES;
}

/** Never below 0: reports of the two sides may be incomplete in different ways, and floats round. */
function less(total: number, part: number): number {
  return Math.max(0, total - part);
}

function sum<T>(items: readonly T[], amount: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += amount(item);
  return total;
}
