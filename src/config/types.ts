/** Transport of a test's data streams. */
export type Family = "tcp" | "udp";

/** How a sender spreads its bytes over time: packet by packet, or as the original does, in slices of the send interval. */
export type Pacing = "even" | "slices";

/** Whether UDP uses the kernel's segmentation and receive offload: where it helps, or else fail, or never. */
export type OffloadMode = "auto" | "on" | "off";

/** How much a TCP sender writes at once: what suits the link, or at most `lengthBytes`. */
export type WriteSize = "auto" | "length";

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
  /** True when the server sends and the client receives. */
  readonly reverse: boolean;
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
}

/** What a server is to do: complete, validated and frozen by `makeServerConfig`. */
export interface ServerConfig {
  /** Address to listen on: "0.0.0.0", "::" (dual-stack), or a specific one. */
  readonly bindAddress: string;
  /** Control port; 0 = any free one (for an embedded server). */
  readonly port: number;
  /** Clients that may have a test at the same time; 0 = any number. */
  readonly clientLimit: number;
  readonly affinity: readonly number[];
  readonly portPools: PortPools;
}
