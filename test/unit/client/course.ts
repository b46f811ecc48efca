// A client's test against a server by hand, its streams by a script or real.
import { expect } from "bun:test";
import type { ClientEvent } from "../../../src/client/events.ts";
import { runTest } from "../../../src/client/run-test.ts";
import { systemClock } from "../../../src/clock.ts";
import { makeTestConfig, type TestOptions } from "../../../src/config/test-config.ts";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import { type FakeSession, startFakeServer } from "../../support/fake-server.ts";
import type { RawMessage } from "../../support/raw-client.ts";
import { type Script, scriptedPool } from "../../support/scripted-worker.ts";

export const RESULT = {
  kind: "receive",
  family: "tcp",
  stream_idx: 0,
  timestamp: 1,
  duration: 1,
  bytes_received: 5,
};
export const DONE = { kind: "done", origin: "server", stream_idx: 0, role: "download" };
export const GRANTED = { version: 3, resume: { token: "secret" } };

const REPORT = {
  totals: { books: null, bufferDrops: null, sendsRefused: null, bytesUndelivered: null },
  sent: { packets: 5, omittedPackets: 1 },
};
export const PREPARED = [{ type: "prepared", port: null }] as const;
const STOPPED = [{ type: "failed", code: "stopped", message: "stopped", report: null }] as const;
/** A sender that goes on until it is stopped, and one that is done at once. */
const ENDLESS: Script = { prepare: PREPARED, start: [], stop: STOPPED };
export const DONE_AT_ONCE: Script = { prepare: PREPARED, start: [{ type: "ended", report: REPORT }] };

export interface Course {
  /** Null = streams that are real. */
  readonly script?: Script | null;
  readonly options?: Partial<TestOptions>;
  /** Null = the server is an original. */
  readonly extensions?: object | null;
  /** Answers all but the configuration; `connection`: which one it came over, from 0 on. */
  answer(message: RawMessage, session: FakeSession, connection: number): void;
  readonly onConnect?: (session: FakeSession, connection: number) => void;
  /** A stream of the client is over there. */
  readonly onStreamEnded?: (session: FakeSession | undefined) => void;
  /** No new connection is taken once the first is lost. */
  readonly isGoneForGood?: boolean;
}

export async function runCourse({ script = ENDLESS, options = {}, extensions = GRANTED, ...course }: Course) {
  const connections: FakeSession[] = [];
  const server = await startFakeServer(
    (message, session) => {
      const { kind } = message;
      if (kind === "configuration") {
        const streamPorts = Array.from({ length: Number(message["streams"]) }, () => session.dataPort);
        const answer =
          message["role"] === "upload" ? { kind: "connect-ready" } : { kind: "connect", stream_ports: streamPorts };
        session.send({ ...answer, ...(extensions === null ? {} : { extensions }) });
      } else if (kind === "end") session.socket.end();
      else course.answer(message, session, connections.indexOf(session));
    },
    (session) => {
      connections.push(session);
      course.onConnect?.(session, connections.length - 1);
    },
  );
  const events: ClientEvent[] = [];
  const { config } = makeTestConfig({ host: "127.0.0.1", port: server.port, durationSeconds: 5, ...options });
  const pool = script === null ? new StreamWorkerPool(spawnWorker) : scriptedPool(script);
  const startMs = performance.now();
  try {
    const emit = (event: ClientEvent) => {
      events.push(event);
      if (event.type === "outage" && course.isGoneForGood === true) server.stop();
      if (event.type === "stream-ended") course.onStreamEnded?.(connections[0]);
    };
    const result = await runTest(config, { clock: systemClock(), pool, emit, signal: AbortSignal.any([]) });
    expect(pool.size).toBe(0);
    const tookMs = performance.now() - startMs;
    return { result, events, tookMs, messages: server.messages, connections: connections.length };
  } finally {
    server.stop();
  }
}

export function ofKind(messages: readonly RawMessage[], kind: string): readonly RawMessage[] {
  return messages.filter((message) => message["kind"] === kind);
}
