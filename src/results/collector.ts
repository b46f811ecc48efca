import type { TestConfig } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import type { Interval, ReceiveInterval, SendInterval } from "../stats/interval.ts";
import { worst } from "./outcomes.ts";
import { summariseStream, summariseTest, withoutLoss } from "./summarise.ts";
import {
  type DirectionResult,
  NO_TOTALS,
  type Outcome,
  type Reason,
  type Side,
  type SideTotals,
  type SocketFacts,
  type StreamResult,
  type StreamSideResult,
} from "./types.ts";

/** How the test as a whole ended, as the client's session saw it. */
export interface TestEnd {
  readonly outcome: Outcome;
  readonly reason: Reason;
}

/** How one side of a stream ended. A `socket` of null keeps the facts told before. */
export interface SideEnd {
  readonly outcome: Outcome;
  readonly reason: Reason;
  readonly socket: SocketFacts | null;
  readonly totals: SideTotals;
}

/** Gathers what both sides of one direction of a test tell, in any order, until `build` makes the result of it. */
export interface ResultCollector {
  /** Intervals of one side come in the order in which they passed. */
  addInterval(streamIndex: number, interval: Interval): void;
  /** A side ends once: the first end heard of stands. */
  sideEnded(streamIndex: number, side: Side, end: SideEnd): void;
  socketFacts(streamIndex: number, side: Side, facts: SocketFacts): void;
  /** Changes nothing: may be called at any time, and again. */
  build(end: TestEnd): DirectionResult;
}

interface SideState {
  end: Omit<SideEnd, "socket"> | null;
  socket: SocketFacts | null;
}

interface StreamState {
  readonly send: SendInterval[];
  readonly receive: ReceiveInterval[];
  readonly sides: Readonly<Record<Side, SideState>>;
}

export function createResultCollector(config: TestConfig): ResultCollector {
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
    sideEnded(streamIndex, side, { outcome, reason, socket, totals }) {
      const state = stateOf(streamIndex).sides[side];
      state.end ??= { outcome, reason, totals };
      state.socket = socket ?? state.socket;
    },
    socketFacts(streamIndex, side, facts) {
      stateOf(streamIndex).sides[side].socket = facts;
    },
    build(end) {
      const streams = states.map((state, streamIndex) => buildStream(config, streamIndex, state, end));
      const { outcome, reason } = endOfDirection(end, streams);
      const summaries = streams.map((stream) => stream.summary);
      return {
        config,
        streams,
        summary: summariseTest(config, summaries),
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
  const { send, receive, sides } = state;
  const [sending, receiving] = config.reverse ? [sides.server, sides.client] : [sides.client, sides.server];
  const sender = buildSide(sending, end);
  const receiver = buildSide(receiving, end);
  const summary = summariseStream(config, send, receive, {
    sender: sending.end?.totals ?? NO_TOTALS,
    receiver: receiving.end?.totals ?? NO_TOTALS,
  });
  // Between reports that break off at different times every packet under way would look lost.
  const hasEnded = sender.outcome !== "partial" && receiver.outcome !== "partial";
  // A receiver that nothing came to has no interval, and yet books.
  const hasReceived = receive.length > 0 || (receiving.end?.totals.books ?? null) !== null;
  const isLossKnown = hasEnded && send.length > 0 && hasReceived;
  return {
    streamIndex,
    send: [...send],
    receive: [...receive],
    sender,
    receiver,
    ...worst([inRole("sender", sender), inRole("receiver", receiver)]),
    summary: isLossKnown ? summary : withoutLoss(summary),
  };
}

function buildSide({ end, socket }: SideState, testEnd: TestEnd): StreamSideResult {
  if (end !== null) return { outcome: end.outcome, reason: end.reason, socket };
  // What ended the test is also why nothing more was heard of this side.
  const code = testEnd.reason?.code ?? "peer-lost";
  return { outcome: "partial", reason: { code, message: "its end was never heard of" }, socket };
}

/** How a side ended, in words that stand without it. */
function inRole(role: "sender" | "receiver", { outcome, reason }: StreamSideResult): TestEnd {
  if (outcome === "completed") return { outcome, reason: null };
  return {
    outcome,
    reason: { code: reason?.code ?? "stream-failed", message: `${role}: ${reason?.message ?? outcome}` },
  };
}

/** The end the session saw, unless it took for complete what some stream says is not. */
function endOfDirection(end: TestEnd, streams: readonly StreamResult[]): TestEnd {
  if (end.outcome !== "completed") return end;
  const { outcome, reason, streamIndex } = worst(streams);
  return {
    outcome,
    reason: reason && { code: reason.code, message: `stream ${streamIndex}, ${reason.message}` },
  };
}
