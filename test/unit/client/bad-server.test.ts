// What a server may not do to a client: keep it, fill its memory, or change what was told.
import { describe, expect, test } from "bun:test";
import { testsUnless } from "../../support/conditional.ts";
import { type Course, DONE, DONE_AT_ONCE, GRANTED, RESULT, runCourse } from "./course.ts";

const linux = testsUnless(process.platform === "linux" ? null : "dialling is Linux's");
const SLOW_TEST_MS = 60_000;
const SENT = { ...RESULT, kind: "send", bytes_received: undefined, bytes_sent: 5, sends_blocked: 0 };

/** Does it behind the begin. */
function atBegin(act: Course["answer"]): Course["answer"] {
  return (message, session, connection) => {
    if (message["kind"] === "begin") act(message, session, connection);
  };
}

describe("a server that does not end the test", () => {
  test.concurrent(
    "though it goes on to tell something, is left in the end",
    async () => {
      const timers: Timer[] = [];
      const { result, tookMs } = await runCourse({
        options: { durationSeconds: 0.5, resumeTimeoutSeconds: 0, reverse: true },
        extensions: { version: 3 },
        answer: atBegin((_message, { send }) => void timers.push(setInterval(() => send(SENT), 1000))),
      });
      for (const timer of timers) clearInterval(timer);
      expect(result).toMatchObject({ outcome: "partial", reason: { code: "peer-lost" } });
      expect(result.reason?.message).toContain("did not end the test within 35 s of its planned end");
      expect(tookMs).toBeGreaterThan(35_000);
      expect(tookMs).toBeLessThan(42_000);
    },
    SLOW_TEST_MS,
  );

  linux.test(
    "but says that it has, and keeps the connection open: its silence counts",
    async () => {
      const sockets: Bun.Socket[] = [];
      const open = (socket: Bun.Socket) => void sockets.push(socket);
      const sender = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { open, data: () => {} } });
      const { result, tookMs } = await runCourse({
        script: null,
        options: { durationSeconds: 0.5, reverse: true },
        extensions: { ...GRANTED, dial: "client", stream_ports: [sender.port] },
        answer: atBegin((_message, { send }) => {
          for (const socket of sockets) socket.write(new Uint8Array(5000));
          setTimeout(() => send({ ...DONE, role: "upload" }), 200);
        }),
      });
      sender.stop(true);
      expect(result.streams[0]?.receiver).toMatchObject({ outcome: "failed", reason: { code: "stream-silent" } });
      expect(result.summary.bytesReceived).toBe(5000);
      expect(tookMs).toBeLessThan(10_000);
    },
    SLOW_TEST_MS,
  );
});

describe("results", () => {
  test("more than a test has intervals end it", async () => {
    const { result } = await runCourse({
      options: { durationSeconds: 1 },
      answer: atBegin((_message, { send }) => {
        for (let count = 0; count < 1000; count++) send(RESULT);
      }),
    });
    expect(result).toMatchObject({ outcome: "failed", reason: { code: "peer-protocol" } });
    expect(result.reason?.message).toContain("more results than the test has intervals");
    expect(result.streams[0]?.receive.length).toBeLessThan(200);
  });

  test("of a stream that is over change nothing any more", async () => {
    const { result } = await runCourse({
      script: DONE_AT_ONCE,
      options: { parallel: 2 },
      answer: atBegin((_message, { send }) => {
        for (const message of [RESULT, DONE, RESULT, { ...RESULT, stream_idx: 1 }, { ...DONE, stream_idx: 1 }])
          send(message);
      }),
    });
    expect(result.outcome).toBe("completed");
    expect(result.streams.map(({ receive }) => receive.length)).toEqual([1, 1]);
  });

  test("of an original come once a second, whatever was asked for: that is no outage", async () => {
    const { result } = await runCourse({
      script: DONE_AT_ONCE,
      options: { intervalSeconds: 0.1 },
      extensions: null,
      answer: atBegin((_message, { send }) => {
        send(RESULT);
        setTimeout(() => send(RESULT), 1500);
        setTimeout(() => send(DONE), 1600);
      }),
    });
    expect(result).toMatchObject({ outcome: "completed", outages: [] });
  });
});
