import type { TestConfig } from "../../src/config/types.ts";
import type { Reporter, TestStart } from "../../src/report/reporter.ts";
import { createResultCollector, type SideEnd, type TestEnd } from "../../src/results/collector.ts";
import { makeTestResult } from "../../src/results/combine.ts";
import {
  type Direction,
  type DirectionResult,
  NO_TOTALS,
  type Outage,
  type Side,
  type SideTotals,
  type SocketFacts,
  type TestResult,
} from "../../src/results/types.ts";
import type {
  Interval,
  TcpReceiveInterval,
  TcpSendInterval,
  UdpReceiveInterval,
  UdpSendInterval,
} from "../../src/stats/interval.ts";
import type { UdpBooks } from "../../src/stats/udp-books.ts";

export const STARTED_SECONDS = 1_795_417_668;

export function configOf(changes: Partial<TestConfig> = {}): TestConfig {
  const isUdp = changes.family === "udp";
  return {
    host: "192.0.2.1",
    ipv6Only: false,
    port: 5199,
    family: "tcp",
    reverse: false,
    bidir: false,
    bandwidthBytesPerSecond: 125_000,
    durationSeconds: 3,
    sendIntervalSeconds: 0.05,
    pacing: "even",
    offload: "auto",
    lengthBytes: isUdp ? 1024 : 32_768,
    writeSize: isUdp ? "length" : "auto",
    sendBufferBytes: 0,
    receiveBufferBytes: 0,
    parallel: 1,
    omitSeconds: 0,
    noDelay: false,
    affinity: [],
    portPools: { tcp4: [], tcp6: [], udp4: [], udp6: [] },
    dial: "client",
    singlePort: false,
    clientPorts: null,
    resumeTimeoutSeconds: 10,
    waitSeconds: 60,
    localAddress: null,
    device: null,
    congestion: null,
    dscp: null,
    maxSegmentBytes: null,
    intervalSeconds: 1,
    title: null,
    key: null,
    tls: null,
    ...changes,
  };
}

/** Facts of a side that tells these alone. */
export function factsOf(told: Partial<SocketFacts>): SocketFacts {
  return {
    sendBufferBytes: null,
    receiveBufferBytes: null,
    affinityCpu: null,
    offload: null,
    timestamps: null,
    pacing: null,
    writeBytes: null,
    congestion: null,
    dscp: null,
    maxSegmentBytes: null,
    ...told,
  };
}

/** Books of a stream that came whole and in order. */
export function booksOf(packetsSent: number, changes: Partial<UdpBooks> = {}): UdpBooks {
  return {
    packetsSent,
    packetsUnique: packetsSent,
    packetsLost: 0,
    packetsDuplicated: 0,
    packetsStray: 0,
    reordering: { packets: 0, maxExtentPackets: 0, meanExtentPackets: null },
    bursts: { count: 0, longestPackets: 0, meanPackets: null },
    ...changes,
  };
}

export function tcpSend(bytesSent: number, changes: Partial<TcpSendInterval> = {}): TcpSendInterval {
  return {
    family: "tcp",
    kind: "send",
    timestampSeconds: STARTED_SECONDS,
    durationSeconds: 1,
    bytesSent,
    sendsBlocked: 0,
    ...changes,
  };
}

export function tcpReceive(bytesReceived: number, changes: Partial<TcpReceiveInterval> = {}): TcpReceiveInterval {
  return {
    family: "tcp",
    kind: "receive",
    timestampSeconds: STARTED_SECONDS,
    durationSeconds: 1,
    bytesReceived,
    ...changes,
  };
}

/** Packets of 1024 bytes and their 8 bytes of header. */
export const FRAMED_BYTES = 1032;

export function udpSend(packetsSent: number, changes: Partial<UdpSendInterval> = {}): UdpSendInterval {
  return {
    family: "udp",
    kind: "send",
    timestampSeconds: STARTED_SECONDS,
    durationSeconds: 1,
    bytesSent: packetsSent * FRAMED_BYTES,
    packetsSent,
    sendsBlocked: 0,
    ...changes,
  };
}

export function udpReceive(packetsReceived: number, changes: Partial<UdpReceiveInterval> = {}): UdpReceiveInterval {
  return {
    family: "udp",
    kind: "receive",
    timestampSeconds: STARTED_SECONDS,
    durationSeconds: 1,
    bytesReceived: packetsReceived * FRAMED_BYTES,
    packetsReceived,
    packetsLost: 0,
    packetsOutOfOrder: 0,
    packetsDuplicated: 0,
    unbrokenSequence: packetsReceived,
    jitterSeconds: packetsReceived > 1 ? 0.000_02 : null,
    ...changes,
  };
}

