import type { OffloadMode, Pacing, PortRange, WriteSize } from "../config/types.ts";
import type { ErrorCode } from "../errors.ts";
import type { SideTotals, SocketFacts } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";
import type { SentTotals, TestId } from "../protocol/messages.ts";

/** How a stream's socket comes to its peer. */
export type Endpoint =
  | ListenEndpoint
  /** As a sender of 0.1.8 does when it starts: connects there. */
  | { readonly type: "connect"; readonly address: string; readonly port: number }
  | DialEndpoint
  | HandedEndpoint;

/** The peer comes: to the first free port of `ports`, tried from `firstChoice` on; no ranges = any port. */
export interface ListenEndpoint {
  readonly type: "listen";
  readonly bindAddress: string;
  readonly ports: readonly PortRange[];
  /** How many ports of the pool were dealt before this one. */
  readonly firstChoice: number;
  /** Where the peer must come from; null = anywhere, with the right test id. */
  readonly peerAddress: string | null;
}

/** This side comes, before the test begins: it connects, or says hello until it is answered. */
export interface DialEndpoint {
  readonly type: "dial";
  readonly address: string;
  readonly port: number;
  /** The port is the control port, which takes data connections too. */
  readonly isControlPort: boolean;
}

/** The peer comes to the control port, and the main thread hands over what came of it. */
export interface HandedEndpoint {
  readonly type: "handed";
  readonly localAddress: string;
  readonly localPort: number;
}

/** What an own socket is bound to and asked for; nulls are left to the system. */
export interface PathSpec {
  readonly localAddress: string | null;
  /** 0 = any. */
  readonly localPort: number;
  readonly device: string | null;
  readonly congestion: string | null;
  readonly dscp: number | null;
  readonly maxSegmentBytes: number | null;
}

interface StreamSpecBase {
  readonly streamIndex: number;
  readonly testId: TestId;
  readonly family: "tcp" | "udp";
  readonly lengthBytes: number;
  readonly endpoint: Endpoint;
  readonly path: PathSpec;
  /** How often the stream reports. */
  readonly intervalSeconds: number;
  /** Whole seconds to mark as omitted; 0 = none, or the peer does not know of marks. */
  readonly omitSeconds: number;
  /** The CPU to bind the stream's thread to; null = leave it to the system. */
  readonly affinityCpu: number | null;
  readonly offload: OffloadMode;
}

export interface ReceiverSpec extends StreamSpecBase {
  readonly role: "receiver";
  /** What the sender was asked for; 0 = no limit, null = not known (an original client does not tell). */
  readonly bandwidthBytesPerSecond: number | null;
  /** 0 = leave the choice to this side. */
  readonly receiveBufferBytes: number;
  /**
   * The control connection tells when the data ends, so that silence does not: of UDP the sender's count comes
   * (`finish`), and TCP ends by itself. Else a silence of 3 s is a failure, as in 0.1.8.
   */
  readonly isPatient: boolean;
}

export interface SenderSpec extends StreamSpecBase {
  readonly role: "sender";
  /** 0 = no limit. */
  readonly bandwidthBytesPerSecond: number;
  readonly durationSeconds: number;
  readonly pacing: Pacing;
  /** The slices' length. */
  readonly sendIntervalSeconds: number;
  readonly writeSize: WriteSize;
  /** 0 = leave the system's. */
  readonly sendBufferBytes: number;
  readonly noDelay: boolean;
}

/** One stream, whole: everything that its Worker needs to know. */
export type StreamSpec = ReceiverSpec | SenderSpec;

/** What came to the control port for a stream of type `handed`. */
export type Handed =
  /** A TCP connection: the descriptor is the stream's to close. */
  | { readonly family: "tcp"; readonly descriptor: number }
  /** Where a hello came from. */
  | { readonly family: "udp"; readonly address: string; readonly port: number };

/** What a stream that is over tells of itself beyond its intervals. */
export interface StreamReport {
  readonly totals: SideTotals;
  /** Of a sender. */
  readonly sent: SentTotals | null;
}

/** What a stream tells; `ended` or `failed` comes exactly once, and last. */
export type StreamEvent =
  /** Ready to start; `port` is where it listens, null when it does not. */
  | { readonly type: "prepared"; readonly port: number | null }
  | { readonly type: "socket"; readonly facts: SocketFacts }
  | { readonly type: "interval"; readonly interval: Interval }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "debug"; readonly message: string }
  | { readonly type: "ended"; readonly report: StreamReport }
  | {
      readonly type: "failed";
      readonly code: ErrorCode;
      readonly message: string;
      /** Null when nothing was counted. */
      readonly report: StreamReport | null;
    };

export type Emit = (event: StreamEvent) => void;

/** What was agreed on after a receiver was made ready; a sender's spec has it all. */
export type StartTerms = Pick<ReceiverSpec, "isPatient" | "intervalSeconds">;

/** One side of one stream, in its Worker. */
export interface Stream {
  /** Binds, connects or makes ready, then emits `prepared`; `failed` where that cannot be. */
  prepare(): Promise<void>;
  /** Sends, or expects data from now on; what arrives between `prepared` and this is counted too. */
  start(terms: StartTerms | null): void;
  /** Ends in good order, before its time: what was counted is told, the peer sees the end of the data. */
  stop(): void;
  /** The peer has come to the control port. What it came by is the stream's from then on, also when it is over. */
  take(handed: Handed): void;
  /** Of a sender: nothing is sent from now on, until it may go on. What was not sent then is not sent later. */
  hold(isHeld: boolean): void;
  /** Of a receiver: the sender is done, having sent this; what is under way still has a moment to come. */
  finish(sent: SentTotals): void;
}
