import {
  MAX_BANDWIDTH_BYTES_PER_SECOND,
  MAX_BUFFERS_BYTES,
  MAX_BUFFER_BYTES,
  MAX_DSCP,
  MAX_DURATION_SECONDS,
  MAX_STREAMS,
  MAX_TCP_LENGTH_BYTES,
  MAX_UDP_LENGTH_BYTES,
  MIN_TCP_LENGTH_BYTES,
  MIN_UDP_LENGTH_BYTES,
} from "../config/limits.ts";
import { RperfError } from "../errors.ts";
import type { SideTotals, SocketFacts } from "../results/types.ts";
import type { UdpBooks } from "../stats/udp-books.ts";
import {
  decodeAnswered,
  decodeDownloadExtensions,
  decodeExtensions,
  decodeUploadExtensions,
} from "./decode-extensions.ts";
import { Fields } from "./fields.ts";
import {
  type ClientMessage,
  type Completion,
  type Configuration,
  MAC_BYTES,
  NONCE_BYTES,
  RESUMED_PHASES,
  type SentTotals,
  type ServerMessage,
  type TestId,
} from "./messages.ts";
import { decodeInterval } from "./results.ts";
import { TEST_ID_BYTES } from "./tcp-data.ts";

const ROLES = ["download", "upload"] as const;
const MOST = Number.MAX_SAFE_INTEGER;
const MAX_PORT = 65_535;
const MIN_SEND_INTERVAL_SECONDS = 1e-6;

/** What a client sent; throws `peer-protocol`, naming the field, for anything but a well-formed message. */
export function decodeClientMessage(body: Uint8Array): ClientMessage {
  const fields = parse(body);
  const kind = fields.choice("kind", ["configuration", "begin", "end", "sent", "ack", "proof", "resume", "data"]);
  switch (kind) {
    case "configuration":
      return decodeConfiguration(fields);
    case "begin":
    case "end":
      return { kind };
    case "sent":
      return { kind, streamIndex: fields.integer("stream_idx", 0, MAX_STREAMS - 1), sent: decodeSent(fields) };
    case "ack":
      return { kind, have: fields.integer("have", 0, MOST) };
    case "proof":
      return { kind, mac: fields.bytes("mac", MAC_BYTES) };
    case "resume":
      // Of any length: a token that cannot be is answered as a wrong one.
      return { kind, token: fields.string("token"), have: fields.integer("have", 0, MOST) };
    case "data":
      return { kind, testId: decodeTestId(fields), streamIndex: fields.integer("stream_idx", 0, MAX_STREAMS - 1) };
  }
}

const SERVER_KINDS = [
  "connect",
  "connect-ready",
  "queued",
  "challenge",
  "send",
  "receive",
  "done",
  "failed",
  "resumed",
  "data-ready",
  "error",
] as const;

/** What a server sent; throws as above. `expectedStreams` is how many were asked for. */
export function decodeServerMessage(body: Uint8Array, expectedStreams: number): ServerMessage {
  const fields = parse(body);
  const kind = fields.choice("kind", SERVER_KINDS);
  const lastStream = expectedStreams - 1;
  const answered = (extensions: Fields) => decodeAnswered(extensions, expectedStreams);
  switch (kind) {
    case "connect": {
      const streamPorts = fields.integers("stream_ports", expectedStreams, 1, MAX_PORT);
      return { kind, streamPorts, extensions: decodeExtensions(fields, answered) };
    }
    case "connect-ready":
      return { kind, extensions: decodeExtensions(fields, answered) };
    case "queued": {
      const waitSeconds = fields.has("wait") ? fields.number("wait", 0, MOST) : null;
      return { kind, place: fields.integer("place", 1, MOST), waitSeconds };
    }
    case "challenge":
      return { kind, nonce: fields.bytes("nonce", NONCE_BYTES), mac: fields.bytes("mac", MAC_BYTES) };
    case "send":
    case "receive": {
      const streamIndex = fields.integer("stream_idx", 0, lastStream);
      return { kind: "result", streamIndex, interval: decodeInterval(fields, kind) };
    }
    case "done":
    case "failed":
      return decodeCompletion(fields, kind, lastStream);
    case "resumed":
      return { kind, phase: fields.choice("phase", RESUMED_PHASES), first: fields.integer("first", 0, MOST) };
    case "data-ready":
      return { kind };
    case "error":
      return { kind, message: fields.text("message") };
  }
}

function parse(body: Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new RperfError("peer-protocol", "the message is not JSON", { cause });
  }
  return Fields.of(value);
}

