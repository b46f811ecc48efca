import { darwin } from "./darwin.ts";
import { linux } from "./linux.ts";
import { unsupported } from "./unsupported.ts";

/** What an operation beyond Bun's own sockets gave: not being supported here is an answer, not a crash. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false;
      readonly supported: boolean;
      readonly message: string;
      /** The name of the system's error, such as `EADDRINUSE`, where it was the system that refused. */
      readonly code?: string;
    };

/** Numbers and names of one operating system, behind one signature; null = this system has no such thing. */
export interface Platform {
  /** As a user would write it. */
  readonly name: string;
  /** Tried in order; the first that opens is used. */
  readonly libcNames: readonly string[];
  /** The function that returns the address of this thread's errno. */
  readonly errnoFunction: "__errno_location" | "__error" | null;
  readonly socketLevel: number;
  readonly sendBufferOption: number;
  readonly receiveBufferOption: number;
  readonly keepalive: KeepaliveOptions | null;
  /** Of level IPPROTO_TCP: how many bytes a socket takes beyond what is under way. */
  readonly unsentLimitOption: number | null;
  readonly hasThreadAffinity: boolean;
  /** RLIMIT_NOFILE of getrlimit(2). */
  readonly openFilesLimit: number | null;
  /** Input and output on the descriptors of Bun's sockets, past Bun. */
  readonly directIo: DirectIoNumbers | null;
  /** Sockets made past Bun. */
  readonly rawSockets: RawSocketNumbers | null;
  /** How packets go their way, and what became of them. */
  readonly path: PathNumbers | null;
}

/** Flags and options of calls that go past Bun's sockets, and of what only those calls can tell or do. */
export interface DirectIoNumbers {
  /** Of send(2) and recv(2): never wait. */
  readonly dontWait: number;
  /** Of send(2): a closed connection is an error, and no SIGPIPE. */
  readonly noSignal: number;
  /** Of recv(2) on TCP: the data is counted and thrown away (tcp(7), MSG_TRUNC). */
  readonly discard: number;
  /** Of recv(2): the data stay where they are (MSG_PEEK). */
  readonly peek: number;
  /** UDP_SEGMENT and UDP_GRO of udp(7). */
  readonly udp: { readonly level: number; readonly segment: number; readonly receiveOffload: number };
  /** F_DUPFD_CLOEXEC of fcntl(2). */
  readonly duplicate: number;
  /** O_CLOEXEC of dup3(2). */
  readonly closeOnExec: number;
  /** SO_TIMESTAMPNS of socket(7), also the type of its control message. */
  readonly arrivalTimes: number;
  /** SO_MAX_PACING_RATE of socket(7). */
  readonly pacingRate: number;
  /** PR_SET_TIMERSLACK of prctl(2). */
  readonly timerSlack: number;
  /** CLOCK_REALTIME and CLOCK_MONOTONIC of clock_gettime(2). */
  readonly wallClock: number;
  readonly monotonicClock: number;
}

/** What socket(2) and its kind are told, and how an address lies in memory (ffi/socket-address.ts). */
export interface RawSocketNumbers {
  readonly families: AddressFamilies;
  /** AF_UNIX; its addresses are those of unix(7), and its datagrams of the type of UDP (SOCK_DGRAM). */
  readonly unixFamily: number;
  readonly types: { readonly tcp: number; readonly udp: number };
  /** SOCK_NONBLOCK | SOCK_CLOEXEC of socket(2). */
  readonly typeFlags: number;
  /** SO_REUSEADDR, SO_REUSEPORT and SO_ERROR of socket(7). */
  readonly reuseAddress: number;
  readonly reusePort: number;
  readonly error: number;
  readonly ipv6: {
    readonly level: number;
    /** IPV6_V6ONLY of ipv6(7). */
    readonly only: number;
  };
}

/** Options of a path, and of what the system counts on it. */
export interface PathNumbers {
  /** SO_BINDTODEVICE of socket(7). */
  readonly bindToDevice: number;
  /** IP_TOS of ip(7) and IPV6_TCLASS of ipv6(7). */
  readonly trafficClass: Readonly<Record<4 | 6, { readonly level: number; readonly option: number }>>;
  /** TCP_CONGESTION, TCP_MAXSEG and TCP_INFO of tcp(7), and TCP_RTO_MAX_MS. */
  readonly congestion: number;
  readonly largestSegment: number;
  readonly longestRetransmitWait: number;
  readonly tcpInfo: number;
  /** SIOCOUTQ of tcp(7), a request of ioctl(2). */
  readonly sendQueue: number;
  /** SO_MEMINFO: the words of sock_diag(7), INET_DIAG_SKMEMINFO; and which of them counts drops. */
  readonly memory: { readonly option: number; readonly words: number; readonly drops: number };
}

/** AF_INET and AF_INET6. */
export interface AddressFamilies {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** Options of level IPPROTO_TCP that bound how long a silent peer is believed to be there. */
export interface KeepaliveOptions {
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  readonly probes: number;
  /** How long sent data may stay unacknowledged. */
  readonly unacknowledged: { readonly option: number; readonly unitsPerSecond: number };
}

/** The one of the machine this runs on. */
export const platform: Platform =
  process.platform === "linux" ? linux : process.platform === "darwin" ? darwin : unsupported;
