// A control connection that is lost in mid-test, and what becomes of the result: against a server by hand.
import { describe, expect, test } from "bun:test";
import type { FakeSession } from "../../support/fake-server.ts";
import type { Script } from "../../support/scripted-worker.ts";
import { type Course, DONE, DONE_AT_ONCE, ofKind, PREPARED, RESULT, runCourse as run } from "./course.ts";

const SLOW_TEST_MS = 30_000;
/** Loses the first connection right behind the begin, after these; what comes over the next ones is answered so. */
function lost(before: readonly object[], resumed: (session: FakeSession) => void): Course["answer"] {
  return ({ kind }, session, connection) => {
    if (kind === "begin" && connection === 0) {
      for (const message of before) session.send(message);
      // Behind what was sent.
      setTimeout(() => session.socket.resetAndDestroy(), 50);
    }
    if (kind === "resume") resumed(session);
  };
}

describe("a connection that comes back", () => {
  test("makes the result whole: what was missed is collected, what was sent is told again", async () => {
    const { result, events, messages, connections } = await run({
      script: DONE_AT_ONCE,
      answer: (message, session, connection) => {
        lost([RESULT, RESULT], ({ send }) => {
          for (const one of [{ kind: "resumed", phase: "running", first: 2 }, RESULT]) send(one);
        })(message, session, connection);
        if (message["kind"] === "sent" && connection === 1) session.send(DONE);
      },
    });
    expect({ outcome: result.outcome, reason: result.reason }).toEqual({ outcome: "completed", reason: null });
    expect(result.features).toEqual(["resume"]);
    expect(result.streams[0]?.receive).toHaveLength(3);
    expect(connections).toBe(2);
    expect(ofKind(messages, "resume")).toEqual([{ kind: "resume", token: "secret", have: 2 }]);
    const sent = { kind: "sent", stream_idx: 0, packets: 5, omitted_packets: 1 };
    expect(ofKind(messages, "sent")).toEqual([sent, sent]);
    // The server may forget what is over, and the begin is not said twice.
    expect(ofKind(messages, "ack").at(-1)).toEqual({ kind: "ack", have: 4 });
    expect(ofKind(messages, "begin")).toHaveLength(1);
    const told = events.flatMap(({ type }) => (type === "outage" || type === "resumed" ? [type] : []));
    expect(told).toEqual(["outage", "resumed"]);
    expect(result.outages).toHaveLength(1);
    const [{ startSeconds, durationSeconds } = { startSeconds: NaN, durationSeconds: NaN }] = result.outages;
    expect(startSeconds).toBeGreaterThanOrEqual(0);
    expect(startSeconds + durationSeconds).toBeLessThan(2);
  });

  test("before the server knew of the begin: it is said again", async () => {
    const { result, messages } = await run({
      script: DONE_AT_ONCE,
      answer: (message, session, connection) => {
        lost([], ({ send }) => send({ kind: "resumed", phase: "ready", first: 0 }))(message, session, connection);
        if (message["kind"] === "begin" && connection === 1) session.send(DONE);
      },
    });
    expect(result.outcome).toBe("completed");
    expect(ofKind(messages, "begin")).toHaveLength(2);
  });

  test("and goes again, twice: each outage is told of", async () => {
    const { result, messages } = await run({
      script: DONE_AT_ONCE,
      answer: (message, session, connection) => {
        lost([], ({ send, socket }) => {
          send({ kind: "resumed", phase: "running", first: connection - 1 });
          send(connection < 3 ? RESULT : DONE);
          if (connection < 3) setTimeout(() => socket.resetAndDestroy(), 50);
        })(message, session, connection);
      },
    });
    expect(result.outcome).toBe("completed");
    expect(result.outages).toHaveLength(3);
    expect(result.streams[0]?.receive).toHaveLength(2);
    expect(ofKind(messages, "resume").map(({ have }) => have)).toEqual([0, 1, 2]);
  });

  test("only after some attempts that are cut off again: they are one outage", async () => {
    const { result, connections } = await run({
      script: DONE_AT_ONCE,
      onConnect: ({ socket }, connection) => {
        if (connection === 1 || connection === 2) socket.resetAndDestroy();
      },
      answer: lost([], ({ send }) => {
        send({ kind: "resumed", phase: "finished", first: 0 });
        send(DONE);
      }),
    });
    expect(result.outcome).toBe("completed");
    expect(connections).toBe(4);
    expect(result.outages).toHaveLength(1);
  });
});

