// How closely a rate is kept, and how evenly.
import type { Family } from "../../../src/config/types.ts";
import { type BenchCase, labelOf } from "../case.ts";
import { whyNoCapture } from "../capture.ts";
import { smoothness } from "../captured-measures.ts";
import { atMost, below, type Goal } from "../goals.ts";
import { rateError } from "../measures.ts";
import { ALL, IPERF3, XFR } from "./contenders.ts";

const LENGTH_BYTES = 1024;
const RATES = [
  { name: "1m", title: "1 Mb/s", bitsPerSecond: 1e6 },
  { name: "10m", title: "10 Mb/s", bitsPerSecond: 10e6 },
  { name: "100m", title: "100 Mb/s", bitsPerSecond: 100e6 },
  { name: "1g", title: "1 Gb/s", bitsPerSecond: 1e9 },
] as const;
type Rate = (typeof RATES)[number];

const RATE_SECONDS = 10;

function rateCase(family: Family, { name, title, bitsPerSecond }: Rate): BenchCase {
  return {
    name: `rate-${family}-${name}`,
    title: `${family === "udp" ? `UDP, packets of ${LENGTH_BYTES} B,` : "TCP"} at ${title}`,
    seconds: RATE_SECONDS,
    contenders: ALL,
    metrics: ["rateErrorPercent"],
    goals: [
      { kind: "limit", metric: "rateErrorPercent", over: "every run", bound: atMost(0.1) },
      { kind: "ratio", metric: "rateErrorPercent", against: "peers", bound: atMost(1) },
    ],
    shownIn: name === "1g" ? ["readme"] : [],
    measure: rateError({
      family,
      streams: 1,
      bitsPerSecond,
      lengthBytes: family === "udp" ? LENGTH_BYTES : null,
    }),
  };
}

function smoothCase({ name, title, bitsPerSecond }: Rate): BenchCase {
  // One millisecond of the rate, or one packet where that is more.
  const burstBytes = Math.max(bitsPerSecond / 8 / 1000, LENGTH_BYTES);
  const evener = [IPERF3, XFR].flatMap((rival): Goal[] => [
    { kind: "ratio", metric: "deviationP99Microseconds", against: [labelOf(rival)], bound: below(1) },
    // No burst is less than a packet: where theirs is that, ours cannot be better.
    { kind: "ratio", metric: "largestBurstBytes", against: [labelOf(rival)], bound: atMost(1) },
  ]);
  return {
    name: `smooth-${name}`,
    title: `UDP, packets of ${LENGTH_BYTES} B, at ${title}: spacing`,
    contenders: ALL,
    metrics: ["deviationP99Microseconds", "largestBurstBytes", "largestBurstMilliseconds", "jitterMicroseconds"],
    goals: [
      ...evener,
      { kind: "limit", metric: "largestBurstBytes", over: "every run", bound: atMost(burstBytes) },
      ...(name === "10m"
        ? [{ kind: "ratio", metric: "jitterMicroseconds", against: [labelOf(IPERF3)], bound: below(1) } as const]
        : []),
    ],
    shownIn: ["readme"],
    whyNot: whyNoCapture,
    measure: smoothness({ family: "udp", streams: 1, bitsPerSecond, lengthBytes: LENGTH_BYTES }),
  };
}

export const PACE_CASES: readonly BenchCase[] = [
  ...(["udp", "tcp"] as const).flatMap((family) => RATES.map((rate) => rateCase(family, rate))),
  ...RATES.filter(({ name }) => name === "10m" || name === "100m").map(smoothCase),
];
