import type { OffloadMode, Pacing, PortRange, WriteSize } from "../config/types.ts";
import type { ErrorCode } from "../errors.ts";
import type { SocketFacts } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";
import type { TestId } from "../protocol/messages.ts";

interface StreamSpecBase {
  readonly streamIndex: number;
  readonly testId: TestId;
  readonly lengthBytes: number;
  /** How often the stream reports. */
  readonly intervalSeconds: number;
  /** Whole seconds to mark as omitted; 0 = none, or the peer does not know of marks. */
  readonly omitSeconds: number;
  /** The CPU to bind the stream's thread to; null = leave it to the system. */
  readonly affinityCpu: number | null;
  readonly offload: OffloadMode;
}

/** Where a receiver listens: the first free port of `ports`, tried from `firstChoice` on; no ranges = any port. */
export interface ReceiverSpec extends StreamSpecBase {
  readonly role: "receiver";
  readonly family: "tcp" | "udp";
  readonly bindAddress: string;
  readonly ports: readonly PortRange[];
  /** How many ports of the pool were dealt before this one. */
  readonly firstChoice: number;
  /** What the sender was asked for; 0 = no limit, null = not known (an original client does not tell). */
  readonly bandwidthBytesPerSecond: number | null;
  /** 0 = leave the choice to this side. */
  readonly receiveBufferBytes: number;
}

export interface SenderSpec extends StreamSpecBase {
  readonly role: "sender";
  readonly family: "tcp" | "udp";
  readonly remoteAddress: string;
  readonly remotePort: number;
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

/** What a stream tells; `ended` or `failed` comes exactly once, and last. */
export type StreamEvent =
  /** Ready to start; `port` is a receiver's, null on a sender. */
  | { readonly type: "prepared"; readonly port: number | null }
  | { readonly type: "socket"; readonly facts: SocketFacts }
  | { readonly type: "interval"; readonly interval: Interval }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "debug"; readonly message: string }
  | { readonly type: "ended" }
  | { readonly type: "failed"; readonly code: ErrorCode; readonly message: string };

export type Emit = (event: StreamEvent) => void;

/** One side of one stream, in its Worker. */
export interface Stream {
  /** Binds (receiver) or makes ready (sender), then emits `prepared`; `failed` where that cannot be. */
  prepare(): Promise<void>;
  /** Sends, or expects data from now on; what arrives between `prepared` and this is counted too. */
  start(): void;
  /** Ends in good order, before its time: what was counted is told, the peer sees the end of the data. */
  stop(): void;
}