export type Happening = {
  readonly streamIndex: number;
  /** By default the one that the configuration tells. */
  readonly direction?: Direction;
} & (
  | { readonly type: "interval"; readonly interval: Interval }
  | { readonly type: "ended"; readonly side: Side; readonly end: SideEnd }
);

/** A test as it happens and the result it comes to. */
export interface Scenario {
  readonly config: TestConfig;
  readonly happenings: readonly Happening[];
  readonly end: TestEnd;
  readonly features?: readonly string[];
  readonly outages?: readonly Outage[];
}

const COMPLETED: TestEnd = { outcome: "completed", reason: null };

export function intervalsOf(streamIndex: number, ...intervals: Interval[]): Happening[] {
  return intervals.map((interval) => ({ type: "interval", streamIndex, interval }));
}

export function ended(
  streamIndex: number,
  side: Side,
  end: TestEnd = COMPLETED,
  socket: SocketFacts | null = null,
  totals: Partial<SideTotals> = {},
): Happening {
  return { type: "ended", streamIndex, side, end: { ...end, socket, totals: { ...NO_TOTALS, ...totals } } };
}

/** The same in one direction of a bidirectional test. */
export function inDirection(direction: Direction, happenings: readonly Happening[]): Happening[] {
  return happenings.map((happening) => ({ ...happening, direction }));
}

function bothEnded(streamIndex: number): Happening[] {
  return [ended(streamIndex, "client"), ended(streamIndex, "server")];
}

export function startOf(config: TestConfig): TestStart {
  return { config, address: config.host, port: config.port, ipVersion: 4 };
}

function directionOf(config: TestConfig, { direction }: Happening): Direction {
  return direction ?? (config.reverse ? "reverse" : "forward");
}

function directionResultOf(scenario: Scenario, direction: Direction): DirectionResult {
  const { config, happenings, end } = scenario;
  const collector = createResultCollector({ ...config, reverse: direction === "reverse" });
  for (const happening of happenings) {
    if (directionOf(config, happening) !== direction) continue;
    const { streamIndex } = happening;
    if (happening.type === "interval") collector.addInterval(streamIndex, happening.interval);
    else collector.sideEnded(streamIndex, happening.side, happening.end);
  }
  return collector.build(end);
}

export function resultOf(scenario: Scenario): TestResult {
  const { config, end, features = [], outages = [] } = scenario;
  const { address, port, ipVersion } = startOf(config);
  const oneWay: Direction = config.reverse ? "reverse" : "forward";
  const directions = config.bidir ? (["forward", "reverse"] as const) : [oneWay];
  return makeTestResult(
    { config, server: { address, port, ipVersion }, startedSeconds: STARTED_SECONDS, features, outages },
    directions.map((direction) => directionResultOf(scenario, direction)),
    end,
  );
}

/** Plays a scenario to a reporter, from its start to its result. */
export function play(scenario: Scenario, reporter: Reporter): void {
  const { config } = scenario;
  reporter.started(startOf(config));
  for (const happening of scenario.happenings) {
    const { streamIndex } = happening;
    const direction = directionOf(config, happening);
    if (happening.type === "interval") reporter.interval(direction, streamIndex, happening.interval);
    else reporter.sideEnded(direction, streamIndex, happening.side, happening.end.reason?.message ?? null);
  }
  reporter.finished(resultOf(scenario));
}

const TCP_SENDER = factsOf({ sendBufferBytes: 425_984, affinityCpu: 1, pacing: "kernel", writeBytes: 131_072 });
const UDP_SENDER = factsOf({ sendBufferBytes: 212_992, offload: true });
const UDP_RECEIVER = factsOf({ receiveBufferBytes: 131_072, offload: false, timestamps: "kernel" });

function tcpOneStream(): Scenario {
  return {
    config: configOf({ durationSeconds: 2.5, noDelay: true, sendBufferBytes: 212_992 }),
    happenings: [
      ...intervalsOf(0, tcpSend(131_072), tcpReceive(130_000)),
      ...intervalsOf(0, tcpSend(131_072, { sendsBlocked: 3 }), tcpReceive(132_144)),
      ...intervalsOf(0, tcpSend(65_536, { durationSeconds: 0.5 })),
      ended(0, "client", COMPLETED, TCP_SENDER),
      ...intervalsOf(0, tcpReceive(65_536, { durationSeconds: 0.51 })),
      ended(0, "server"),
    ],
    end: COMPLETED,
  };
}

