import { DEFAULT_SEND_INTERVAL_SECONDS } from "../config/defaults.ts";
import { REPORT_INTERVAL_SECONDS, UNREACHABLE_BYTES_PER_SECOND } from "../config/limits.ts";
import type { Pacing } from "../config/types.ts";
import type { Configuration, DownloadConfiguration, UploadConfiguration } from "../protocol/messages.ts";
import type { Endpoint, PathSpec, ReceiverSpec, SenderSpec } from "../streams/spec.ts";
import type { Grant } from "./grant.ts";

/** What the configuration does not say of a stream. */
export interface StreamPlace {
  readonly streamIndex: number;
  readonly affinityCpu: number | null;
  readonly endpoint: Endpoint;
  readonly device: string | null;
  readonly grant: Grant;
}

/** A receiver of forward mode. */
export function receiverSpec(configuration: DownloadConfiguration, place: StreamPlace): ReceiverSpec {
  const { grant } = place;
  return {
    ...commonSpec(configuration, place),
    role: "receiver",
    bandwidthBytesPerSecond: configuration.extensions?.bandwidthBytesPerSecond ?? null,
    receiveBufferBytes: configuration.receiveBufferBytes,
    isPatient: configuration.family === "udp" ? grant.accounting : grant.resumeTimeoutSeconds !== null,
  };
}

/** A sender of reverse mode. */
export function senderSpec(configuration: UploadConfiguration, place: StreamPlace): SenderSpec {
  const { bandwidthBytesPerSecond, extensions } = configuration;
  return {
    ...commonSpec(configuration, place),
    role: "sender",
    bandwidthBytesPerSecond: unlimitedIfUnreachable(bandwidthBytesPerSecond),
    durationSeconds: configuration.durationSeconds,
    pacing: extensions?.pacing ?? pacingForOriginal(configuration.sendIntervalSeconds),
    sendIntervalSeconds: configuration.sendIntervalSeconds,
    writeSize: extensions?.writeSize ?? "length",
    sendBufferBytes: configuration.sendBufferBytes,
    noDelay: configuration.noDelay,
  };
}

/** What stands for "no limit" to an original server means it here too: 0. */
export function unlimitedIfUnreachable(bandwidthBytesPerSecond: number): number {
  return bandwidthBytesPerSecond >= UNREACHABLE_BYTES_PER_SECOND ? 0 : bandwidthBytesPerSecond;
}

function commonSpec(configuration: Configuration, { streamIndex, affinityCpu, endpoint, device }: StreamPlace) {
  const { family, testId, lengthBytes, extensions } = configuration;
  return {
    streamIndex,
    family,
    testId,
    lengthBytes,
    endpoint,
    path: pathOf(configuration, device),
    intervalSeconds: extensions?.intervalSeconds ?? REPORT_INTERVAL_SECONDS,
    omitSeconds: extensions?.omitSeconds ?? 0,
    affinityCpu,
    offload: extensions?.offload ?? "auto",
  };
}

function pathOf({ extensions, role }: Configuration, device: string | null): PathSpec {
  const own = { localAddress: null, localPort: 0, device };
  const asked = extensions?.path;
  return {
    ...own,
    // Only what is sent is marked, and controlled.
    congestion: role === "upload" ? (asked?.congestion ?? null) : null,
    dscp: role === "upload" ? (asked?.dscp ?? null) : null,
    maxSegmentBytes: asked?.maxSegmentBytes ?? null,
  };
}

/** An original client always tells an interval: its default, a 32-bit float, is no wish for slices. */
function pacingForOriginal(sendIntervalSeconds: number): Pacing {
  return Math.fround(sendIntervalSeconds) === Math.fround(DEFAULT_SEND_INTERVAL_SECONDS) ? "even" : "slices";
}
