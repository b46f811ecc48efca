import type { TestConfig } from "../../src/config/types.ts";
import type { Reporter, TestStart } from "../../src/report/reporter.ts";
import { createResultCollector, type Reason, type TestEnd } from "../../src/results/collector.ts";
import type { Outcome, Side, SocketFacts, TestResult } from "../../src/results/types.ts";
import type {
  Interval,
  TcpReceiveInterval,
  TcpSendInterval,
  UdpReceiveInterval,
  UdpSendInterval,
} from "../../src/stats/interval.ts";
import { factsOf } from "../../src/streams/socket-facts.ts";

export { factsOf };

export const STARTED_SECONDS = 1_795_417_668;

export function configOf(changes: Partial<TestConfig> = {}): TestConfig {
  const isUdp = changes.family === "udp";
  return {
    host: "192.0.2.1",
    ipv6Only: false,
    port: 5199,
    family: "tcp",
    reverse: false,
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

export type Happening =
  | { readonly type: "interval"; readonly streamIndex: number; readonly interval: Interval }
  | {
      readonly type: "ended";
      readonly streamIndex: number;
      readonly side: Side;
      readonly outcome: Outcome;
      readonly reason: Reason;
      readonly socket: SocketFacts | null;
    };

/** A test as it happens and the result it comes to. */
export interface Scenario {
  readonly config: TestConfig;
  readonly happenings: readonly Happening[];
  readonly end: TestEnd;
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
): Happening {
  return { type: "ended", streamIndex, side, ...end, socket };
}

function bothEnded(streamIndex: number): Happening[] {
  return [ended(streamIndex, "client"), ended(streamIndex, "server")];
}

export function startOf(config: TestConfig): TestStart {
  return { config, address: config.host, port: config.port, ipVersion: 4 };
}

export function resultOf({ config, happenings, end }: Scenario): TestResult {
  const { address, port, ipVersion } = startOf(config);
  const collector = createResultCollector({
    config,
    server: { address, port, ipVersion },
    startedSeconds: STARTED_SECONDS,
  });
  for (const happening of happenings) {
    const { streamIndex } = happening;
    if (happening.type === "interval") collector.addInterval(streamIndex, happening.interval);
    else collector.sideEnded(streamIndex, happening.side, happening.outcome, happening.reason, happening.socket);
  }
  return collector.build(end);
}

/** Plays a scenario to a reporter, from its start to its result. */
export function play(scenario: Scenario, reporter: Reporter): void {
  reporter.started(startOf(scenario.config));
  for (const happening of scenario.happenings) {
    const { streamIndex } = happening;
    if (happening.type === "interval") reporter.interval(streamIndex, happening.interval);
    else reporter.sideEnded(streamIndex, happening.side, happening.reason?.message ?? null);
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

/** Every scenario that has golden files, by their name. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "tcp-1-stream": tcpOneStream(),
  "tcp-4-streams": tcpFourStreams(),
  "udp-loss": udpWithLoss(),
  incomplete: incomplete(),
  omit: udpOmit(),
};
