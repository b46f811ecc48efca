import { REPORT_INTERVAL_SECONDS, UNREACHABLE_BYTES_PER_SECOND } from "../config/limits.ts";
import type { TestConfig } from "../config/types.ts";
import { type Configuration, EXTENSION_VERSION, type Extensions, type TestId } from "../protocol/messages.ts";
import { hasOwnSockets } from "../streams/abilities.ts";
import type { Endpoint, PathSpec, ReceiverSpec, SenderSpec, StartTerms } from "../streams/spec.ts";

/**
 * The `configuration` message for one direction of a test; `receiverPorts` are this side's, and empty in forward mode. Of a
 * bidirectional test `config.reverse` tells which one.
 */
export function configurationOf(config: TestConfig, testId: TestId, receiverPorts: readonly number[]): Configuration {
  const { bandwidthBytesPerSecond, durationSeconds, receiveBufferBytes } = config;
  const common = {
    kind: "configuration",
    family: config.family,
    testId,
    streams: config.parallel,
    lengthBytes: config.lengthBytes,
  } as const;
  const offer = offerOf(config);
  if (!config.reverse) {
    const extensions = { ...offer, bandwidthBytesPerSecond, durationSeconds };
    return { ...common, role: "download", receiveBufferBytes, extensions };
  }
  const clientDials = config.dial === "client" && hasOwnSockets();
  return {
    ...common,
    role: "upload",
    extensions: { ...offer, pacing: config.pacing, writeSize: config.writeSize, clientDials },
    bandwidthBytesPerSecond: bandwidthBytesPerSecond || UNREACHABLE_BYTES_PER_SECOND,
    durationSeconds,
    sendIntervalSeconds: config.sendIntervalSeconds,
    sendBufferBytes: config.sendBufferBytes,
    noDelay: config.noDelay,
    streamPorts: receiverPorts,
  };
}

function offerOf(config: TestConfig) {
  const { omitSeconds, offload, family, congestion, dscp, maxSegmentBytes, intervalSeconds } = config;
  return {
    version: EXTENSION_VERSION,
    omitSeconds,
    offload,
    accounting: family === "udp",
    singlePort: config.singlePort && hasOwnSockets(),
    resumeTimeoutSeconds: config.resumeTimeoutSeconds || null,
    intervalSeconds,
    path: { congestion, dscp, maxSegmentBytes },
    waitSeconds: config.waitSeconds || null,
    auth: null,
  };
}

/** What this side's streams of one direction share. */
export interface StreamCommons {
  readonly config: TestConfig;
  readonly testId: TestId;
  readonly streamIndex: number;
  readonly affinityCpu: number | null;
  /** What the server granted; null = it is an original, or is not known yet. */
  readonly granted: Extensions | null;
  readonly endpoint: Endpoint;
}

/** Of the reports of both sides; `granted` null = the server is an original. */
export function intervalSecondsOf(granted: Extensions | null): number {
  return granted?.intervalSeconds ?? REPORT_INTERVAL_SECONDS;
}

function commonSpec({ config, testId, streamIndex, affinityCpu, granted, endpoint }: StreamCommons) {
  const { family, lengthBytes, offload } = config;
  return {
    streamIndex,
    testId,
    family,
    lengthBytes,
    offload,
    affinityCpu,
    endpoint,
    path: pathOf(config, streamIndex),
    intervalSeconds: intervalSecondsOf(granted),
  };
}

/** The reverse direction of a bidirectional test has its source ports behind those of the forward one. */
function pathOf(config: TestConfig, streamIndex: number): PathSpec {
  const { clientPorts, localAddress, device, congestion, dscp, maxSegmentBytes } = config;
  const place = config.bidir && config.reverse ? config.parallel + streamIndex : streamIndex;
  const localPort = clientPorts === null ? 0 : clientPorts.first + place;
  const path = { localAddress, localPort, device, maxSegmentBytes };
  // Only what is sent is marked, and controlled.
  return config.reverse ? { ...path, congestion: null, dscp: null } : { ...path, congestion, dscp };
}

/** A sender of forward mode; it marks what the server looks for, an original nothing. */
export function senderSpec(commons: StreamCommons): SenderSpec {
  const { config, granted } = commons;
  return {
    ...commonSpec(commons),
    role: "sender",
    omitSeconds: granted?.omitSeconds ?? 0,
    bandwidthBytesPerSecond: config.bandwidthBytesPerSecond,
    durationSeconds: config.durationSeconds,
    pacing: config.pacing,
    sendIntervalSeconds: config.sendIntervalSeconds,
    writeSize: config.writeSize,
    sendBufferBytes: config.sendBufferBytes,
    noDelay: config.noDelay,
  };
}

/** A receiver of reverse mode. It may look for omit marks whoever sends: an original peer never sets them. */
export function receiverSpec(commons: StreamCommons): ReceiverSpec {
  const { config, granted } = commons;
  return {
    ...commonSpec(commons),
    role: "receiver",
    omitSeconds: config.omitSeconds,
    bandwidthBytesPerSecond: config.bandwidthBytesPerSecond,
    receiveBufferBytes: config.receiveBufferBytes,
    isPatient: granted !== null && receiverTerms(config, granted).isPatient,
  };
}

/** What a receiver goes by that may have been made ready before the server answered. */
export function receiverTerms({ family }: TestConfig, granted: Extensions): StartTerms {
  const isPatient = family === "udp" ? granted.accounting : granted.resume !== null;
  return { isPatient, intervalSeconds: granted.intervalSeconds };
}
