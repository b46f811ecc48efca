import type { OffloadMode, Pacing, WriteSize } from "../config/types.ts";
import type { SideTotals, SocketFacts } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";

/** Sixteen bytes that tie a data stream to its test. */
export type TestId = Uint8Array;

/** Version of what two of ours add to the protocol of 0.1.8; README.md beside this file describes it. */
export const EXTENSION_VERSION = 3;

/** What the senders' sockets of both sides are asked for; null = left to the system. */
export interface PathExtensions {
  readonly congestion: string | null;
  readonly dscp: number | null;
  readonly maxSegmentBytes: number | null;
}

/** What a client of ours offers with either role; what it does not offer is off, and each feature is by itself. */
export interface OfferedExtensions {
  readonly version: number;
  /** Whole seconds that the sender marks as left out (see udp-packet.ts and `omitted` in results). */
  readonly omitSeconds: number;
  /** Of UDP; TCP has no use for it. */
  readonly offload: OffloadMode;
  /** Exact accounting of UDP: final counts travel over the control connection. */
  readonly accounting: boolean;
  /** All data over the control port's number. */
  readonly singlePort: boolean;
  /** Seconds after the planned end in which a broken control connection may come back; null = not at all. */
  readonly resumeTimeoutSeconds: number | null;
  readonly intervalSeconds: number;
  readonly path: PathExtensions;
  /** How long the client would wait for a place on a full server; null = it does not know of waiting, as 0. */
  readonly waitSeconds: number | null;
  /** The key that the client will prove to have; null = none. */
  readonly auth: AuthOffer | null;
}

/** With whose key, and what makes this exchange another than any before. */
export interface AuthOffer {
  readonly keyId: string;
  /** NONCE_BYTES long. */
  readonly nonce: Uint8Array;
}

export const NONCE_BYTES = 32;
/** HMAC-SHA-256 (RFC 2104). */
export const MAC_BYTES = 32;

/** What a receiver wants to know of the sender. */
export interface DownloadExtensions extends OfferedExtensions {
  /** What each stream will be sent at; 0 = no limit, null = not told. */
  readonly bandwidthBytesPerSecond: number | null;
  /** How long it will be sent; null = not told. */
  readonly durationSeconds: number | null;
}

/** How a sender is to send, beyond what the original can be asked for. */
export interface UploadExtensions extends OfferedExtensions {
  readonly pacing: Pacing;
  /** Of TCP; a UDP packet always has the configuration's length. */
  readonly writeSize: WriteSize;
  /** The client opens the data connections, or sends first, instead of the server. */
  readonly clientDials: boolean;
}

/**
 * What a server of ours grants in `extensions` where a client offered them. An original peer ignores the offer and answers
 * without, which is how either side knows that the other is not ours.
 */
export interface Extensions {
  readonly version: number;
  readonly omitSeconds: number;
  readonly accounting: boolean;
  readonly singlePort: boolean;
  /** The server's ports in stream order, to which the client is to dial; null = the server dials. */
  readonly dialPorts: readonly number[] | null;
  /** The client may come back; null = it may not. */
  readonly resume: ResumeGrant | null;
  readonly intervalSeconds: number;
}

/** By what a client comes back. */
export interface ResumeGrant {
  /** Null where both sides derive it from their key. */
  readonly token: string | null;
}

interface ConfigurationBase {
  readonly kind: "configuration";
  readonly family: "tcp" | "udp";
  readonly testId: TestId;
  readonly streams: number;
  readonly lengthBytes: number;
}

/** Forward: the server receives. */
export interface DownloadConfiguration extends ConfigurationBase {
  readonly role: "download";
  readonly receiveBufferBytes: number;
  readonly extensions: DownloadExtensions | null;
}

/** Reverse: the server sends to the control connection's peer. */
export interface UploadConfiguration extends ConfigurationBase {
  readonly role: "upload";
  readonly bandwidthBytesPerSecond: number;
  readonly durationSeconds: number;
  readonly sendIntervalSeconds: number;
  readonly sendBufferBytes: number;
  readonly noDelay: boolean;
  readonly streamPorts: readonly number[];
  readonly extensions: UploadExtensions | null;
}

export type Configuration = DownloadConfiguration | UploadConfiguration;

/** A sender's final count, for the receiver's books; told again after each resumption, until the receiver is done. */
export interface SentTotals {
  /** 0 for TCP. */
  readonly packets: number;
  /** Of these, the first ones that `--omit` leaves out. */
  readonly omittedPackets: number;
}

export type ClientMessage =
  | Configuration
  | { readonly kind: "begin" }
  | { readonly kind: "end" }
  | { readonly kind: "sent"; readonly streamIndex: number; readonly sent: SentTotals }
  /** How many numbered messages (results and completions) the client has by now. */
  | { readonly kind: "ack"; readonly have: number }
  /** The client's answer to a challenge. */
  | { readonly kind: "proof"; readonly mac: Uint8Array }
  /** First on a new connection: goes on with the test of this token. */
  | { readonly kind: "resume"; readonly token: string; readonly have: number }
  /** First on a data connection to the control port: what follows belongs to this stream. */
  | { readonly kind: "data"; readonly testId: TestId; readonly streamIndex: number };

/** A stream of the server's is over. All but the first two come from a server of ours only. */
export interface Completion {
  readonly kind: "done" | "failed";
  readonly streamIndex: number;
  /** The role of the configuration it belongs to; an original does not tell. */
  readonly role: "download" | "upload" | null;
  readonly socket: SocketFacts | null;
  readonly message: string | null;
  readonly totals: SideTotals;
  /** Of a sender. */
  readonly sent: SentTotals | null;
}

/** Where the test of a resumed connection stands; `ready`: its `begin` has not come. */
export const RESUMED_PHASES = ["ready", "running", "finished"] as const;
export type ResumedPhase = (typeof RESUMED_PHASES)[number];

export type ServerMessage =
  | {
      readonly kind: "connect";
      readonly streamPorts: readonly number[];
      readonly extensions: Extensions | null;
    }
  | { readonly kind: "connect-ready"; readonly extensions: Extensions | null }
  /** The client has to wait for its place: so many are before it, for about so long (null = not known). */
  | { readonly kind: "queued"; readonly place: number; readonly waitSeconds: number | null }
  /** The server proves that it has the client's key, and asks for the same. */
  | { readonly kind: "challenge"; readonly nonce: Uint8Array; readonly mac: Uint8Array }
  | { readonly kind: "result"; readonly streamIndex: number; readonly interval: Interval }
  | Completion
  /** Numbered messages follow from `first` on: above what the client has, the server kept no more. */
  | { readonly kind: "resumed"; readonly phase: ResumedPhase; readonly first: number }
  /** On a data connection to the control port: its stream has taken it. */
  | { readonly kind: "data-ready" }
  /** The server gives up on this client, for a reason that a person can read. */
  | { readonly kind: "error"; readonly message: string };
