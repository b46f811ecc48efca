import { describe, expect, test } from "bun:test";
import { Inbox } from "../../../src/client/inbox.ts";
import { RperfError } from "../../../src/errors.ts";

const bodyOf = (message: object): Uint8Array => new TextEncoder().encode(JSON.stringify(message));

const CONNECT = { kind: "connect", stream_ports: [1, 2] };
const DONE = { kind: "done", origin: "server", stream_idx: 1 };
const RESULT = { kind: "receive", family: "tcp", stream_idx: 0, timestamp: 1, duration: 1, bytes_received: 5 };

const QUEUED = { kind: "queued", place: 3, wait: 40 };
const RESUMED = { kind: "resumed", phase: "running", first: 3 };

function inboxOf() {
  return new Inbox(2, "host:5199");
}

function listening(inbox: Inbox) {
  const messages: unknown[] = [];
  const losses: RperfError[] = [];
  inbox.listen({ onMessage: (message) => messages.push(message), onLost: (error) => losses.push(error) });
  return { messages, losses };
}

/** What the wait for an answer ends with. */
async function answerOf(inbox: Inbox, meanwhile: () => void): Promise<unknown> {
  const waiting = inbox.nextAnswer({ timeoutMs: 10_000 }).catch((error: unknown) => error);
  meanwhile();
  return waiting;
}

describe("the answer", () => {
  test.each<[string, object, object]>([
    ["connect", CONNECT, { kind: "connect", streamPorts: [1, 2], extensions: null }],
    ["connect-ready", { kind: "connect-ready" }, { kind: "connect-ready", extensions: null }],
    [
      "challenge",
      { kind: "challenge", nonce: new Uint8Array(32).toBase64(), mac: new Uint8Array(32).fill(1).toBase64() },
      { kind: "challenge", nonce: new Uint8Array(32), mac: new Uint8Array(32).fill(1) },
    ],
    ["resumed", RESUMED, { kind: "resumed", phase: "running", first: 3 }],
  ])("%s", async (_name, wire, answer) => {
    const inbox = inboxOf();
    expect(await answerOf(inbox, () => inbox.onBody(bodyOf(wire)))).toEqual(answer);
  });

  test.each<[string, (inbox: Inbox) => void, string, string]>([
    [
      "a refusal",
      (inbox) => inbox.onBody(bodyOf({ kind: "error", message: "full" })),
      "peer-refused",
      "host:5199 says: full",
    ],
    [
      "the end of the connection",
      (inbox) => inbox.onClosed(),
      "peer-lost",
      "host:5199 closed the control connection before it answered",
    ],
    ["a broken connection", (inbox) => inbox.onError(new RperfError("peer-lost", "reset")), "peer-lost", "reset"],
    [
      "gibberish",
      (inbox) => inbox.onError(new RperfError("peer-protocol", "not JSON")),
      "peer-protocol",
      "host:5199 does not speak as rperf does: not JSON",
    ],
  ])("%s instead", async (_name, happen, code, text) => {
    const inbox = inboxOf();
    const failure = await answerOf(inbox, () => happen(inbox));
    expect(failure).toMatchObject({ name: "RperfError", code, message: expect.stringContaining(text) });
    // It stands for every later wait, and for the test.
    expect(await inbox.nextAnswer({ timeoutMs: 10_000 }).catch((error: unknown) => error)).toBe(failure);
    expect(listening(inbox).losses).toEqual([failure as RperfError]);
  });

  test("none in time", async () => {
    const failure = await inboxOf()
      .nextAnswer({ timeoutMs: 20 })
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "peer-protocol", message: expect.stringContaining("did not answer") });
  });

  test.each<[string, object]>([
    ["an answer that nobody waits for", CONNECT],
    ["a resumption that nobody asked for", RESUMED],
    ["what belongs on a data connection", { kind: "data-ready" }],
    ["a place in a queue that nobody stands in", QUEUED],
    ["a result before the begin", RESULT],
    ["an end before the begin", DONE],
    ["the wrong number of ports", { ...CONNECT, stream_ports: [1] }],
  ])("%s is against the protocol", (_name, wire) => {
    const inbox = inboxOf();
    expect(() => inbox.onBody(bodyOf(wire))).toThrow(expect.objectContaining({ code: "peer-protocol" }));
  });
});

