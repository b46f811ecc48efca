import type { UdpSummary } from "./types.ts";

/** A mean, null where there is none, and the packets or events behind it. */
export type Weighted = readonly [mean: number | null, count: number];

/** Counts summed, unless one of them is not known; of extremes the greatest; means weighed by what is behind each. */
export function sumUdp(framedPacketSizeBytes: number, parts: readonly UdpSummary[]): UdpSummary {
  const total = (amount: (part: UdpSummary) => number): number => sumOf(parts.map(amount));
  const known = (
    combine: (values: readonly number[]) => number,
    amount: (part: UdpSummary) => number | null,
  ): number | null => {
    const values = parts.flatMap((part) => amount(part) ?? []);
    return values.length === parts.length ? combine(values) : null;
  };
  const [jitterAverageSeconds, jitterPacketsConsecutive] = weightedMean(
    parts.map((part) => [part.jitterAverageSeconds, part.jitterPacketsConsecutive]),
  );
  const reorderExtentMax = known(greatestOf, (part) => part.reorderExtentMax);
  const lossBursts = known(sumOf, (part) => part.lossBursts);
  return {
    packetsSent: total((part) => part.packetsSent),
    packetsReceived: total((part) => part.packetsReceived),
    packetsLost: known(sumOf, (part) => part.packetsLost),
    packetsOutOfOrder: total((part) => part.packetsOutOfOrder),
    packetsDuplicated: total((part) => part.packetsDuplicated),
    framedPacketSizeBytes,
    jitterAverageSeconds,
    jitterPacketsConsecutive,
    packetsStray: known(sumOf, (part) => part.packetsStray),
    reorderExtentMax,
    reorderExtentMean:
      reorderExtentMax === null
        ? null
        : weightedMean(parts.map((part) => [part.reorderExtentMean, part.packetsOutOfOrder]))[0],
    lossBursts,
    lossBurstLongest: known(greatestOf, (part) => part.lossBurstLongest),
    lossBurstMean:
      lossBursts === null ? null : weightedMean(parts.map((part) => [part.lossBurstMean, part.lossBursts ?? 0]))[0],
    packetsLostReceiveBuffer: known(sumOf, (part) => part.packetsLostReceiveBuffer),
    packetsLostNetwork: known(sumOf, (part) => part.packetsLostNetwork),
    sendsRefused: known(sumOf, (part) => part.sendsRefused),
  };
}

/** The mean over those that have one, and what is behind it. */
export function weightedMean(means: readonly Weighted[]): Weighted {
  let weighted = 0;
  let total = 0;
  for (const [mean, count] of means) {
    if (mean === null) continue;
    weighted += mean * count;
    total += count;
  }
  return [total === 0 ? null : weighted / total, total];
}

function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function greatestOf(values: readonly number[]): number {
  return Math.max(0, ...values);
}
