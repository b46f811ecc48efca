import { OFFLOAD_MODES, PACINGS, WRITE_SIZES } from "../config/choices.ts";
import {
  MAX_BANDWIDTH_BYTES_PER_SECOND,
  MAX_BUFFERS_BYTES,
  MAX_BUFFER_BYTES,
  MAX_DURATION_SECONDS,
  MAX_OMIT_SECONDS,
  MAX_STREAMS,
  MAX_TCP_LENGTH_BYTES,
  MAX_UDP_LENGTH_BYTES,
  MIN_TCP_LENGTH_BYTES,
  MIN_UDP_LENGTH_BYTES,
} from "../config/limits.ts";
import type { OffloadMode } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import type { SocketFacts } from "../results/types.ts";
import { Fields } from "./fields.ts";
import type {
  ClientMessage,
  Completion,
  Configuration,
  DownloadExtensions,
  Extensions,
  ServerMessage,
  UploadExtensions,
} from "./messages.ts";
import { decodeInterval } from "./results.ts";

const MAX_PORT = 65_535;
const MIN_SEND_INTERVAL_SECONDS = 1e-6;

/** What a client sent; throws `peer-protocol`, naming the field, for anything but a well-formed message. */
export function decodeClientMessage(body: Uint8Array): ClientMessage {
  const fields = parse(body);
  const kind = fields.choice("kind", ["configuration", "begin", "end"]);
  return kind === "configuration" ? decodeConfiguration(fields) : { kind };
}

/** What a server sent; throws as above. `expectedStreams` is how many were asked for. */
export function decodeServerMessage(body: Uint8Array, expectedStreams: number): ServerMessage {
  const fields = parse(body);
  const kind = fields.choice("kind", ["connect", "connect-ready", "send", "receive", "done", "failed", "error"]);
  const lastStream = expectedStreams - 1;
  switch (kind) {
    case "connect": {
      const streamPorts = fields.integers("stream_ports", expectedStreams, 1, MAX_PORT);
      return { kind, streamPorts, extensions: decodeExtensions(fields, decodeAnswered) };
    }
    case "connect-ready":
      return { kind, extensions: decodeExtensions(fields, decodeAnswered) };
    case "send":
    case "receive": {
      const streamIndex = fields.integer("stream_idx", 0, lastStream);
      return { kind: "result", streamIndex, interval: decodeInterval(fields, kind) };
    }
    case "done":
    case "failed":
      return decodeCompletion(fields, kind, lastStream);
    case "error":
      return { kind, message: fields.string("message") };
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
  const role = fields.choice("role", ["download", "upload"]);
  const family = fields.choice("family", ["tcp", "udp"]);
  const common = {
    kind: "configuration",
    family,
    testId: Uint8Array.from(fields.integers("test_id", 16, 0, 255)),
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

/** Null from an original peer. */
function decodeExtensions<Decoded>(fields: Fields, decode: (extensions: Fields) => Decoded): Decoded | null {
  return fields.has("extensions") ? decode(fields.object("extensions")) : null;
}

function decodeAnswered(extensions: Fields): Extensions {
  return {
    version: extensions.integer("version", 1, Number.MAX_SAFE_INTEGER),
    omitSeconds: extensions.has("omit_seconds") ? extensions.integer("omit_seconds", 0, MAX_OMIT_SECONDS) : 0,
  };
}

function decodeDownloadExtensions(extensions: Fields): DownloadExtensions {
  return {
    ...decodeAnswered(extensions),
    offload: decodeOffload(extensions),
    bandwidthBytesPerSecond: extensions.has("bandwidth")
      ? extensions.number("bandwidth", 0, MAX_BANDWIDTH_BYTES_PER_SECOND)
      : null,
  };
}

function decodeUploadExtensions(extensions: Fields): UploadExtensions {
  return {
    ...decodeAnswered(extensions),
    offload: decodeOffload(extensions),
    // An older client of ours knows of slices and of its length alone.
    pacing: extensions.has("pacing") ? extensions.choice("pacing", PACINGS) : "slices",
    writeSize: extensions.has("write_size") ? extensions.choice("write_size", WRITE_SIZES) : "length",
  };
}

function decodeOffload(extensions: Fields): OffloadMode {
  return extensions.has("offload") ? extensions.choice("offload", OFFLOAD_MODES) : "auto";
}

function decodeCompletion(fields: Fields, kind: "done" | "failed", lastStream: number): Completion {
  return {
    kind,
    streamIndex: fields.integer("stream_idx", 0, lastStream),
    socket: fields.has("socket") ? decodeSocketFacts(fields.object("socket")) : null,
    message: fields.has("message") ? fields.string("message") : null,
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
  };
}