describe("a place in the queue", () => {
  const queue = (waitMs: number, heard: unknown[] = []) => ({
    waitMs,
    onQueued: (message: unknown) => heard.push(message),
  });

  test("is told, and the answer may come later for it", async () => {
    const inbox = inboxOf();
    const heard: unknown[] = [];
    const answer = inbox.nextAnswer({ timeoutMs: 100, queue: queue(60_000, heard) });
    inbox.onBody(bodyOf(QUEUED));
    inbox.onBody(bodyOf({ kind: "queued", place: 1 }));
    await Bun.sleep(200);
    inbox.onBody(bodyOf(CONNECT));
    expect(await answer).toMatchObject({ kind: "connect" });
    expect(heard).toEqual([
      { kind: "queued", place: 3, waitSeconds: 40 },
      { kind: "queued", place: 1, waitSeconds: null },
    ]);
  });

  test("is waited for no longer than was offered, however often the server tells of it", async () => {
    const inbox = inboxOf();
    const answer = inbox.nextAnswer({ timeoutMs: 50, queue: queue(100) }).catch((error: unknown) => error);
    const telling = setInterval(() => inbox.onBody(bodyOf(QUEUED)), 20);
    const failure = await answer;
    clearInterval(telling);
    expect(failure).toMatchObject({ code: "peer-protocol", message: expect.stringContaining("did not answer") });
  });

  test("is against the protocol where no wait was offered", async () => {
    const inbox = inboxOf();
    const answer = inbox.nextAnswer({ timeoutMs: 10_000 });
    expect(() => inbox.onBody(bodyOf(QUEUED))).toThrow(expect.objectContaining({ code: "peer-protocol" }));
    inbox.onBody(bodyOf(CONNECT));
    expect(await answer).toMatchObject({ kind: "connect" });
  });
});

describe("a resumption", () => {
  test("what comes right behind its answer waits for the listener, and comes in order", async () => {
    const inbox = inboxOf();
    await answerOf(inbox, () => {
      inbox.onBody(bodyOf(RESUMED));
      inbox.onBody(bodyOf(RESULT));
      inbox.onBody(bodyOf(DONE));
    });
    const { messages, losses } = listening(inbox);
    expect(messages).toMatchObject([{ kind: "result" }, { kind: "done" }]);
    inbox.onBody(bodyOf(RESULT));
    expect(messages).toHaveLength(3);
    expect(losses).toEqual([]);
  });

  test("that is lost again right behind its answer is told with what came before", async () => {
    const inbox = inboxOf();
    await answerOf(inbox, () => {
      inbox.onBody(bodyOf(RESUMED));
      inbox.onBody(bodyOf(RESULT));
      inbox.onClosed();
    });
    const { messages, losses } = listening(inbox);
    expect(messages).toHaveLength(1);
    expect(losses).toMatchObject([{ code: "peer-lost" }]);
  });

  test("after another answer nothing may come before the begin", async () => {
    const inbox = inboxOf();
    await answerOf(inbox, () => inbox.onBody(bodyOf(CONNECT)));
    expect(() => inbox.onBody(bodyOf(RESULT))).toThrow(expect.objectContaining({ code: "peer-protocol" }));
  });
});

describe("a running test", () => {
  test("hears results and ends, in order", () => {
    const inbox = inboxOf();
    const { messages, losses } = listening(inbox);
    inbox.onBody(bodyOf(RESULT));
    inbox.onBody(bodyOf(DONE));
    expect(messages).toMatchObject([
      { kind: "result", streamIndex: 0, interval: { bytesReceived: 5 } },
      { kind: "done", streamIndex: 1 },
    ]);
    expect(losses).toEqual([]);
    expect(() => inbox.onBody(bodyOf({ ...DONE, stream_idx: 2 }))).toThrow(RperfError);
  });

  test("hears of one loss, the first", async () => {
    const inbox = inboxOf();
    const { losses } = listening(inbox);
    inbox.onBody(bodyOf({ kind: "error", message: "shutting down" }));
    inbox.onError(new RperfError("peer-lost", "reset"));
    inbox.onClosed();
    await inbox.closed;
    expect(losses).toMatchObject([{ code: "peer-refused", message: "host:5199 says: shutting down" }]);
  });

  test("that expects the end takes figures still, and no loss", async () => {
    const inbox = inboxOf();
    const { messages, losses } = listening(inbox);
    inbox.expectEnd();
    inbox.onBody(bodyOf(DONE));
    inbox.onClosed();
    await inbox.closed;
    expect(messages).toHaveLength(1);
    expect(losses).toEqual([]);
  });
});

test("every message counts as a sign of life, well-formed or not", async () => {
  const inbox = inboxOf();
  const before = inbox.lastHeardMs;
  await Bun.sleep(5);
  expect(() => inbox.onBody(bodyOf([]))).toThrow(RperfError);
  expect(inbox.lastHeardMs).toBeGreaterThan(before);
});
