import type { TestConfig } from "../config/types.ts";
import type {
  DirectionResult,
  Reason,
  SocketFacts,
  StreamResult,
  StreamSideResult,
  StreamSummary,
  TestResult,
  UdpSummary,
} from "../results/types.ts";
import type { Interval, OmittedReceive, OmittedSend, ReceiveInterval, SendInterval } from "../stats/interval.ts";
import { safeJson } from "../safe-text.ts";
import type { Reporter } from "./reporter.ts";

/** Writes one document when the test is over, and nothing before. */
export function createJsonReporter(options: { readonly write: (text: string) => void }): Reporter {
  return {
    started() {},
    interval() {},
    sideEnded() {},
    finished(result) {
      options.write(`${safeJson(toJsonDocument(result), 2)}\n`);
    },
  };
}

/**
 * The document of `--format json`: every key of the original's with its meaning, and more of our own. Sizes are in
 * bytes, times in seconds, rates in bytes per second. `schema/document.schema.json` describes it whole. A bidirectional
 * test has its streams and summaries under `directions`.
 *
 * Where the original leaves `jitter_average` and `framed_packet_size` out because no packet was counted, the first is
 * null here and the second is what a packet would have counted for: the keys are always the same for one transport.
 */
export function toJsonDocument(result: TestResult) {
  const { config, directions } = result;
  const { ipVersion } = result.server;
  return {
    schema_version: result.schemaVersion,
    ...(config.title === null ? {} : { title: config.title }),
    success: result.success,
    outcome: result.outcome,
    reason: reasonDocument(result.reason),
    started: result.startedSeconds,
    server: { address: result.server.address, port: result.server.port },
    features: [...result.features],
    outages: result.outages.map((outage) => ({ start: outage.startSeconds, duration: outage.durationSeconds })),
    config: configDocument(config, ipVersion),
    ...(directions === null
      ? measuredDocument(result)
      : {
          directions: {
            forward: directionDocument(directions.forward, ipVersion),
            reverse: directionDocument(directions.reverse, ipVersion),
          },
        }),
  };
}

function directionDocument(direction: DirectionResult, ipVersion: 4 | 6) {
  return {
    success: direction.success,
    outcome: direction.outcome,
    reason: reasonDocument(direction.reason),
    config: configDocument(direction.config, ipVersion),
    ...measuredDocument(direction),
  };
}

function measuredDocument({ streams, summary }: DirectionResult) {
  return { streams: streams.map(streamDocument), summary: summaryDocument(summary) };
}

/** Also of a test that has only begun. */
export function configDocument(config: TestConfig, ipVersion: 4 | 6) {
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
    additional: {
      ip_version: ipVersion,
      omit_seconds: config.omitSeconds,
      reverse: config.reverse,
      bidir: config.bidir,
      dial: config.dial,
      single_port: config.singlePort,
      resume_timeout: config.resumeTimeoutSeconds,
      interval: config.intervalSeconds,
      ...(config.localAddress === null ? {} : { bind: config.localAddress }),
      ...(config.device === null ? {} : { bind_dev: config.device }),
      ...(config.congestion === null ? {} : { congestion: config.congestion }),
      ...(config.dscp === null ? {} : { dscp: config.dscp }),
      ...(config.maxSegmentBytes === null ? {} : { mss: config.maxSegmentBytes }),
      ...(config.clientPorts === null ? {} : { client_ports: { ...config.clientPorts } }),
    },
  };
}

function streamDocument(stream: StreamResult) {
  const outcomes = [stream.sender.outcome, stream.receiver.outcome];
  return {
    stream_idx: stream.streamIndex,
    abandoned: outcomes.includes("partial"),
    failed: outcomes.includes("failed"),
    outcome: stream.outcome,
    reason: reasonDocument(stream.reason),
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

function reasonDocument(reason: Reason) {
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
    congestion: facts.congestion,
    dscp: facts.dscp,
    mss: facts.maxSegmentBytes,
  };
}

/** As in the list of its side. */
export function intervalDocument(interval: Interval) {
  return interval.kind === "send" ? sendDocument(interval) : receiveDocument(interval);
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
    ...(summary.udp === null ? { bytes_undelivered: summary.bytesUndelivered } : udpSummaryDocument(summary.udp)),
  };
}

function udpSummaryDocument(udp: UdpSummary) {
  return {
    packets_sent: udp.packetsSent,
    packets_received: udp.packetsReceived,
    packets_lost: udp.packetsLost,
    packets_out_of_order: udp.packetsOutOfOrder,
    packets_duplicated: udp.packetsDuplicated,
    framed_packet_size: udp.framedPacketSizeBytes,
    jitter_average: udp.jitterAverageSeconds,
    jitter_packets_consecutive: udp.jitterPacketsConsecutive,
    packets_stray: udp.packetsStray,
    reorder_extent_max: udp.reorderExtentMax,
    reorder_extent_mean: udp.reorderExtentMean,
    loss_bursts: udp.lossBursts,
    loss_burst_longest: udp.lossBurstLongest,
    loss_burst_mean: udp.lossBurstMean,
    packets_lost_receive_buffer: udp.packetsLostReceiveBuffer,
    packets_lost_network: udp.packetsLostNetwork,
    sends_refused: udp.sendsRefused,
  };
}
