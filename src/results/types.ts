import type { TestConfig } from "../config/types.ts";
import type { ErrorCode } from "../errors.ts";
import type { ReceiveInterval, SendInterval } from "../stats/interval.ts";

/** Version of `TestResult` and of the JSON document made from it. */
export const SCHEMA_VERSION = 1;

/** How a test or one side of a stream ended; everything but `completed` makes a result incomplete. */
export type Outcome = "completed" | "interrupted" | "failed" | "abandoned";

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
}

/** One side (sender or receiver) of one stream. */
export interface StreamSideResult {
  /** `abandoned` = its end was never heard of. */
  readonly outcome: Outcome;
  /** Why it did not complete; null when it did. */
  readonly reason: { readonly code: ErrorCode; readonly message: string } | null;
  readonly socket: SocketFacts | null;
}

/** Totals of one stream after the omitted time. */
export interface StreamSummary {
  readonly durationSendSeconds: number;
  readonly durationReceiveSeconds: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
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
}

export interface StreamResult {
  readonly streamIndex: number;
  readonly send: readonly SendInterval[];
  readonly receive: readonly ReceiveInterval[];
  readonly sender: StreamSideResult;
  readonly receiver: StreamSideResult;
  readonly summary: StreamSummary;
}

/** Everything a finished, broken or interrupted test has to tell; every report is rendered from it alone. */
export interface TestResult {
  readonly schemaVersion: typeof SCHEMA_VERSION;
  readonly config: TestConfig;
  readonly server: { readonly address: string; readonly port: number; readonly ipVersion: 4 | 6 };
  /** Wall-clock start, UNIX seconds. */
  readonly startedSeconds: number;
  /** In stream order. */
  readonly streams: readonly StreamResult[];
  /** Sums over the streams; durations are summed too. */
  readonly summary: StreamSummary;
  /** True only when every stream completed on both sides. */
  readonly success: boolean;
  readonly outcome: Outcome;
  /** Why the test did not complete, in one line; null when it did. */
  readonly reason: { readonly code: ErrorCode; readonly message: string } | null;
}
