import type { SocketFacts } from "../results/types.ts";
import type { ClientMessage, Completion, Configuration, Extensions, ServerMessage } from "./messages.ts";
import { encodeInterval } from "./results.ts";

/** A message of the client in the wire's spelling. */
export function encodeClientMessage(message: ClientMessage): object {
  return message.kind === "configuration" ? encodeConfiguration(message) : { kind: message.kind };
}

/** A message of the server in the wire's spelling. */
export function encodeServerMessage(message: ServerMessage): object {
  switch (message.kind) {
    case "connect":
      return { kind: message.kind, stream_ports: message.streamPorts, ...encodeExtensions(message.extensions) };
    case "connect-ready":
      return { kind: message.kind, ...encodeExtensions(message.extensions) };
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
    ...encodeExtensions(configuration.extensions),
  };
  if (configuration.role === "download") return { ...common, receive_buffer: configuration.receiveBufferBytes };
  return {
    ...common,
    bandwidth: configuration.bandwidthBytesPerSecond,
    duration: configuration.durationSeconds,
    send_interval: configuration.sendIntervalSeconds,
    send_buffer: configuration.sendBufferBytes,
    no_delay: configuration.noDelay,
    stream_ports: configuration.streamPorts,
  };
}

function encodeExtensions(extensions: Extensions | null): object {
  if (extensions === null) return {};
  return { extensions: { version: extensions.version, omit_seconds: extensions.omitSeconds } };
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
  };
}
