import type { SenderSpec, ReceiverSpec } from "./spec.ts";
import { ConnectSource, DialSource } from "./tcp-dial-source.ts";
import { HandedSource } from "./tcp-handed-source.ts";
import { ListenSource } from "./tcp-listen-source.ts";
import type { DataSocket } from "./tcp-connection.ts";

export interface SourceEvents {
  /** Once: the stream's own connection, on which it has been sent `countedBytes` of data by now. The owner is to be set. */
  onConnection(socket: DataSocket, countedBytes: number): void;
  onWarning(message: string): void;
}

/** Where the one data connection of a TCP stream comes from. */
export interface ConnectionSource {
  /** Binds, or connects; gives the port that it listens on, else null. Throws RperfError. */
  open(events: SourceEvents): Promise<number | null>;
  /** To be called when the stream starts. */
  start(): Promise<void>;
  /** A connection from the control port; refused, and closed, where none is expected. */
  take(descriptor: number): void;
  /** No connection is admitted any more; the one that was is its owner's. */
  close(): void;
}

export function connectionSourceOf(spec: SenderSpec | ReceiverSpec): ConnectionSource {
  const { endpoint } = spec;
  switch (endpoint.type) {
    case "listen":
      return new ListenSource(spec, endpoint);
    case "connect":
      return new ConnectSource(spec, endpoint);
    case "dial":
      return new DialSource(spec, endpoint);
    case "handed":
      return new HandedSource();
  }
}
