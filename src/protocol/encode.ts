import type { SocketFacts } from "../results/types.ts";
import type {
  ClientMessage,
  Completion,
  Configuration,
  DownloadExtensions,
  Extensions,
  ServerMessage,
  UploadExtensions,
} from "./messages.ts";
import { encodeInterval } from "./results.ts";

/** A message of the client in the wire's spelling. */
export function encodeClientMessage(message: ClientMessage): object {
  return message.kind === "configuration" ? encodeConfiguration(message) : { kind: message.kind };
}

/** A message of the server in the wire's spelling. */
export function encodeServerMessage(message: ServerMessage): object {
  switch (message.kind) {
    case "connect":
      return { kind: message.kind, stream_ports: message.streamPorts, ...encodeAnswered(message.extensions) };
    case "connect-ready":
      return { kind: message.kind, ...encodeAnswered(message.extensions) };
    case "result":
      return encodeInterval(message.streamIndex, message.interval);
    case "done":
    case "failed":
      return encodeCompletion(message);
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
  const { offload, bandwidthBytesPerSecond } = extensions;
  const bandwidth = bandwidthBytesPerSecond === null ? {} : { bandwidth: bandwidthBytesPerSecond };
  return { extensions: { ...commonExtensions(extensions), offload, ...bandwidth } };
}

function encodeUploadExtensions(extensions: UploadExtensions | null): object {
  if (extensions === null) return {};
  const { offload, pacing, writeSize } = extensions;
  return { extensions: { ...commonExtensions(extensions), offload, pacing, write_size: writeSize } };
}

function encodeAnswered(extensions: Extensions | null): object {
  return extensions === null ? {} : { extensions: commonExtensions(extensions) };
}

function commonExtensions({ version, omitSeconds }: Extensions): object {
  return { version, omit_seconds: omitSeconds };
}

function encodeCompletion(completion: Completion): object {
  return {
    kind: completion.kind,
    origin: "server",
    stream_idx: completion.streamIndex,
    ...(completion.socket === null ? {} : { socket: encodeSocketFacts(completion.socket) }),
    ...(completion.message === null ? {} : { message: completion.message }),
  };
}

function encodeSocketFacts(facts: SocketFacts): object {
  return {
    ...(facts.sendBufferBytes === null ? {} : { send_buffer: facts.sendBufferBytes }),
    ...(facts.receiveBufferBytes === null ? {} : { receive_buffer: facts.receiveBufferBytes }),
    ...(facts.affinityCpu === null ? {} : { affinity_cpu: facts.affinityCpu }),
    ...(facts.offload === null ? {} : { offload: facts.offload }),
    ...(facts.timestamps === null ? {} : { timestamps: facts.timestamps }),
    ...(facts.pacing === null ? {} : { pacing: facts.pacing }),
    ...(facts.writeBytes === null ? {} : { write_size: facts.writeBytes }),
  };
}
