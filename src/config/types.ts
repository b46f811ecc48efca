/** Transport of a test's data streams. */
export type Family = "tcp" | "udp";

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
  readonly sendIntervalSeconds: number;
  /** Bytes of one TCP write or of one UDP payload. */
  readonly lengthBytes: number;
  /** SO_SNDBUF to ask for; 0 = leave the system's. */
  readonly sendBufferBytes: number;
  /** SO_RCVBUF to ask for; 0 = leave the system's. */
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