function tcpFourStreams(): Scenario {
  const streams = [0, 1, 2, 3];
  const rates = [125_000, 12_500_000_000, 1_250_000, 125];
  const second = (blocked: number): Happening[] =>
    streams.flatMap((index) => {
      const bytes = rates[index] ?? 0;
      return intervalsOf(index, tcpSend(bytes, { sendsBlocked: blocked * index }), tcpReceive(bytes));
    });
  return {
    config: configOf({ parallel: 4, durationSeconds: 2, reverse: true, bandwidthBytesPerSecond: 0 }),
    happenings: [...second(0), ...second(7), ...streams.flatMap(bothEnded)],
    end: COMPLETED,
  };
}

function udpWithLoss(): Scenario {
  return {
    config: configOf({ family: "udp", parallel: 2, receiveBufferBytes: 65_536 }),
    happenings: [
      ...intervalsOf(0, udpSend(122), udpReceive(120, { packetsLost: 2, unbrokenSequence: 80 })),
      ...intervalsOf(1, udpSend(122), udpReceive(122)),
      ...intervalsOf(
        0,
        udpSend(122),
        udpReceive(125, { packetsOutOfOrder: 4, packetsDuplicated: 3, unbrokenSequence: 9 }),
      ),
      ...intervalsOf(1, udpSend(122), udpReceive(61, { packetsLost: 61, unbrokenSequence: 1, jitterSeconds: null })),
      ...intervalsOf(0, udpSend(122), udpReceive(122)),
      ...intervalsOf(1, udpSend(122), udpReceive(122)),
      ...[0, 1].map((index) => ended(index, "client", COMPLETED, UDP_SENDER)),
      ...[0, 1].map((index) => ended(index, "server", COMPLETED, UDP_RECEIVER)),
    ],
    end: COMPLETED,
  };
}

function incomplete(): Scenario {
  const silent: TestEnd = { outcome: "failed", reason: { code: "stream-silent", message: "no data for 3 s" } };
  const stopped: TestEnd = { outcome: "interrupted", reason: { code: "stopped", message: "stopped with the test" } };
  return {
    config: configOf({ family: "udp", parallel: 3, durationSeconds: 10 }),
    happenings: [
      ...intervalsOf(0, udpSend(122), udpReceive(122)),
      ...intervalsOf(1, udpSend(122)),
      ...intervalsOf(2, udpSend(122)),
      ended(1, "server", silent),
      ended(2, "server", silent),
      ...intervalsOf(0, udpSend(122), udpSend(122)),
      ended(0, "client", stopped),
      ended(1, "client", stopped),
    ],
    end: { outcome: "failed", reason: { code: "peer-lost", message: "the server closed the connection" } },
  };
}

function udpOmit(): Scenario {
  const omittedSend = { durationSeconds: 1, bytesSent: 122 * FRAMED_BYTES, packetsSent: 122, sendsBlocked: 1 };
  const omittedReceive = (packetsReceived: number, durationSeconds: number) => ({
    durationSeconds,
    bytesReceived: packetsReceived * FRAMED_BYTES,
    packetsReceived,
    packetsOutOfOrder: 0,
    packetsDuplicated: 0,
  });
  return {
    config: configOf({ family: "udp", omitSeconds: 1, pacing: "slices", sendIntervalSeconds: 0.01, offload: "off" }),
    happenings: [
      ...intervalsOf(0, udpSend(122, { sendsBlocked: 1, omitted: omittedSend })),
      ...intervalsOf(0, udpReceive(118, { packetsLost: 1, omitted: omittedReceive(118, 1) })),
      ...intervalsOf(0, udpSend(122), udpReceive(125, { omitted: omittedReceive(3, 0.025) })),
      ...intervalsOf(0, udpSend(122), udpReceive(122)),
      ...bothEnded(0),
    ],
    end: COMPLETED,
  };
}