function decodeConfiguration(fields: Fields): Configuration {
  const role = fields.choice("role", ROLES);
  const family = fields.choice("family", ["tcp", "udp"]);
  const common = {
    kind: "configuration",
    family,
    testId: decodeTestId(fields),
    streams: fields.integer("streams", 1, MAX_STREAMS),
    lengthBytes:
      family === "tcp"
        ? fields.integer("length", MIN_TCP_LENGTH_BYTES, MAX_TCP_LENGTH_BYTES)
        : fields.integer("length", MIN_UDP_LENGTH_BYTES, MAX_UDP_LENGTH_BYTES),
  } as const;
  if (common.streams * common.lengthBytes > MAX_BUFFERS_BYTES) {
    throw new RperfError("peer-protocol", `length times streams must be at most ${MAX_BUFFERS_BYTES}`);
  }
  if (role === "download") {
    return {
      ...common,
      role,
      receiveBufferBytes: fields.integer("receive_buffer", 0, MAX_BUFFER_BYTES),
      extensions: decodeExtensions(fields, decodeDownloadExtensions),
    };
  }
  return {
    ...common,
    role,
    bandwidthBytesPerSecond: fields.number("bandwidth", 0, MAX_BANDWIDTH_BYTES_PER_SECOND),
    durationSeconds: fields.number("duration", 0, MAX_DURATION_SECONDS),
    sendIntervalSeconds: fields.number("send_interval", MIN_SEND_INTERVAL_SECONDS, 1),
    sendBufferBytes: fields.integer("send_buffer", 0, MAX_BUFFER_BYTES),
    noDelay: family === "tcp" ? fields.boolean("no_delay") : false,
    streamPorts: fields.integers("stream_ports", common.streams, 1, MAX_PORT),
    extensions: decodeExtensions(fields, decodeUploadExtensions),
  };
}

function decodeTestId(fields: Fields): TestId {
  return Uint8Array.from(fields.integers("test_id", TEST_ID_BYTES, 0, 255));
}

function decodeCompletion(fields: Fields, kind: "done" | "failed", lastStream: number): Completion {
  return {
    kind,
    streamIndex: fields.integer("stream_idx", 0, lastStream),
    role: fields.has("role") ? fields.choice("role", ROLES) : null,
    socket: fields.has("socket") ? decodeSocketFacts(fields.object("socket")) : null,
    message: fields.has("message") ? fields.text("message") : null,
    totals: decodeTotals(fields.has("totals") ? fields.object("totals") : Fields.of({})),
    sent: fields.has("sent") ? decodeSent(fields.object("sent")) : null,
  };
}

function decodeSent(fields: Fields): SentTotals {
  const packets = fields.integer("packets", 0, MOST);
  return { packets, omittedPackets: fields.integer("omitted_packets", 0, packets) };
}

function decodeTotals(fields: Fields): SideTotals {
  const count = (name: string) => (fields.has(name) ? fields.integer(name, 0, MOST) : null);
  return {
    books: fields.has("books") ? decodeBooks(fields.object("books")) : null,
    bufferDrops: count("buffer_drops"),
    sendsRefused: count("sends_refused"),
    bytesUndelivered: count("bytes_undelivered"),
  };
}

function decodeBooks(fields: Fields): UdpBooks {
  const count = (name: string) => fields.integer(name, 0, MOST);
  const mean = (name: string) => (fields.has(name) ? fields.number(name, 0, MOST) : null);
  return {
    packetsSent: fields.has("sent") ? count("sent") : null,
    packetsUnique: count("unique"),
    packetsLost: count("lost"),
    packetsDuplicated: count("duplicated"),
    packetsStray: count("stray"),
    reordering: {
      packets: count("reordered"),
      maxExtentPackets: count("reorder_extent_max"),
      meanExtentPackets: mean("reorder_extent_mean"),
    },
    bursts: { count: count("bursts"), longestPackets: count("burst_longest"), meanPackets: mean("burst_mean") },
  };
}

function decodeSocketFacts(fields: Fields): SocketFacts {
  const whole = (name: string) => (fields.has(name) ? fields.integer(name, 0, MAX_BUFFER_BYTES) : null);
  const where = (name: string) => (fields.has(name) ? fields.choice(name, ["kernel", "user"]) : null);
  return {
    sendBufferBytes: whole("send_buffer"),
    receiveBufferBytes: whole("receive_buffer"),
    affinityCpu: whole("affinity_cpu"),
    offload: fields.has("offload") ? fields.boolean("offload") : null,
    timestamps: where("timestamps"),
    pacing: where("pacing"),
    writeBytes: whole("write_size"),
    congestion: fields.has("congestion") ? fields.text("congestion") : null,
    dscp: fields.has("dscp") ? fields.integer("dscp", 0, MAX_DSCP) : null,
    maxSegmentBytes: whole("mss"),
  };
}
