import { REPORT_INTERVAL_SECONDS, UNREACHABLE_BYTES_PER_SECOND } from "../config/limits.ts";
import type { TestConfig } from "../config/types.ts";
import { type Configuration, EXTENSION_VERSION, type TestId } from "../protocol/messages.ts";
import type { ReceiverSpec, SenderSpec } from "../streams/spec.ts";
import type { PortChoice } from "../workers/dealers.ts";

/** The `configuration` message for a test; `receiverPorts` are this side's, and empty in forward mode. */
export function configurationOf(config: TestConfig, testId: TestId, receiverPorts: readonly number[]): Configuration {
  const common = {
    kind: "configuration",
    family: config.family,
    testId,
    streams: config.parallel,
    lengthBytes: config.lengthBytes,
  } as const;
  const extensions = { version: EXTENSION_VERSION, omitSeconds: config.omitSeconds, offload: config.offload };
  const { bandwidthBytesPerSecond, receiveBufferBytes } = config;
  if (!config.reverse) {
    return { ...common, role: "download", receiveBufferBytes, extensions: { ...extensions, bandwidthBytesPerSecond } };
  }
  return {
    ...common,
    role: "upload",
    extensions: { ...extensions, pacing: config.pacing, writeSize: config.writeSize },
    bandwidthBytesPerSecond: bandwidthBytesPerSecond || UNREACHABLE_BYTES_PER_SECOND,
    durationSeconds: config.durationSeconds,
    sendIntervalSeconds: config.sendIntervalSeconds,
    sendBufferBytes: config.sendBufferBytes,
    noDelay: config.noDelay,
    streamPorts: receiverPorts,
  };
}

/** What this side's streams of a test share. */
export interface StreamCommons {
  readonly config: TestConfig;
  readonly testId: TestId;
  readonly streamIndex: number;
  readonly affinityCpu: number | null;
}

function commonSpec({ config, testId, streamIndex, affinityCpu }: StreamCommons) {
  const { family, lengthBytes, offload } = config;
  return { streamIndex, testId, family, lengthBytes, offload, affinityCpu, intervalSeconds: REPORT_INTERVAL_SECONDS };
}

/** A sender of forward mode; `serverMarks` tells whether the receiver knows of omit marks. */
export function senderSpec(
  commons: StreamCommons,
  remote: { readonly address: string; readonly port: number },
  serverMarks: boolean,
): SenderSpec {
  const { config } = commons;
  return {
    ...commonSpec(commons),
    role: "sender",
    omitSeconds: serverMarks ? config.omitSeconds : 0,
    remoteAddress: remote.address,
    remotePort: remote.port,
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
export function receiverSpec(commons: StreamCommons, bindAddress: string, choice: PortChoice): ReceiverSpec {
  const { config } = commons;
  return {
    ...commonSpec(commons),
    role: "receiver",
    omitSeconds: config.omitSeconds,
    bindAddress,
    ports: choice.ports,
    firstChoice: choice.firstChoice,
    bandwidthBytesPerSecond: config.bandwidthBytesPerSecond,
    receiveBufferBytes: config.receiveBufferBytes,
  };
}
