/**
 * What one stream's sender or receiver saw in one reporting interval (about 1 s): the unit of everything that
 * travels from a stream to the reports.
 */
export type Interval = TcpSendInterval | TcpReceiveInterval | UdpSendInterval | UdpReceiveInterval;

export type SendInterval = TcpSendInterval | UdpSendInterval;
export type ReceiveInterval = TcpReceiveInterval | UdpReceiveInterval;

interface IntervalBase {
  /** Wall-clock end of the interval, UNIX seconds. */
  readonly timestampSeconds: number;
  /** Monotonic length of the interval. */
  readonly durationSeconds: number;
}

/** The share of an interval that `--omit` leaves out of the totals, cut where the sender stood at the boundary. */
export interface OmittedSend {
  readonly durationSeconds: number;
  readonly bytesSent: number;
  /** 0 for TCP. */
  readonly packetsSent: number;
  readonly sendsBlocked: number;
}

/** The same on a UDP receiver, told apart by a mark in each packet, so that loss cannot blur it. */
export interface OmittedReceive {
  readonly durationSeconds: number;
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsOutOfOrder: number;
  readonly packetsDuplicated: number;
}

export interface TcpSendInterval extends IntervalBase {
  readonly family: "tcp";
  readonly kind: "send";
  readonly bytesSent: number;
  /** Times the socket was full. */
  readonly sendsBlocked: number;
  /** Absent when the sender did not cut (an original peer): then whole intervals are left out. */
  readonly omitted?: OmittedSend;
}

export interface TcpReceiveInterval extends IntervalBase {
  readonly family: "tcp";
  readonly kind: "receive";
  readonly bytesReceived: number;
}

export interface UdpSendInterval extends IntervalBase {
  readonly family: "udp";
  readonly kind: "send";
  /** Framed: each packet counts its payload and 8 bytes of UDP header. */
  readonly bytesSent: number;
  readonly packetsSent: number;
  readonly sendsBlocked: number;
  readonly omitted?: OmittedSend;
}

export interface UdpReceiveInterval extends IntervalBase {
  readonly family: "udp";
  readonly kind: "receive";
  /** Framed; duplicates included, strays not. */
  readonly bytesReceived: number;
  /** Duplicates included, strays not. */
  readonly packetsReceived: number;
  /** Gaps seen in this interval, less the late arrivals that filled one. */
  readonly packetsLost: number;
  readonly packetsOutOfOrder: number;
  readonly packetsDuplicated: number;
  /** Length of the longest run of packets in order. */
  readonly unbrokenSequence: number;
  /** RFC 3550 A.8 jitter over that run; null when it is shorter than two packets. */
  readonly jitterSeconds: number | null;
  readonly omitted?: OmittedReceive;
}
