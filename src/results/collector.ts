import type { TestConfig } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import type { Interval, ReceiveInterval, SendInterval } from "../stats/interval.ts";
import { summariseStream, summariseTest } from "./summarise.ts";
import {
  type Outcome,
  SCHEMA_VERSION,
  type Side,
  type SocketFacts,
  type StreamResult,
  type StreamSideResult,
  type TestResult,
} from "./types.ts";

/** Why something did not complete; null when it did. */
export type Reason = StreamSideResult["reason"];

/** How the test as a whole ended, as the client's session saw it. */
export interface TestEnd {
  readonly outcome: Outcome;
  readonly reason: Reason;
}

interface CollectorOptions {
  readonly config: TestConfig;
  readonly server: TestResult["server"];
  /** Wall-clock start, UNIX seconds. */
  readonly startedSeconds: number;
}

/** Gathers what both sides of a test tell, in any order, until `build` makes the result of it. */
export interface ResultCollector {
  /** Intervals of one side come in the order in which they passed. */
  addInterval(streamIndex: number, interval: Interval): void;
  /** A side ends once: the first end heard of stands. A `socket` of null keeps the facts told before. */
  sideEnded(streamIndex: number, side: Side, outcome: Outcome, reason: Reason, socket: SocketFacts | null): void;
  socketFacts(streamIndex: number, side: Side, facts: SocketFacts): void;
  /** Changes nothing: may be called at any time, and again. */
  build(end: TestEnd): TestResult;
}

interface SideState {
  end: { readonly outcome: Outcome; readonly reason: Reason } | null;
  socket: SocketFacts | null;
}

interface StreamState {
  readonly send: SendInterval[];
  readonly receive: ReceiveInterval[];
  readonly sides: Readonly<Record<Side, SideState>>;
}

export function createResultCollector(options: CollectorOptions): ResultCollector {
  const { config, server, startedSeconds } = options;
  const states: readonly StreamState[] = Array.from({ length: config.parallel }, newStreamState);
  const stateOf = (streamIndex: number): StreamState => {
    const state = states[streamIndex];
    if (state === undefined) throw new RperfError("internal", `there is no stream ${streamIndex} in this test`);
    return state;
  };
  return {
    addInterval(streamIndex, interval) {
      const state = stateOf(streamIndex);
      if (interval.kind === "send") state.send.push(interval);
      else state.receive.push(interval);
    },
    sideEnded(streamIndex, side, outcome, reason, socket) {
      const state = stateOf(streamIndex).sides[side];
      state.end ??= { outcome, reason };
      state.socket = socket ?? state.socket;
    },
    socketFacts(streamIndex, side, facts) {
      stateOf(streamIndex).sides[side].socket = facts;
    },
    build(end) {
      const streams = states.map((state, streamIndex) => buildStream(config, streamIndex, state, end));
      const { outcome, reason } = endOfTest(end, streams);
      return {
        schemaVersion: SCHEMA_VERSION,
        config,
        server,
        startedSeconds,
        streams,
        summary: summariseTest(
          config,
          streams.map((stream) => stream.summary),
        ),
        success: outcome === "completed",
        outcome,
        reason,
      };
    },
  };
}

function newStreamState(): StreamState {
  return {
    send: [],
    receive: [],
    sides: { client: { end: null, socket: null }, server: { end: null, socket: null } },
  };
}

function buildStream(config: TestConfig, streamIndex: number, state: StreamState, end: TestEnd): StreamResult {
  const client = buildSide(state.sides.client, end);
  const server = buildSide(state.sides.server, end);
  const hasEnded = client.outcome !== "abandoned" && server.outcome !== "abandoned";
  const isLossKnown = hasEnded && state.send.length > 0 && state.receive.length > 0;
  const summary = summariseStream(config, state.send, state.receive);
  return {
    streamIndex,
    send: [...state.send],
    receive: [...state.receive],
    sender: config.reverse ? server : client,
    receiver: config.reverse ? client : server,
    // Between reports that break off at different times every packet under way would look lost.
    summary: isLossKnown || summary.udp === null ? summary : { ...summary, udp: { ...summary.udp, packetsLost: null } },
  };
}

function buildSide({ end, socket }: SideState, testEnd: TestEnd): StreamSideResult {
  if (end !== null) return { ...end, socket };
  // What ended the test is also why nothing more was heard of this side.
  const code = testEnd.reason?.code ?? "peer-lost";
  return { outcome: "abandoned", reason: { code, message: "its end was never heard of" }, socket };
}

/** The end the session saw, unless it took for complete what some side says is not. */
function endOfTest(end: TestEnd, streams: readonly StreamResult[]): TestEnd {
  if (end.outcome !== "completed") return end;
  for (const outcome of ["failed", "abandoned", "interrupted"] as const) {
    for (const stream of streams) {
      for (const role of ["sender", "receiver"] as const) {
        if (stream[role].outcome === outcome) return { outcome, reason: sideReason(stream, role) };
      }
    }
  }
  return { outcome: "completed", reason: null };
}

function sideReason(stream: StreamResult, role: "sender" | "receiver"): Reason {
  const { reason, outcome } = stream[role];
  return {
    code: reason?.code ?? "stream-failed",
    message: `stream ${stream.streamIndex}, ${role}: ${reason?.message ?? outcome}`,
  };
}
