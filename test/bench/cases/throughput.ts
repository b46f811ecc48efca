// As fast as it goes, and what is lost on the way.
import { type BenchCase, type Contender, labelOf } from "../case.ts";
import { atLeast, atMost, type Goal } from "../goals.ts";
import { throughput } from "../measures.ts";
import type { MetricKey } from "../metrics.ts";
import {
  ALL,
  IPERF3,
  IPERF3_LONG_WRITES,
  IPERF3_NO_COPIES,
  IPERF3_OFFLOAD,
  ORIGINAL,
  OURS,
  PEERS,
  XFR,
} from "./contenders.ts";

const UNLIMITED_TCP = { family: "tcp", streams: 1, bitsPerSecond: null, lengthBytes: null } as const;
const UNLIMITED_UDP = { family: "udp", streams: 1, bitsPerSecond: null, lengthBytes: 1024 } as const;
const UDP_METRICS = ["receivedKiloPacketsPerSecond", "receivedGigabitsPerSecond", "lossPercent"] as const;

const FAIREST = 0.95;

/** Our median of `metric` is at least `factor` times the best of these. */
function fasterThan(metric: MetricKey, factor: number, ...rivals: readonly Contender[]): Goal {
  return { kind: "ratio", metric, against: rivals.map(labelOf), bound: atLeast(factor) };
}

function fair(of?: Contender): Goal {
  const goal = { kind: "limit", metric: "fairnessIndex", over: "every run", bound: atLeast(FAIREST) } as const;
  return of === undefined ? goal : { ...goal, of: labelOf(of) };
}

const OUR_TWO_STREAMS: Contender = { ...OURS, streams: 2 };
const OUR_EIGHT_STREAMS: Contender = { ...OURS, streams: 8 };
const OUR_PINNED_STREAMS: Contender = { ...OURS, streams: 4, flags: ["-A", "0,1"] };
const OUR_SINGLE_PORT: Contender = { ...OURS, flags: ["--single-port"] };
const OURS_WITHOUT_OFFLOAD: Contender = { ...OURS, flags: ["--offload", "off"] };

export const THROUGHPUT_CASES: readonly BenchCase[] = [
  {
    name: "tcp-1",
    title: "TCP, 1 stream, unlimited",
    contenders: [...ALL, IPERF3_LONG_WRITES, IPERF3_NO_COPIES],
    metrics: ["receivedGigabitsPerSecond"],
    goals: [
      fasterThan("receivedGigabitsPerSecond", 1.3, IPERF3),
      fasterThan("receivedGigabitsPerSecond", 1, IPERF3_LONG_WRITES, IPERF3_NO_COPIES),
      fasterThan("receivedGigabitsPerSecond", 2.5, ORIGINAL),
      fasterThan("receivedGigabitsPerSecond", 2.5, XFR),
    ],
    shownIn: ["readme", "chart"],
    measure: throughput(UNLIMITED_TCP),
  },
  {
    name: "tcp-4",
    title: "TCP, 4 streams, unlimited",
    contenders: [...ALL, IPERF3_NO_COPIES],
    metrics: ["receivedGigabitsPerSecond", "fairnessIndex"],
    goals: [fasterThan("receivedGigabitsPerSecond", 1.2, IPERF3), fair()],
    shownIn: ["readme", "chart"],
    measure: throughput({ ...UNLIMITED_TCP, streams: 4 }),
  },
  {
    name: "tcp-streams",
    title: "TCP, more streams or fewer, unlimited, in all",
    contenders: [
      { ...OURS, streams: 1 },
      OUR_TWO_STREAMS,
      OUR_EIGHT_STREAMS,
      OUR_PINNED_STREAMS,
      { ...IPERF3, streams: 2 },
      { ...IPERF3, streams: 8 },
    ],
    metrics: ["receivedGigabitsPerSecond", "fairnessIndex"],
    goals: [fair(OUR_TWO_STREAMS), fair(OUR_EIGHT_STREAMS), fair(OUR_PINNED_STREAMS)],
    comparesToOurs: true,
    measure: throughput(UNLIMITED_TCP),
  },
  {
    name: "udp-1024",
    title: "UDP, packets of 1024 B, unlimited",
    contenders: [...ALL, IPERF3_OFFLOAD],
    metrics: UDP_METRICS,
    goals: [
      fasterThan("receivedKiloPacketsPerSecond", 14, ORIGINAL),
      fasterThan("receivedKiloPacketsPerSecond", 1.3, IPERF3_OFFLOAD),
      fasterThan("receivedKiloPacketsPerSecond", 14, IPERF3),
      { kind: "limit", metric: "lossPercent", over: "median", bound: atMost(2) },
    ],
    shownIn: ["readme", "chart"],
    measure: throughput(UNLIMITED_UDP),
  },
  {
    name: "udp-64",
    title: "UDP, packets of 64 B, unlimited",
    contenders: [OURS, ORIGINAL, IPERF3, IPERF3_OFFLOAD],
    metrics: UDP_METRICS,
    goals: [fasterThan("receivedKiloPacketsPerSecond", 20, ORIGINAL)],
    shownIn: ["readme", "chart"],
    measure: throughput({ ...UNLIMITED_UDP, lengthBytes: 64 }),
  },
  {
    name: "udp-1024-plain",
    title: "UDP, packets of 1024 B, unlimited, without offload",
    contenders: [OURS_WITHOUT_OFFLOAD, ...PEERS],
    metrics: UDP_METRICS,
    goals: [{ kind: "ratio", metric: "receivedKiloPacketsPerSecond", against: "peers", bound: atLeast(1.1) }],
    shownIn: ["readme"],
    measure: throughput(UNLIMITED_UDP),
  },
  {
    name: "single-port-tcp",
    title: "TCP over the control port, unlimited",
    contenders: [OUR_SINGLE_PORT, OURS],
    metrics: ["receivedGigabitsPerSecond"],
    goals: [fasterThan("receivedGigabitsPerSecond", 0.9, OURS)],
    measure: throughput(UNLIMITED_TCP),
  },
  {
    name: "single-port-udp",
    title: "UDP over the control port's number, unlimited",
    contenders: [OUR_SINGLE_PORT, OURS],
    metrics: UDP_METRICS,
    goals: [fasterThan("receivedKiloPacketsPerSecond", 0.9, OURS)],
    measure: throughput(UNLIMITED_UDP),
  },
  {
    name: "loss-1g",
    title: "UDP at 1 Gb/s, packets of 1400 B, the buffers as they come",
    contenders: ALL,
    metrics: ["lossPercent", "receivedGigabitsPerSecond"],
    goals: [{ kind: "limit", metric: "lossPercent", over: "every run", bound: atMost(0) }],
    shownIn: ["readme"],
    measure: throughput({ family: "udp", streams: 1, bitsPerSecond: 1e9, lengthBytes: 1400 }),
  },
];
