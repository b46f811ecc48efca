import type { OffloadMode, Pacing, WriteSize } from "../config/types.ts";
import type { SocketFacts } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";

/** Sixteen bytes that tie a data stream to its test. */
export type TestId = Uint8Array;

/** Version of what two of ours add to the protocol of 0.1.8. */
export const EXTENSION_VERSION = 1;

/**
 * What a server of ours adds in `extensions` where a client offered them. An original peer ignores them and answers
 * without, which is how either side knows that the other is not ours.
 */
export interface Extensions {
  readonly version: number;
  /** Whole seconds that the sender marks as left out (see udp-packet.ts and `omitted` in results). */
  readonly omitSeconds: number;
}

/** What a client of ours offers with either role. */
interface OfferedExtensions extends Extensions {
  /** Of UDP; TCP has no use for it. */
  readonly offload: OffloadMode;
}

/** What a receiver wants to know of the sender. */
export interface DownloadExtensions extends OfferedExtensions {
  /** What each stream will be sent at; 0 = no limit, null = not told. */
  readonly bandwidthBytesPerSecond: number | null;
}

/** How a sender is to send, beyond what the original can be asked for. */
export interface UploadExtensions extends OfferedExtensions {
  readonly pacing: Pacing;
  /** Of TCP; a UDP packet always has the configuration's length. */
  readonly writeSize: WriteSize;
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

export type ClientMessage = Configuration | { readonly kind: "begin" } | { readonly kind: "end" };

/** A stream of the server's is over. `socket` and `message` come from a server of ours only. */
export interface Completion {
  readonly kind: "done" | "failed";
  readonly streamIndex: number;
  readonly socket: SocketFacts | null;
  readonly message: string | null;
}

export type ServerMessage =
  | {
      readonly kind: "connect";
      readonly streamPorts: readonly number[];
      readonly extensions: Extensions | null;
    }
  | { readonly kind: "connect-ready"; readonly extensions: Extensions | null }
  | { readonly kind: "result"; readonly streamIndex: number; readonly interval: Interval }
  | Completion
  /** The server gives up on this client, for a reason that a person can read. */
  | { readonly kind: "error"; readonly message: string };
