import type { SocketFacts } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";

/** Sixteen bytes that tie a data stream to its test. */
export type TestId = Uint8Array;

/** Version of what two of ours add to the protocol of 0.1.8. */
export const EXTENSION_VERSION = 1;

/**
 * What a peer of ours adds in `extensions`; an original peer ignores it and answers without, which is how either side
 * knows that the other is not ours.
 */
export interface Extensions {
  readonly version: number;
  /** Whole seconds that the sender marks as left out (see udp-packet.ts and `omitted` in results). */
  readonly omitSeconds: number;
}

interface ConfigurationBase {
  readonly kind: "configuration";
  readonly family: "tcp" | "udp";
  readonly testId: TestId;
  readonly streams: number;
  readonly lengthBytes: number;
  readonly extensions: Extensions | null;
}

/** Forward: the server receives. */
export interface DownloadConfiguration extends ConfigurationBase {
  readonly role: "download";
  readonly receiveBufferBytes: number;
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
