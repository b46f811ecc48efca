// Configurations as the server's logic gets them.
import type { DownloadConfiguration, UploadConfiguration } from "../../../src/protocol/messages.ts";

const COMMON = {
  kind: "configuration",
  family: "tcp",
  testId: new Uint8Array(16),
  streams: 1,
  lengthBytes: 1024,
} as const;

const OFFER = {
  version: 2,
  omitSeconds: 0,
  offload: "auto",
  accounting: false,
  singlePort: false,
  resumeTimeoutSeconds: null,
  intervalSeconds: 1,
  path: { congestion: null, dscp: null, maxSegmentBytes: null },
  waitSeconds: null,
  auth: null,
} as const;

/** Of a client of ours that sends 1,000 bytes/s for 10 s. */
export function forward(
  changes: Partial<DownloadConfiguration> = {},
  offer: Partial<NonNullable<DownloadConfiguration["extensions"]>> = {},
): DownloadConfiguration {
  const extensions = { ...OFFER, bandwidthBytesPerSecond: 1000, durationSeconds: 10, ...offer };
  return { ...COMMON, role: "download", receiveBufferBytes: 0, extensions, ...changes };
}

/** Of an original client that wants 1,000 bytes/s for 10 s. */
export function reverse(changes: Partial<UploadConfiguration> = {}): UploadConfiguration {
  return {
    ...COMMON,
    role: "upload",
    bandwidthBytesPerSecond: 1000,
    durationSeconds: 10,
    sendIntervalSeconds: 0.05,
    sendBufferBytes: 0,
    noDelay: false,
    streamPorts: [5000],
    extensions: null,
    ...changes,
  };
}
