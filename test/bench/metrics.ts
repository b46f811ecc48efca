// Everything that the bench measures, by the keys under which a run gives it.

export interface Metric {
  readonly title: string;
  readonly unit: string;
  readonly decimals: number;
  readonly better: "higher" | "lower";
}

export const METRICS = {
  receivedGigabitsPerSecond: { title: "received", unit: "Gb/s", decimals: 2, better: "higher" },
  receivedKiloPacketsPerSecond: { title: "received", unit: "1000 packets/s", decimals: 1, better: "higher" },
  lossPercent: { title: "lost", unit: "%", decimals: 3, better: "lower" },
  fairnessIndex: { title: "fairness between the streams (Jain's index)", unit: "of 1", decimals: 3, better: "higher" },
  cpuSeconds: { title: "both sides together", unit: "s", decimals: 2, better: "lower" },
  cpuSecondsPerSecond: {
    title: "both sides together, in each second of the test",
    unit: "s",
    decimals: 3,
    better: "lower",
  },
  rateErrorPercent: {
    title: "sent by its own account, off rate × time by",
    unit: "%",
    decimals: 4,
    better: "lower",
  },
  deviationP99Microseconds: {
    title: "p99 of how far a gap is from the even gap",
    unit: "µs",
    decimals: 1,
    better: "lower",
  },
  largestBurstBytes: { title: "largest burst", unit: "bytes", decimals: 0, better: "lower" },
  largestBurstMilliseconds: {
    title: "largest burst, as time of the rate",
    unit: "ms",
    decimals: 3,
    better: "lower",
  },
  jitterMicroseconds: { title: "jitter that it reports", unit: "µs", decimals: 2, better: "lower" },
  firstByteMilliseconds: {
    title: "until its first data packet",
    unit: "ms",
    decimals: 1,
    better: "lower",
  },
  listeningMilliseconds: { title: "until it listens", unit: "ms", decimals: 1, better: "lower" },
  idleMegabytes: { title: "RSS when idle", unit: "MB", decimals: 1, better: "lower" },
  idleCpuPercent: { title: "CPU time when idle", unit: "%", decimals: 2, better: "lower" },
  oneStreamMegabytes: { title: "RSS in 1 TCP stream", unit: "MB", decimals: 1, better: "lower" },
  manyStreamsMegabytes: { title: "RSS in 32 TCP streams", unit: "MB", decimals: 1, better: "lower" },
  manyClientsMegabytes: {
    title: "RSS",
    unit: "MB",
    decimals: 1,
    better: "lower",
  },
  clientsAtOnce: { title: "of them at the same time", unit: "clients", decimals: 0, better: "higher" },
} as const satisfies Record<string, Metric>;

export type MetricKey = keyof typeof METRICS;

/** What one run gave. */
export type Readings = Partial<Record<MetricKey, number>>;

export function formatFigure(figure: number | null, key: MetricKey): string {
  return figure === null ? "–" : figure.toFixed(METRICS[key].decimals);
}

/** A ratio or a bound: to three digits, without needless ones. */
export function formatRatio(ratio: number | null): string {
  return ratio === null ? "–" : ratio >= 100 ? ratio.toFixed(0) : `${Number(ratio.toPrecision(3))}`;
}
