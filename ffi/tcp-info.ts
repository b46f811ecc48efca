import { notSupported, ptr, rawSocketCalls, refused } from "./libc.ts";
import { readOption, TCP_LEVEL } from "./option-calls.ts";
import { type Outcome, platform } from "./platform.ts";

/** struct tcp_info of include/uapi/linux/tcp.h has 232 bytes in Linux 6.18, and grows at its end. */
const MOST_BYTES = 256;

/*
 * The fields of struct tcp_info that are told here; host order, which is little-endian wherever Bun runs. The state and
 * the flags before them fill 8 bytes, and the first words up to 104 bytes are of Linux 2.6:
 *
 *   16       24        56                68       72       80        100            120           128             144
 *   | snd_mss | unacked | last_ack_recv ms | rtt µs | rttvar | snd_cwnd | total_retrans | u64 acked | u64 received  | notsent |
 *
 *   148        160                 192         200          208             216
 *   | min_rtt µs | u64 delivery rate | delivered | u64 sent   | u64 retrans    |
 */
const WORDS = {
  sendSegmentBytes: 16,
  unackedSegments: 24,
  sinceAckMilliseconds: 56,
  rttMicroseconds: 68,
  rttVariationMicroseconds: 72,
  congestionWindowSegments: 80,
  retransmittedSegments: 100,
  notSentBytes: 144,
  leastRttMicroseconds: 148,
  deliveredSegments: 192,
} as const;
const LONG_WORDS = {
  ackedBytes: 120,
  deliveryBytesPerSecond: 160,
  sentBytes: 200,
  retransmittedBytes: 208,
} as const;

/**
 * What the kernel tells of a connection, each null where it is too old to tell it. `ackedBytes` counts the SYN of the
 * side that connected, and a FIN, as one byte each, `sentBytes` counts neither, but what was sent again too. Every segment
 * of a peer's acknowledges, an answer to a keepalive too: `sinceAckMilliseconds` is how long ago its system was heard of.
 */
export type TcpInfo = Readonly<Record<keyof typeof WORDS | keyof typeof LONG_WORDS, number | null>>;

/** TCP_INFO of tcp(7). */
export function readTcpInfo(fd: number): Outcome<TcpInfo> {
  const what = "reading a connection's figures";
  if (platform.path === null) return notSupported(what);
  const bytes = new Uint8Array(new ArrayBuffer(MOST_BYTES));
  const read = readOption(fd, TCP_LEVEL, platform.path.tcpInfo, bytes, what);
  return read.ok ? { ok: true, value: decodeTcpInfo(bytes.subarray(0, read.value)) } : read;
}

/** What the kernel wrote, whole or less. */
export function decodeTcpInfo(bytes: Uint8Array): TcpInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number) => (at + 4 <= view.byteLength ? view.getUint32(at, true) : null);
  const longWord = (at: number) => {
    const high = word(at + 4);
    return high === null ? null : high * 2 ** 32 + view.getUint32(at, true);
  };
  return {
    sendSegmentBytes: word(WORDS.sendSegmentBytes),
    unackedSegments: word(WORDS.unackedSegments),
    sinceAckMilliseconds: word(WORDS.sinceAckMilliseconds),
    rttMicroseconds: word(WORDS.rttMicroseconds),
    rttVariationMicroseconds: word(WORDS.rttVariationMicroseconds),
    congestionWindowSegments: word(WORDS.congestionWindowSegments),
    retransmittedSegments: word(WORDS.retransmittedSegments),
    notSentBytes: word(WORDS.notSentBytes),
    leastRttMicroseconds: word(WORDS.leastRttMicroseconds),
    deliveredSegments: word(WORDS.deliveredSegments),
    ackedBytes: longWord(LONG_WORDS.ackedBytes),
    deliveryBytesPerSecond: longWord(LONG_WORDS.deliveryBytesPerSecond),
    sentBytes: longWord(LONG_WORDS.sentBytes),
    retransmittedBytes: longWord(LONG_WORDS.retransmittedBytes),
  };
}

/** How much of what a TCP socket took is not acknowledged yet, sent or not (SIOCOUTQ, tcp(7)). */
export function readSendQueueBytes(fd: number): Outcome<number> {
  const what = "reading the send queue";
  const libc = rawSocketCalls();
  if (platform.path === null || libc === null) return notSupported(what);
  const value = new Int32Array(new ArrayBuffer(4));
  const status = libc.calls.ioctl(fd, platform.path.sendQueue, ptr(value));
  return status === 0 ? { ok: true, value: value[0] ?? 0 } : refused(what, libc.errno());
}
