import { DEFAULT_SEND_INTERVAL_SECONDS } from "../config/defaults.ts";
import { REPORT_INTERVAL_SECONDS, UNREACHABLE_BYTES_PER_SECOND } from "../config/limits.ts";
import type { Pacing } from "../config/types.ts";
import type { Configuration, DownloadConfiguration, UploadConfiguration } from "../protocol/messages.ts";
import type { ReceiverSpec, SenderSpec } from "../streams/spec.ts";
import type { PortChoice } from "../workers/dealers.ts";

/** What differs between the streams of a configuration. */
interface StreamPlace {
  readonly streamIndex: number;
  readonly affinityCpu: number | null;
}

/** A receiver of forward mode. */
export function receiverSpec(
  configuration: DownloadConfiguration,
  place: StreamPlace,
  bindAddress: string,
  choice: PortChoice,
): ReceiverSpec {
  return {
    ...commonSpec(configuration, place),
    role: "receiver",
    bindAddress,
    ports: choice.ports,
    firstChoice: choice.firstChoice,
    bandwidthBytesPerSecond: configuration.extensions?.bandwidthBytesPerSecond ?? null,
    receiveBufferBytes: configuration.receiveBufferBytes,
  };
}

/** A sender of reverse mode, towards the configuration's port of its index. */
export function senderSpec(configuration: UploadConfiguration, place: StreamPlace, remoteAddress: string): SenderSpec {
  const { bandwidthBytesPerSecond, extensions } = configuration;
  return {
    ...commonSpec(configuration, place),
    role: "sender",
    remoteAddress,
    remotePort: configuration.streamPorts[place.streamIndex] ?? 0,
    // What stands for "no limit" to an original server means it here too.
    bandwidthBytesPerSecond: bandwidthBytesPerSecond >= UNREACHABLE_BYTES_PER_SECOND ? 0 : bandwidthBytesPerSecond,
    durationSeconds: configuration.durationSeconds,
    pacing: extensions?.pacing ?? pacingForOriginal(configuration.sendIntervalSeconds),
    sendIntervalSeconds: configuration.sendIntervalSeconds,
    writeSize: extensions?.writeSize ?? "length",
    sendBufferBytes: configuration.sendBufferBytes,
    noDelay: configuration.noDelay,
  };
}

function commonSpec(configuration: Configuration, { streamIndex, affinityCpu }: StreamPlace) {
  const { family, testId, lengthBytes, extensions } = configuration;
  return {
    streamIndex,
    family,
    testId,
    lengthBytes,
    intervalSeconds: REPORT_INTERVAL_SECONDS,
    omitSeconds: extensions?.omitSeconds ?? 0,
    affinityCpu,
    offload: extensions?.offload ?? "auto",
  };
}

/** An original client always tells an interval: its default, a 32-bit float, is no wish for slices. */
function pacingForOriginal(sendIntervalSeconds: number): Pacing {
  return Math.fround(sendIntervalSeconds) === Math.fround(DEFAULT_SEND_INTERVAL_SECONDS) ? "even" : "slices";
}
