import type { Key } from "./keys.ts";
import type { Policy } from "./policy.ts";
import type { TlsIdentity, TlsTrust } from "./tls.ts";

/** Transport of a test's data streams. */
export type Family = "tcp" | "udp";

/** How a sender spreads its bytes over time: packet by packet, or as the original does, in slices of the send interval. */
export type Pacing = "even" | "slices";

/** Whether UDP uses the kernel's segmentation and receive offload: where it helps, or else fail, or never. */
export type OffloadMode = "auto" | "on" | "off";

/** How much a TCP sender writes at once: what suits the link, or at most `lengthBytes`. */
export type WriteSize = "auto" | "length";

/** Who opens the data connections of reverse tests, or sends first: the client, or as in the original the sender. */
export type DialMode = "client" | "legacy";

/** An inclusive range of ports, 1 ≤ first ≤ last ≤ 65535. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Ports that receivers may use, per transport and IP version; an empty list means any port the system gives. */
export interface PortPools {
  readonly tcp4: readonly PortRange[];
  readonly tcp6: readonly PortRange[];
  readonly udp4: readonly PortRange[];
  readonly udp6: readonly PortRange[];
}

/** What one client test is to do: complete, validated and frozen by `makeTestConfig`. */
export interface TestConfig {
  /** Name or address of the server, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Only IPv6 addresses of `host` are tried. */
  readonly ipv6Only: boolean;
  readonly family: Family;
  /** True when the server sends and the client receives; with `bidir`, of a single direction's result. */
  readonly reverse: boolean;
  /** Both directions at once. */
  readonly bidir: boolean;
  /** Per stream; 0 = as fast as the socket takes it. */
  readonly bandwidthBytesPerSecond: number;
  readonly durationSeconds: number;
  /** Used with `pacing: "slices"`; an original server is told it in any case. */
  readonly sendIntervalSeconds: number;
  /** `slices` when a send interval was asked for. */
  readonly pacing: Pacing;
  readonly offload: OffloadMode;
  /** Bytes of one UDP payload, or the most of one TCP write (see `writeSize`). */
  readonly lengthBytes: number;
  /** `length` when a TCP length was asked for. */
  readonly writeSize: WriteSize;
  /** SO_SNDBUF to ask for; 0 = leave the system's. */
  readonly sendBufferBytes: number;
  /** SO_RCVBUF to ask for; 0 = leave the choice to the receiving side. */
  readonly receiveBufferBytes: number;
  readonly parallel: number;
  /** Whole seconds at the start that are left out of the totals. */
  readonly omitSeconds: number;
  readonly noDelay: boolean;
  /** Logical CPUs dealt round-robin to the streams of this side; empty = the system's choice. */
  readonly affinity: readonly number[];
  readonly portPools: PortPools;
  readonly dial: DialMode;
  /** All data goes over the number of the control port. */
  readonly singlePort: boolean;
  /** Source ports of this side's data sockets, one each; null = any the system gives. */
  readonly clientPorts: PortRange | null;
  /** How long after the planned end a client whose control connection broke tries to get the rest; 0 = not at all. */
  readonly resumeTimeoutSeconds: number;
  /** How long the test waits for a place on a full server that lets it; 0 = not at all. */
  readonly waitSeconds: number;
  /** The address of this side's sockets; null = the system's choice. */
  readonly localAddress: string | null;
  /** The interface of this side's sockets (SO_BINDTODEVICE); null = any. */
  readonly device: string | null;
  /** TCP congestion control of the senders; null = the system's. */
  readonly congestion: string | null;
  /** Code point (0 to 63) of the senders' packets (RFC 2474); null = the system's. */
  readonly dscp: number | null;
  /** TCP_MAXSEG of the data connections; null = what the path gives. */
  readonly maxSegmentBytes: number | null;
  /** How often streams report. */
  readonly intervalSeconds: number;
  /** A text to know the result by; null = none. */
  readonly title: string | null;
  /** What the client proves to have, and demands of the server; null = none. In events and results it is always null. */
  readonly key: Key | null;
  /** Whom it trusts; null = no TLS. */
  readonly tls: TlsTrust | null;
}

/** What a server is to do: complete, validated and frozen by `makeServerConfig`. */
export interface ServerConfig {
  /** Address to listen on: "0.0.0.0", "::" (dual-stack), or a specific one. */
  readonly bindAddress: string;
  /** Control port; 0 = any free one (for an embedded server). */
  readonly port: number;
  /** Who may do what: where the server begins, it may be told another later. */
  readonly policy: Policy;
  readonly affinity: readonly number[];
  readonly portPools: PortPools;
  /** The interface of this side's sockets (SO_BINDTODEVICE); null = any. */
  readonly device: string | null;
  /** Of the control port; null = no TLS. */
  readonly tls: TlsIdentity | null;
}