function udpExact(): Scenario {
  const books = booksOf(366, {
    packetsUnique: 357,
    packetsLost: 9,
    packetsDuplicated: 4,
    packetsStray: 2,
    reordering: { packets: 12, maxExtentPackets: 3, meanExtentPackets: 1.5 },
    bursts: { count: 5, longestPackets: 3, meanPackets: 1.8 },
  });
  const whole = booksOf(366);
  return {
    config: configOf({ family: "udp", parallel: 2, dscp: 46, title: "north mast, morning" }),
    happenings: [
      ...intervalsOf(0, udpSend(122), udpReceive(120, { packetsLost: 4, packetsDuplicated: 2, packetsOutOfOrder: 7 })),
      ...intervalsOf(1, udpSend(122), udpReceive(122)),
      ...intervalsOf(0, udpSend(122), udpReceive(122, { packetsOutOfOrder: 5, packetsDuplicated: 2 })),
      ...intervalsOf(1, udpSend(122), udpReceive(122)),
      // The tail is lost: no gap shows it.
      ...intervalsOf(0, udpSend(122), udpReceive(119)),
      ...intervalsOf(1, udpSend(122), udpReceive(122)),
      ...[0, 1].map((index) => ended(index, "client", COMPLETED, UDP_SENDER, { sendsRefused: index })),
      ended(0, "server", COMPLETED, UDP_RECEIVER, { books, bufferDrops: 7 }),
      ended(1, "server", COMPLETED, UDP_RECEIVER, { books: whole, bufferDrops: 0 }),
    ],
    end: COMPLETED,
    features: ["exact-udp", "resume"],
    outages: [{ startSeconds: 1.3, durationSeconds: 0.5 }],
  };
}

function udpBothWays(): Scenario {
  const second = (sent: number, received: number): Happening[] =>
    [0, 1].flatMap((index) =>
      intervalsOf(index, udpSend(sent), udpReceive(received, { packetsLost: sent - received })),
    );
  const books = booksOf(244, {
    packetsUnique: 224,
    packetsLost: 20,
    bursts: { count: 2, longestPackets: 10, meanPackets: 10 },
  });
  const lost: TestEnd = {
    outcome: "partial",
    reason: { code: "outage", message: "no control connection within 10 s after the planned end" },
  };
  return {
    config: configOf({
      family: "udp",
      parallel: 2,
      durationSeconds: 2,
      bidir: true,
      clientPorts: { first: 7000, last: 7003 },
    }),
    happenings: [
      ...inDirection("forward", second(122, 122)),
      ...inDirection("reverse", second(122, 112)),
      ...inDirection("reverse", second(122, 112)),
      ...inDirection("forward", [ended(0, "client", COMPLETED, UDP_SENDER), ended(1, "client", COMPLETED, UDP_SENDER)]),
      ...inDirection(
        "reverse",
        [0, 1].flatMap((index) => [
          ended(index, "server", COMPLETED, UDP_SENDER, { sendsRefused: 0 }),
          ended(index, "client", COMPLETED, UDP_RECEIVER, { books, bufferDrops: 0 }),
        ]),
      ),
    ],
    end: lost,
    features: ["bidir", "exact-udp", "resume"],
    outages: [{ startSeconds: 1.3, durationSeconds: 10.7 }],
  };
}

function tcpBothWays(): Scenario {
  const sender = factsOf({ sendBufferBytes: 425_984, congestion: "bbr", maxSegmentBytes: 1448, dscp: 46 });
  const way = (direction: Direction, client: SocketFacts | null, server: SocketFacts | null): Happening[] =>
    inDirection(direction, [
      ...intervalsOf(0, tcpSend(125_000), tcpReceive(125_000)),
      ...intervalsOf(0, tcpSend(125_000), tcpReceive(125_000)),
      ended(0, "client", COMPLETED, client),
      ended(0, "server", COMPLETED, server),
    ]);
  return {
    config: configOf({
      durationSeconds: 2,
      bidir: true,
      congestion: "bbr",
      dscp: 46,
      maxSegmentBytes: 1448,
      localAddress: "192.0.2.7",
      device: "eth0",
    }),
    happenings: [...way("forward", sender, null), ...way("reverse", null, sender)],
    end: COMPLETED,
    features: ["bidir", "client-dials"],
  };
}

/** Every scenario that has golden files, by their name. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "tcp-1-stream": tcpOneStream(),
  "tcp-4-streams": tcpFourStreams(),
  "udp-loss": udpWithLoss(),
  incomplete: incomplete(),
  omit: udpOmit(),
  "udp-exact": udpExact(),
  "udp-bidir": udpBothWays(),
  "tcp-bidir": tcpBothWays(),
};
