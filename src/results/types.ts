import type { TestConfig } from "../config/types.ts";
import type { ErrorCode } from "../errors.ts";
import type { ReceiveInterval, SendInterval } from "../stats/interval.ts";
import type { UdpBooks } from "../stats/udp-books.ts";

/** Version of `TestResult` and of the JSON document made from it. */
export const SCHEMA_VERSION = 2;

/**
 * How a test, a stream or one side of it ended; everything but `completed` makes a result incomplete. `partial`: it ran,
 * and what the other side saw was not heard of to the end.
 */
export type Outcome = "completed" | "interrupted" | "partial" | "failed";

/** Forward: the client sends. */
export type Direction = "forward" | "reverse";

/** Why something did not complete; null when it did. */
export type Reason = { readonly code: ErrorCode; readonly message: string } | null;

/** Which machine saw it. */
export type Side = "client" | "server";

/** What is in force for one side of one stream; null = not of this side, not supported, or not told by the peer. */
export interface SocketFacts {
  /** SO_SNDBUF as read back (Linux reports twice the usable bytes, socket(7)). */
  readonly sendBufferBytes: number | null;
  /** SO_RCVBUF as read back. */
  readonly receiveBufferBytes: number | null;
  /** The one CPU the stream's thread may run on, as read back. */
  readonly affinityCpu: number | null;
  /** UDP: whether the kernel splits (sender) or gathers (receiver) packets for it. */
  readonly offload: boolean | null;
  /** A UDP receiver: where the arrival times behind its jitter come from. */
  readonly timestamps: "kernel" | "user" | null;
  /** A TCP sender with a rate: whether the kernel spreads its segments (SO_MAX_PACING_RATE), or this process alone. */
  readonly pacing: "kernel" | "user" | null;
  /** A TCP sender: the most it writes at once. */
  readonly writeBytes: number | null;
  /** TCP: the congestion control in force. */
  readonly congestion: string | null;
  /** The code point of its packets, as read back. */
  readonly dscp: number | null;
  /** TCP: the maximum segment size in force. */
  readonly maxSegmentBytes: number | null;
}

/** What one side of a stream tells of itself beyond its intervals, once it is over; null = not told. */
export interface SideTotals {
  /** Of a UDP receiver. */
  readonly books: UdpBooks | null;
  /** Of a UDP receiver: datagrams that its system dropped because its buffer was full. */
  readonly bufferDrops: number | null;
  /** Of a UDP sender: sends that its system refused for a while; none of these counts as sent. */
  readonly sendsRefused: number | null;
  /** Of a TCP sender: what its intervals count and the receiver's system had not acknowledged in the end. */
  readonly bytesUndelivered: number | null;
}

/** Of a side that tells nothing beyond its intervals: an original peer, or an end that was never heard of. */
export const NO_TOTALS: SideTotals = { books: null, bufferDrops: null, sendsRefused: null, bytesUndelivered: null };

/** One side (sender or receiver) of one stream. */
export interface StreamSideResult {
  /** `partial` = its end was never heard of. */
  readonly outcome: Outcome;
  readonly reason: Reason;
  readonly socket: SocketFacts | null;
}

/** Totals of one stream after the omitted time. */
export interface StreamSummary {
  readonly durationSendSeconds: number;
  readonly durationReceiveSeconds: number;
  /** Without `bytesUndelivered`. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Of TCP: what the intervals count as sent, and neither side knows to have arrived; null = not known. */
  readonly bytesUndelivered: number | null;
  readonly sendsBlocked: number;
  /** Only for UDP. */
  readonly udp: UdpSummary | null;
}

export interface UdpSummary {
  readonly packetsSent: number;
  /** Duplicates included. */
  readonly packetsReceived: number;
  /** Sent less unique received, never below 0; null when a side told nothing, or not its end. */
  readonly packetsLost: number | null;
  readonly packetsOutOfOrder: number;
  readonly packetsDuplicated: number;
  /** Payload and UDP header: what one packet counts for. */
  readonly framedPacketSizeBytes: number;
  /** Mean of the intervals' jitter weighted by their runs; null when no run had two packets. */
  readonly jitterAverageSeconds: number | null;
  /** Packets behind that mean. */
  readonly jitterPacketsConsecutive: number;
  /** Below: null without exact accounting (one side is an original), or when the receiver's end was never heard of. */
  readonly packetsStray: number | null;
  /** RFC 4737, 4.2.1, in packets; the mean is null when nothing was reordered. */
  readonly reorderExtentMax: number | null;
  readonly reorderExtentMean: number | null;
  /** Runs of consecutive lost packets. */
  readonly lossBursts: number | null;
  readonly lossBurstLongest: number | null;
  readonly lossBurstMean: number | null;
  /** Of the lost: dropped at the receiver because its buffer was full, where its system tells … */
  readonly packetsLostReceiveBuffer: number | null;
  /** … and all others. */
  readonly packetsLostNetwork: number | null;
  /** Sends that the sender's system refused for a while. */
  readonly sendsRefused: number | null;
}

export interface StreamResult {
  readonly streamIndex: number;
  readonly send: readonly SendInterval[];
  readonly receive: readonly ReceiveInterval[];
  readonly sender: StreamSideResult;
  readonly receiver: StreamSideResult;
  /** The worse of its sides. */
  readonly outcome: Outcome;
  readonly reason: Reason;
  readonly summary: StreamSummary;
}

/** One direction of a test: all of it, unless it is bidirectional. */
export interface DirectionResult {
  /** `reverse` tells which direction. */
  readonly config: TestConfig;
  /** In stream order. */
  readonly streams: readonly StreamResult[];
  /** Sums over the streams; durations are summed too. */
  readonly summary: StreamSummary;
  /** True only when every stream completed on both sides. */
  readonly success: boolean;
  readonly outcome: Outcome;
  /** In one line. */
  readonly reason: Reason;
}

/** A time in which nothing came over the control connection, from the last that was heard of the server on. */
export interface Outage {
  /** Since the test's start. */
  readonly startSeconds: number;
  /** Until the next was heard, over the same connection or another; or until it was given up. */
  readonly durationSeconds: number;
}

/** Everything a finished, broken or interrupted test has to tell; every report is rendered from it alone. */
export interface TestResult extends DirectionResult {
  readonly schemaVersion: typeof SCHEMA_VERSION;
  readonly server: { readonly address: string; readonly port: number; readonly ipVersion: 4 | 6 };
  /** Wall-clock start, UNIX seconds. */
  readonly startedSeconds: number;
  /** Names of the protocol extensions in use; empty with an original server. */
  readonly features: readonly string[];
  readonly outages: readonly Outage[];
  /**
   * Null unless the test was bidirectional: then `streams` are those of both, forward first, `summary` sums over both, and
   * the outcome is the worse one.
   */
  readonly directions: { readonly forward: DirectionResult; readonly reverse: DirectionResult } | null;
}
