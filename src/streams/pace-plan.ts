import { UDP_HEADER_BYTES } from "../config/limits.ts";
import type { Pace } from "./pacer.ts";
import type { SenderSpec } from "./spec.ts";

/** Packets nearer to each other than this leave in batches: waking for each would cost a core. */
const LEAST_GAP_SECONDS = 75e-6;
/** No batch holds more than this much time of the rate … */
const MOST_BATCH_SECONDS = 0.001;
/** … and from this rate on it may hold what the kernel takes at once, which costs the least. */
const WHOLE_UNITS_FROM_BYTES_PER_SECOND = 500e6 / 8;
/** The data of one Ethernet segment: TCP in smaller pieces would only add headers … */
const TCP_SEGMENT_BYTES = 1448;
/** … but on a link so slow that one takes long, a receiver should hear of its sender now and then. */
const MOST_TCP_SLICE_SECONDS = 0.5;

/** What is handed at once to a kernel that spreads it over this time by itself. */
const KERNEL_PACED_SECONDS = 0.005;

/** What a socket can do that matters for pacing. */
export interface PacingAbilities {
  /** Packets that can leave in one call; 1 for TCP. */
  readonly mostBatchPackets: number;
  /** Whatever is written leaves evenly. */
  readonly isPacedByKernel: boolean;
}

/** How a sender is paced. */
export function paceOf(spec: SenderSpec, { mostBatchPackets, isPacedByKernel }: PacingAbilities): Pace {
  const { bandwidthBytesPerSecond, durationSeconds, family, lengthBytes, pacing } = spec;
  const unitBytes = family === "udp" ? lengthBytes + UDP_HEADER_BYTES : 1;
  const common = { bandwidthBytesPerSecond, durationSeconds, unitBytes };
  if (pacing === "slices" || bandwidthBytesPerSecond === 0) {
    return { ...common, sliceSeconds: spec.sendIntervalSeconds, isEven: false };
  }
  const sliceSeconds =
    family === "udp" ? udpSliceSeconds(spec, unitBytes, mostBatchPackets) : tcpSliceSeconds(spec, isPacedByKernel);
  return { ...common, sliceSeconds, isEven: true };
}

function udpSliceSeconds({ bandwidthBytesPerSecond }: SenderSpec, unitBytes: number, mostBatchPackets: number): number {
  const gapSeconds = unitBytes / bandwidthBytesPerSecond;
  return gapSeconds * batchPackets(gapSeconds, bandwidthBytesPerSecond, mostBatchPackets);
}

function tcpSliceSeconds({ bandwidthBytesPerSecond }: SenderSpec, isPacedByKernel: boolean): number {
  const segmentSeconds = Math.min(TCP_SEGMENT_BYTES / bandwidthBytesPerSecond, MOST_TCP_SLICE_SECONDS);
  return Math.max(segmentSeconds, isPacedByKernel ? KERNEL_PACED_SECONDS : MOST_BATCH_SECONDS);
}

/** How many packets leave together, when one is due every `gapSeconds`. */
function batchPackets(gapSeconds: number, bandwidthBytesPerSecond: number, mostBatchPackets: number): number {
  if (bandwidthBytesPerSecond >= WHOLE_UNITS_FROM_BYTES_PER_SECOND) return mostBatchPackets;
  const wanted = Math.ceil(LEAST_GAP_SECONDS / gapSeconds);
  return Math.max(1, Math.min(wanted, Math.floor(MOST_BATCH_SECONDS / gapSeconds), mostBatchPackets));
}