describe("a silence behind which the same connection goes on", () => {
  /** Says something, and the rest behind `beSilent`. */
  async function silentFor(beSilent: () => Promise<void>) {
    return run({
      script: DONE_AT_ONCE,
      answer: ({ kind }, { send }) => {
        if (kind !== "begin") return;
        send(RESULT);
        // Heard by then.
        void Bun.sleep(100)
          .then(beSilent)
          .then(() => {
            for (const message of [RESULT, DONE]) send(message);
          });
      },
    });
  }

  test("is an outage where it is the server's, or the link's", async () => {
    const { result, connections } = await silentFor(() => Bun.sleep(2500));
    expect(result.outcome).toBe("completed");
    expect(connections).toBe(1);
    expect(result.outages).toHaveLength(1);
    expect(result.outages[0]?.durationSeconds).toBeGreaterThan(2.5);
  });

  test(
    "is none where this side was kept from listening",
    async () => {
      // Longer than a server may be silent.
      const { result, events, connections } = await silentFor(async () => Bun.sleepSync(5500));
      expect(result).toMatchObject({ outcome: "completed", outages: [] });
      expect(events.filter(({ type }) => type === "outage")).toEqual([]);
      expect(connections).toBe(1);
    },
    SLOW_TEST_MS,
  );
});

test("a server that resumes and breaks off at once is asked again ever more seldom", async () => {
  const { result, messages } = await run({
    options: { durationSeconds: 1, resumeTimeoutSeconds: 2 },
    answer: ({ kind }, { send, socket }) => {
      if (kind === "resume") send({ kind: "resumed", phase: "running", first: 0 });
      // Behind the answer, if there was one.
      setTimeout(() => socket.resetAndDestroy(), 5);
    },
  });
  expect(result.outcome).toBe("partial");
  const resumptions = ofKind(messages, "resume").length;
  expect(resumptions).toBeGreaterThanOrEqual(3);
  // 0.1, 0.2, 0.4, 0.8, 1, 1 s …: of 3 s, and 4 more at the most.
  expect(resumptions).toBeLessThan(12);
  expect(result.outages.length).toBeLessThanOrEqual(resumptions + 1);
});

