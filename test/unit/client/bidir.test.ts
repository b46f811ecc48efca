// Both directions at once with an original server: two configurations before one begin, and ends that do not tell which.
import { describe, expect, test } from "bun:test";
import { runTest } from "../../../src/client/run-test.ts";
import { systemClock } from "../../../src/clock.ts";
import { makeTestConfig } from "../../../src/config/test-config.ts";
import { answerConfiguration, type FakeSession, startFakeServer } from "../../support/fake-server.ts";
import type { RawMessage } from "../../support/raw-client.ts";
import { scriptedPool } from "../../support/scripted-worker.ts";

const FACTS = { stream_idx: 0, timestamp: 1, duration: 1 };
const OUR_REPORT = {
  totals: { books: null, bufferDrops: null, sendsRefused: null, bytesUndelivered: null },
  sent: { packets: 0, omittedPackets: 0 },
};
const done = (stream_idx: number, more: object = {}) => ({ kind: "done", origin: "server", stream_idx, ...more });
const received = (bytes_received: number) => ({ ...FACTS, kind: "receive", family: "tcp", bytes_received });
const sent = (bytes_sent: number) => ({ ...FACTS, kind: "send", family: "tcp", bytes_sent, sends_blocked: 0 });

/** Streams that are over at once on this side, against a server that says this after the begin. */
async function runBidir(parallel: number, answers: readonly object[], extensions?: object) {
  const answer = (message: RawMessage, session: FakeSession) => {
    if (message["kind"] === "configuration") {
      answerConfiguration(message, extensions === undefined ? session : extended(session, extensions));
    }
    if (message["kind"] === "begin") for (const each of answers) session.send(each);
    if (message["kind"] === "end") session.socket.end();
  };
  const server = await startFakeServer(answer);
  const { config } = makeTestConfig({
    host: "127.0.0.1",
    port: server.port,
    bidir: true,
    parallel,
    durationSeconds: 1,
  });
  const pool = scriptedPool({
    prepare: [{ type: "prepared", port: 7 }],
    start: [{ type: "ended", report: OUR_REPORT }],
  });
  try {
    const signal = AbortSignal.any([]);
    const result = await runTest(config, { clock: systemClock(), pool, emit: () => {}, signal });
    return { result, messages: server.messages, workers: pool.size };
  } finally {
    server.stop();
  }
}

function extended(session: FakeSession, extensions: object): FakeSession {
  return { ...session, send: (message) => session.send({ ...message, extensions }) };
}

describe("with an original server", () => {
  test("both are asked for before the one begin, and nothing is said that it does not know", async () => {
    const { result, messages, workers } = await runBidir(2, [done(0), done(0), done(1), done(1)]);
    expect(messages.map(({ kind, role }) => [kind, role])).toEqual([
      ["configuration", "download"],
      ["configuration", "upload"],
      ["begin", undefined],
      ["end", undefined],
    ]);
    // Two streams of data are not told apart by their ports alone.
    expect(messages[0]?.["test_id"]).not.toEqual(messages[1]?.["test_id"]);
    expect(messages[1]?.["stream_ports"]).toEqual([7, 7]);
    expect({ outcome: result.outcome, features: result.features }).toEqual({ outcome: "completed", features: [] });
    expect(workers).toBe(0);
  });

  test("results go to the direction that they are of", async () => {
    const { result } = await runBidir(1, [received(5), sent(7), received(6), done(0), sent(8), done(0)]);
    const { forward, reverse } = result.directions ?? {};
    expect(forward?.streams[0]?.receive.map((one) => one.bytesReceived)).toEqual([5, 6]);
    expect(forward?.streams[0]?.send).toEqual([]);
    expect(reverse?.streams[0]?.send.map((one) => one.bytesSent)).toEqual([7, 8]);
    expect(reverse?.streams[0]?.receive).toEqual([]);
  });

  test("of two ends of one stream the first counts for one direction, the second for the other", async () => {
    const { result } = await runBidir(1, [{ ...done(0), kind: "failed" }, done(0)]);
    const { forward, reverse } = result.directions ?? {};
    expect([forward?.streams[0]?.receiver.outcome, reverse?.streams[0]?.sender.outcome]).toEqual([
      "failed",
      "completed",
    ]);
    expect([result.outcome, result.success]).toEqual(["failed", false]);
  });

  test("one end too few is waited for, and told of", async () => {
    const { result } = await runBidir(1, [done(0)]);
    expect(result).toMatchObject({ success: false, outcome: "failed", reason: { code: "peer-lost" } });
    expect(result.reason?.message).toContain("did not complete within 5 s");
  }, 20_000);
});

test("with one of ours the ends tell which, in any order", async () => {
  const ends = [done(0, { role: "upload" }), { ...done(0, { role: "download", message: "why" }), kind: "failed" }];
  const { result, messages } = await runBidir(1, ends, { version: 3, resume: { token: "t" } });
  const { forward, reverse } = result.directions ?? {};
  expect([forward?.streams[0]?.receiver.outcome, reverse?.streams[0]?.sender.outcome]).toEqual(["failed", "completed"]);
  expect(forward?.streams[0]?.receiver.reason?.message).toBe("why");
  // What this side sent is told to a server that granted what needs it.
  expect(messages.filter(({ kind }) => kind === "sent")).toEqual([
    { kind: "sent", stream_idx: 0, packets: 0, omitted_packets: 0 },
  ]);
});
