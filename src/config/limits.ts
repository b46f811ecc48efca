/** Bounds that the command line, the library and the wire share. */
export const MAX_STREAMS = 255;
/** The test id that opens every TCP stream. */
export const MIN_TCP_LENGTH_BYTES = 16;
export const MAX_TCP_LENGTH_BYTES = 16 * 1024 * 1024;
/** A sender holds a buffer of that length for each stream: so much for all of them. */
export const MAX_BUFFERS_BYTES = 256 * 1024 * 1024;
/** Test id, packet id, seconds, nanoseconds. */
export const MIN_UDP_LENGTH_BYTES = 36;
/** The largest UDP payload over IPv4 (RFC 768, RFC 791: 65,535 less 20 and 8 bytes of headers). */
export const MAX_UDP_LENGTH_BYTES = 65_507;
/** What one UDP packet counts for beyond its payload (RFC 768). */
export const UDP_HEADER_BYTES = 8;
/** setsockopt(2) takes an int. */
export const MAX_BUFFER_BYTES = 2 ** 31 - 1;
export const MAX_DURATION_SECONDS = 31 * 86_400;
export const MAX_OMIT_SECONDS = MAX_DURATION_SECONDS;
/** 8 Pb/s; everything above is not a rate. */
export const MAX_BANDWIDTH_BYTES_PER_SECOND = 1e15;
/** 8 Tb/s: no limit. An original server, which takes 0 for no data at all, is asked for it and sends as fast as it can. */
export const UNREACHABLE_BYTES_PER_SECOND = 1e12;
/** A client that waits longer for a place had better come again. */
export const MAX_WAIT_SECONDS = 3600;
/** So many connections may be held by clients that wait. */
export const MAX_QUEUE = 256;
/** Faster reports would cost more than they tell. */
export const MIN_INTERVAL_SECONDS = 0.1;
export const MAX_INTERVAL_SECONDS = 60;
/** As long as servers keep a result. */
export const MAX_RESUME_TIMEOUT_SECONDS = 600;
/**
 * The least Linux takes (TCP_MIN_MSS in net/tcp.h), and what an IPv4 packet holds behind 40 bytes of headers, though Linux
 * refuses to be asked for more than 32,767 (tcp_sock_set_maxseg in net/ipv4/tcp.c).
 */
export const MIN_SEGMENT_BYTES = 88;
export const MAX_SEGMENT_BYTES = 32_767;
/** The code point has six bits (RFC 2474, 3). */
export const MAX_DSCP = 63;
export const MAX_TITLE_CHARACTERS = 200;
/** Names of interfaces (IFNAMSIZ) and of congestion controls (TCP_CA_NAME_MAX) are C strings in 16 bytes on Linux. */
export const MAX_KERNEL_NAME_BYTES = 15;
/** How often streams report, as the original's do. */
export const REPORT_INTERVAL_SECONDS = 1;
/** How long a connection may take, control or data, as in the original. */
export const CONNECT_TIMEOUT_SECONDS = 2;
/** A receiver that saw nothing for this long has failed; both ends of the protocol rely on it. */
export const RECEIVER_SILENCE_SECONDS = 3;
export const MAX_KEY_ID_CHARACTERS = 64;
/** 128 bits: whoever plays a server's or a client's part once may try secrets for as long as he likes. */
export const MIN_SECRET_BYTES = 16;
export const MAX_SECRET_BYTES = 1024;