describe("a connection that does not", () => {
  test("is given up where the server holds nothing any more: partial", async () => {
    const { result, connections } = await run({
      answer: lost([RESULT], ({ send, socket }) => {
        send({ kind: "error", message: "there is no such test to resume" });
        socket.end();
      }),
    });
    expect(result).toMatchObject({ success: false, outcome: "partial", reason: { code: "resume-refused" } });
    expect(result.reason?.message).toContain("there is no such test to resume");
    expect(connections).toBe(2);
    // What was heard is there, and what was not is told as such.
    expect(result.streams[0]?.receive).toHaveLength(1);
    expect(result.streams[0]?.receiver.outcome).toBe("partial");
    expect(result.outages).toHaveLength(1);
  });

  test("is given up where the server answers something else", async () => {
    const { result } = await run({ answer: lost([], ({ send }) => send({ kind: "connect-ready" })) });
    expect(result).toMatchObject({ outcome: "partial", reason: { code: "resume-refused" } });
  });

  test("is given up where the server kept no more than a part", async () => {
    const { result } = await run({
      answer: lost([RESULT], ({ send }) => send({ kind: "resumed", phase: "running", first: 4 })),
    });
    expect(result).toMatchObject({ outcome: "partial", reason: { code: "outage" } });
    expect(result.reason?.message).toContain("3 reports are lost");
  });

  test("is given up soon where nobody listens any more: failed, as the connection was", async () => {
    const { result, tookMs } = await run({ answer: lost([RESULT], () => {}), isGoneForGood: true });
    expect(result).toMatchObject({ outcome: "failed", reason: { code: "peer-lost" } });
    expect(result.streams[0]?.receive).toHaveLength(1);
    expect(tookMs).toBeGreaterThan(500);
    expect(tookMs).toBeLessThan(4_000);
  });

  test(
    "is given up at the deadline, and not before",
    async () => {
      const { result, tookMs, connections } = await run({
        options: { durationSeconds: 1, resumeTimeoutSeconds: 2 },
        onConnect: ({ socket }, connection) => {
          if (connection > 0) socket.resetAndDestroy();
        },
        answer: lost([], () => {}),
      });
      expect(result).toMatchObject({ outcome: "partial", reason: { code: "outage" } });
      expect(result.reason?.message).toContain("2 s after the planned end");
      expect(connections).toBeGreaterThan(3);
      expect(tookMs).toBeGreaterThan(2_900);
      expect(tookMs).toBeLessThan(6_000);
      const [outage] = result.outages;
      expect(outage?.durationSeconds).toBeGreaterThan(2.5);
    },
    SLOW_TEST_MS,
  );

  test("is not tried for where the server did not grant it", async () => {
    const { result, connections, tookMs } = await run({ extensions: { version: 3 }, answer: lost([], () => {}) });
    expect(result).toMatchObject({ outcome: "failed", reason: { code: "peer-lost" }, outages: [] });
    expect(connections).toBe(1);
    expect(tookMs).toBeLessThan(2_000);
  });

  test("is not asked for with a time of 0", async () => {
    const { messages } = await run({
      options: { resumeTimeoutSeconds: 0 },
      extensions: { version: 3 },
      answer: lost([], () => {}),
    });
    expect(messages[0]?.["extensions"]).not.toHaveProperty("resume");
  });
});

test("a server that ends the test with a reason is not asked again", async () => {
  const { result, connections } = await run({
    answer: ({ kind }, { send, socket }) => {
      if (kind !== "begin") return;
      send({ kind: "error", message: "the server is shutting down" });
      socket.end();
    },
  });
  expect(result).toMatchObject({ outcome: "failed", reason: { code: "peer-refused" }, outages: [] });
  expect(connections).toBe(1);
});

describe("where every stream has failed", () => {
  const FAILED = { type: "failed", code: "stream-failed", message: "broken", report: null } as const;
  const BROKEN: Script = { prepare: PREPARED, start: [FAILED] };

  test("what the server says of it is the reason, though it is heard last", async () => {
    const { result } = await run({
      script: BROKEN,
      answer: () => {},
      onStreamEnded: (session) => session?.send({ kind: "error", message: "the server is shutting down" }),
    });
    expect(result).toMatchObject({ outcome: "failed", reason: { code: "peer-refused" } });
  });

  test("and so is why it stopped the stream", async () => {
    const message = "the server stopped it: the limit";
    const { result } = await run({
      script: BROKEN,
      answer: () => {},
      onStreamEnded: (session) => session?.send({ kind: "failed", stream_idx: 0, role: "download", message }),
    });
    expect(result).toMatchObject({ outcome: "failed", reason: { code: "stream-failed" } });
    expect(result.reason?.message).toContain(message);
  });

  test("a server that goes without a word is not looked for, and the streams' failure is the reason", async () => {
    const { result, connections } = await run({
      script: BROKEN,
      answer: () => {},
      onStreamEnded: (session) => session?.socket.end(),
    });
    expect(result).toMatchObject({ outcome: "failed", reason: { code: "stream-failed" }, outages: [] });
    expect(connections).toBe(1);
  });
});
