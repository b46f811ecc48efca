// How evenly the packets of a capture were sent. Pure.
import type { CapturedPacket } from "./pcap.ts";
import { percentile } from "./statistics.ts";

export interface Spacing {
  readonly datagrams: number;
  /** The gap that the same datagrams over the same time would have if all were equal. */
  readonly evenGapNanoseconds: number;
  /** 99 of 100 gaps are no further than this from the even gap. */
  readonly deviationP99Nanoseconds: number;
  /** Payload of the longest run of datagrams, each less than a quarter of the even gap after the one before. */
  readonly largestBurstBytes: number;
}

/** Fewer tell nothing about evenness. */
const LEAST_DATAGRAMS = 10;
const BURST_FRACTION = 1 / 4;

/**
 * The spacing of datagrams of `datagramBytes` payload, leaving out `trimNanoseconds` at either end. A captured packet of
 * several datagrams' length was sent by segmentation offload: it is so many datagrams at one time. Null with too few.
 */
export function spacingOf(
  packets: readonly CapturedPacket[],
  datagramBytes: number,
  trimNanoseconds: number,
): Spacing | null {
  const first = packets[0]?.atNanoseconds ?? 0;
  const last = packets.at(-1)?.atNanoseconds ?? 0;
  const kept = packets.filter(
    ({ atNanoseconds }) => atNanoseconds >= first + trimNanoseconds && atNanoseconds <= last - trimNanoseconds,
  );
  const datagrams = kept.flatMap(({ atNanoseconds, payloadBytes }) => {
    const count = Math.max(1, Math.ceil(payloadBytes / datagramBytes));
    return Array.from({ length: count }, () => ({ atNanoseconds, bytes: payloadBytes / count }));
  });
  const start = datagrams[0];
  const end = datagrams.at(-1);
  if (datagrams.length < LEAST_DATAGRAMS || start === undefined || end === undefined) return null;

  const evenGapNanoseconds = (end.atNanoseconds - start.atNanoseconds) / (datagrams.length - 1);
  const deviations = new Float64Array(datagrams.length - 1);
  let burstBytes = start.bytes;
  let largestBurstBytes = burstBytes;
  let previous = start.atNanoseconds;
  for (const [index, { atNanoseconds, bytes }] of datagrams.entries()) {
    if (index === 0) continue;
    const gap = atNanoseconds - previous;
    previous = atNanoseconds;
    deviations[index - 1] = Math.abs(gap - evenGapNanoseconds);
    burstBytes = gap < evenGapNanoseconds * BURST_FRACTION ? burstBytes + bytes : bytes;
    largestBurstBytes = Math.max(largestBurstBytes, burstBytes);
  }
  return {
    datagrams: datagrams.length,
    evenGapNanoseconds,
    deviationP99Nanoseconds: percentile(deviations, 0.99) ?? 0,
    largestBurstBytes,
  };
}
