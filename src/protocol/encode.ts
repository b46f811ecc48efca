import type { SideTotals, SocketFacts } from "../results/types.ts";
import type { UdpBooks } from "../stats/udp-books.ts";
import type {
  ClientMessage,
  Completion,
  Configuration,
  DownloadExtensions,
  Extensions,
  OfferedExtensions,
  PathExtensions,
  SentTotals,
  ServerMessage,
  UploadExtensions,
} from "./messages.ts";
import { encodeInterval } from "./results.ts";

/** A message of the client in the wire's spelling. */
export function encodeClientMessage(message: ClientMessage): object {
  const { kind } = message;
  switch (kind) {
    case "configuration":
      return encodeConfiguration(message);
    case "begin":
    case "end":
      return { kind };
    case "sent":
      return { kind, stream_idx: message.streamIndex, ...encodeSent(message.sent) };
    case "ack":
      return { kind, have: message.have };
    case "proof":
      return { kind, mac: message.mac.toBase64() };
    case "resume":
      return { kind, token: message.token, have: message.have };
    case "data":
      return { kind, test_id: Array.from(message.testId), stream_idx: message.streamIndex };
  }
}

/** A message of the server in the wire's spelling. */
export function encodeServerMessage(message: ServerMessage): object {
  switch (message.kind) {
    case "connect":
      return { kind: message.kind, stream_ports: message.streamPorts, ...encodeAnswered(message.extensions) };
    case "connect-ready":
      return { kind: message.kind, ...encodeAnswered(message.extensions) };
    case "queued":
      return { kind: message.kind, place: message.place, ...told({ wait: message.waitSeconds }) };
    case "challenge":
      return { kind: message.kind, nonce: message.nonce.toBase64(), mac: message.mac.toBase64() };
    case "result":
      return encodeInterval(message.streamIndex, message.interval);
    case "done":
    case "failed":
      return encodeCompletion(message);
    case "resumed":
      return { kind: message.kind, phase: message.phase, first: message.first };
    case "data-ready":
      return { kind: message.kind };
    case "error":
      return { kind: message.kind, message: message.message };
  }
}

/** The original unwraps every one of these fields, whatever the family. */
function encodeConfiguration(configuration: Configuration): object {
  const common = {
    kind: configuration.kind,
    family: configuration.family,
    role: configuration.role,
    test_id: Array.from(configuration.testId),
    streams: configuration.streams,
    length: configuration.lengthBytes,
  };
  if (configuration.role === "download") {
    const receive_buffer = configuration.receiveBufferBytes;
    return { ...common, receive_buffer, ...encodeDownloadExtensions(configuration.extensions) };
  }
  return {
    ...common,
    bandwidth: configuration.bandwidthBytesPerSecond,
    duration: configuration.durationSeconds,
    send_interval: configuration.sendIntervalSeconds,
    send_buffer: configuration.sendBufferBytes,
    no_delay: configuration.noDelay,
    stream_ports: configuration.streamPorts,
    ...encodeUploadExtensions(configuration.extensions),
  };
}

function encodeDownloadExtensions(extensions: DownloadExtensions | null): object {
  if (extensions === null) return {};
  const { bandwidthBytesPerSecond: bandwidth, durationSeconds: duration } = extensions;
  return { extensions: { ...encodeOffer(extensions), ...told({ bandwidth, duration }) } };
}

function encodeUploadExtensions(extensions: UploadExtensions | null): object {
  if (extensions === null) return {};
  const { pacing, writeSize, clientDials } = extensions;
  const dial = clientDials ? "client" : null;
  return { extensions: { ...encodeOffer(extensions), pacing, write_size: writeSize, ...told({ dial }) } };
}

function encodeOffer(offer: OfferedExtensions): object {
  const { version, omitSeconds, offload, resumeTimeoutSeconds, intervalSeconds, path } = offer;
  return {
    version,
    omit_seconds: omitSeconds,
    offload,
    interval: intervalSeconds,
    ...told({
      accounting: offer.accounting || null,
      single_port: offer.singlePort || null,
      resume: resumeTimeoutSeconds === null ? null : { timeout: resumeTimeoutSeconds },
      path: encodePath(path),
      wait: offer.waitSeconds,
      auth: offer.auth && { key_id: offer.auth.keyId, nonce: offer.auth.nonce.toBase64() },
    }),
  };
}

/** Null when everything is left to the system. */
function encodePath({ congestion, dscp, maxSegmentBytes }: PathExtensions): object | null {
  const path = told({ congestion, dscp, mss: maxSegmentBytes });
  return Object.keys(path).length === 0 ? null : path;
}

function encodeAnswered(extensions: Extensions | null): object {
  if (extensions === null) return {};
  const { version, omitSeconds, intervalSeconds, dialPorts, resume } = extensions;
  return {
    extensions: {
      version,
      omit_seconds: omitSeconds,
      interval: intervalSeconds,
      ...told({
        accounting: extensions.accounting || null,
        single_port: extensions.singlePort || null,
        dial: dialPorts === null ? null : "client",
        stream_ports: dialPorts,
        resume: resume && told({ token: resume.token }),
      }),
    },
  };
}

/** An object without the fields that are null: on the wire what is absent is not told, or off. */
function told(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function encodeSent({ packets, omittedPackets }: SentTotals): object {
  return { packets, omitted_packets: omittedPackets };
}

function encodeCompletion(completion: Completion): object {
  const { kind, streamIndex, role, socket, message, totals, sent } = completion;
  const toldTotals = encodeTotals(totals);
  return {
    kind,
    origin: "server",
    stream_idx: streamIndex,
    ...told({
      role,
      socket: socket && encodeSocketFacts(socket),
      message,
      totals: Object.keys(toldTotals).length === 0 ? null : toldTotals,
      sent: sent && encodeSent(sent),
    }),
  };
}

function encodeTotals({ books, bufferDrops, sendsRefused, bytesUndelivered }: SideTotals): object {
  return told({
    books: books && encodeBooks(books),
    buffer_drops: bufferDrops,
    sends_refused: sendsRefused,
    bytes_undelivered: bytesUndelivered,
  });
}

function encodeBooks(books: UdpBooks): object {
  const { reordering, bursts } = books;
  return {
    ...told({ sent: books.packetsSent }),
    unique: books.packetsUnique,
    lost: books.packetsLost,
    duplicated: books.packetsDuplicated,
    stray: books.packetsStray,
    reordered: reordering.packets,
    reorder_extent_max: reordering.maxExtentPackets,
    ...told({ reorder_extent_mean: reordering.meanExtentPackets }),
    bursts: bursts.count,
    burst_longest: bursts.longestPackets,
    ...told({ burst_mean: bursts.meanPackets }),
  };
}

function encodeSocketFacts(facts: SocketFacts): object {
  return told({
    send_buffer: facts.sendBufferBytes,
    receive_buffer: facts.receiveBufferBytes,
    affinity_cpu: facts.affinityCpu,
    offload: facts.offload,
    timestamps: facts.timestamps,
    pacing: facts.pacing,
    write_size: facts.writeBytes,
    congestion: facts.congestion,
    dscp: facts.dscp,
    mss: facts.maxSegmentBytes,
  });
}
