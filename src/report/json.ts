import type { TestConfig } from "../config/types.ts";
import type { SocketFacts, StreamResult, StreamSideResult, StreamSummary, TestResult } from "../results/types.ts";
import type { OmittedReceive, OmittedSend, ReceiveInterval, SendInterval } from "../stats/interval.ts";
import type { Reporter } from "./reporter.ts";

/** Writes one document when the test is over, and nothing before. */
export function createJsonReporter(options: { readonly write: (text: string) => void }): Reporter {
  return {
    started() {},
    interval() {},
    sideEnded() {},
    finished(result) {
      options.write(`${JSON.stringify(toJsonDocument(result), null, 2)}\n`);
    },
  };
}

/**
 * The document of `--format json`: every key of the original's with its meaning, and more of our own. Sizes are in
 * bytes, times in seconds, rates in bytes per second.
 *
 * Where the original leaves `jitter_average` and `framed_packet_size` out because no packet was counted, the first is
 * null here and the second is what a packet would have counted for: the keys are always the same for one transport.
 */
export function toJsonDocument(result: TestResult) {
  return {
    schema_version: result.schemaVersion,
    success: result.success,
    outcome: result.outcome,
    reason: reasonDocument(result.reason),
    started: result.startedSeconds,
    server: { address: result.server.address, port: result.server.port },
    config: configDocument(result.config, result.server.ipVersion),
    streams: result.streams.map(streamDocument),
    summary: summaryDocument(result.summary),
  };
}

function configDocument(config: TestConfig, ipVersion: 4 | 6) {
  return {
    common: { family: config.family, length: config.lengthBytes, streams: config.parallel },
    upload: {
      bandwidth: config.bandwidthBytesPerSecond,
      duration: config.durationSeconds,
      send_interval: config.sendIntervalSeconds,
      pacing: config.pacing,
      ...(config.family === "udp" ? { offload: config.offload } : {}),
      ...(config.family === "tcp" ? { no_delay: config.noDelay, write_size: config.writeSize } : {}),
      ...(config.sendBufferBytes === 0 ? {} : { send_buffer: config.sendBufferBytes }),
    },
    download: config.receiveBufferBytes === 0 ? {} : { receive_buffer: config.receiveBufferBytes },
    additional: { ip_version: ipVersion, omit_seconds: config.omitSeconds, reverse: config.reverse },
  };
}

function streamDocument(stream: StreamResult) {
  const outcomes = [stream.sender.outcome, stream.receiver.outcome];
  return {
    stream_idx: stream.streamIndex,
    abandoned: outcomes.includes("abandoned"),
    failed: outcomes.includes("failed"),
    sender: sideDocument(stream.sender),
    receiver: sideDocument(stream.receiver),
    intervals: {
      send: stream.send.map(sendDocument),
      receive: stream.receive.map(receiveDocument),
      summary: summaryDocument(stream.summary),
    },
  };
}

function sideDocument(side: StreamSideResult) {
  return {
    outcome: side.outcome,
    reason: reasonDocument(side.reason),
    socket: side.socket && socketDocument(side.socket),
  };
}

function reasonDocument(reason: StreamSideResult["reason"]) {
  return reason && { code: reason.code, message: reason.message };
}

function socketDocument(facts: SocketFacts) {
  return {
    send_buffer: facts.sendBufferBytes,
    receive_buffer: facts.receiveBufferBytes,
    affinity_cpu: facts.affinityCpu,
    offload: facts.offload,
    timestamps: facts.timestamps,
    pacing: facts.pacing,
    write_size: facts.writeBytes,
  };
}

function sendDocument(interval: SendInterval) {
  return {
    timestamp: interval.timestampSeconds,
    duration: interval.durationSeconds,
    bytes_sent: interval.bytesSent,
    ...(interval.family === "udp" ? { packets_sent: interval.packetsSent } : {}),
    sends_blocked: interval.sendsBlocked,
    ...(interval.omitted === undefined ? {} : { omitted: omittedSendDocument(interval.omitted, interval.family) }),
  };
}

function omittedSendDocument(omitted: OmittedSend, family: SendInterval["family"]) {
  return {
    duration: omitted.durationSeconds,
    bytes_sent: omitted.bytesSent,
    ...(family === "udp" ? { packets_sent: omitted.packetsSent } : {}),
    sends_blocked: omitted.sendsBlocked,
  };
}

function receiveDocument(interval: ReceiveInterval) {
  const common = {
    timestamp: interval.timestampSeconds,
    duration: interval.durationSeconds,
    bytes_received: interval.bytesReceived,
  };
  if (interval.family === "tcp") return common;
  return {
    ...common,
    packets_received: interval.packetsReceived,
    packets_lost: interval.packetsLost,
    packets_out_of_order: interval.packetsOutOfOrder,
    packets_duplicated: interval.packetsDuplicated,
    unbroken_sequence: interval.unbrokenSequence,
    jitter_seconds: interval.jitterSeconds,
    ...(interval.omitted === undefined ? {} : { omitted: omittedReceiveDocument(interval.omitted) }),
  };
}

function omittedReceiveDocument(omitted: OmittedReceive) {
  return {
    duration: omitted.durationSeconds,
    bytes_received: omitted.bytesReceived,
    packets_received: omitted.packetsReceived,
    packets_out_of_order: omitted.packetsOutOfOrder,
    packets_duplicated: omitted.packetsDuplicated,
  };
}

function summaryDocument(summary: StreamSummary) {
  return {
    duration_send: summary.durationSendSeconds,
    duration_receive: summary.durationReceiveSeconds,
    bytes_sent: summary.bytesSent,
    bytes_received: summary.bytesReceived,
    sends_blocked: summary.sendsBlocked,
    ...(summary.udp === null
      ? {}
      : {
          packets_sent: summary.udp.packetsSent,
          packets_received: summary.udp.packetsReceived,
          packets_lost: summary.udp.packetsLost,
          packets_out_of_order: summary.udp.packetsOutOfOrder,
          packets_duplicated: summary.udp.packetsDuplicated,
          framed_packet_size: summary.udp.framedPacketSizeBytes,
          jitter_average: summary.udp.jitterAverageSeconds,
          jitter_packets_consecutive: summary.udp.jitterPacketsConsecutive,
        }),
  };
}
