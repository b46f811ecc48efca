// What a tool takes of the machine: CPU time, memory, time to start.
import { type BenchCase, labelOf } from "../case.ts";
import { whyNoCapture } from "../capture.ts";
import { firstByte } from "../captured-measures.ts";
import { atMost, type Goal } from "../goals.ts";
import { cpuTime } from "../measures.ts";
import { listening, manyClients, memory } from "../server-measures.ts";
import { ALL, IPERF3, ORIGINAL, OURS } from "./contenders.ts";

const GIGABIT = 1e9;
/** What every tool here runs for unless told: the start of its process is part of what a test costs. */
const DEFAULT_TEST_SECONDS = 10;

function cpuGoal(factor: number, rival: typeof IPERF3): Goal {
  return { kind: "ratio", metric: "cpuSeconds", against: [labelOf(rival)], bound: atMost(factor) };
}

export const COST_CASES: readonly BenchCase[] = [
  {
    name: "cpu-udp",
    title: "CPU time at 1 Gb/s of UDP, packets of 1024 B",
    seconds: DEFAULT_TEST_SECONDS,
    contenders: ALL,
    metrics: ["cpuSeconds", "cpuSecondsPerSecond", "receivedGigabitsPerSecond"],
    goals: [cpuGoal(0.25, IPERF3), cpuGoal(0.6, ORIGINAL)],
    shownIn: ["readme"],
    measure: cpuTime({ family: "udp", streams: 1, bitsPerSecond: GIGABIT, lengthBytes: 1024 }),
  },
  {
    name: "cpu-tcp",
    title: "CPU time at 1 Gb/s of TCP",
    seconds: DEFAULT_TEST_SECONDS,
    contenders: ALL,
    metrics: ["cpuSeconds", "cpuSecondsPerSecond", "receivedGigabitsPerSecond"],
    goals: [cpuGoal(1, IPERF3), cpuGoal(1, ORIGINAL)],
    shownIn: ["readme"],
    measure: cpuTime({ family: "tcp", streams: 1, bitsPerSecond: GIGABIT, lengthBytes: null }),
  },
  {
    name: "first-byte",
    title: "Start of a TCP client",
    seconds: 1,
    contenders: ALL,
    metrics: ["firstByteMilliseconds"],
    goals: [{ kind: "limit", metric: "firstByteMilliseconds", over: "median", bound: atMost(100) }],
    shownIn: ["readme"],
    whyNot: whyNoCapture,
    measure: firstByte({ family: "tcp", streams: 1, bitsPerSecond: null, lengthBytes: null }),
  },
  {
    name: "listening",
    title: "Start of the server",
    seconds: 0,
    contenders: ALL,
    metrics: ["listeningMilliseconds"],
    goals: [{ kind: "limit", metric: "listeningMilliseconds", over: "median", bound: atMost(60) }],
    shownIn: ["readme"],
    measure: listening,
  },
  {
    name: "memory",
    title: "Memory of the server",
    seconds: 3,
    contenders: ALL,
    metrics: ["idleMegabytes", "oneStreamMegabytes", "manyStreamsMegabytes", "idleCpuPercent"],
    goals: [],
    shownIn: ["readme"],
    measure: memory,
  },
  {
    name: "many-clients",
    title: "Memory of the server with 200 slow UDP clients",
    // Ours drives the clients of both: the peers speak another protocol.
    contenders: [OURS, ORIGINAL],
    metrics: ["manyClientsMegabytes", "clientsAtOnce"],
    goals: [{ kind: "limit", metric: "manyClientsMegabytes", over: "every run", bound: atMost(150) }],
    shownIn: ["readme"],
    measure: manyClients,
  },
];
