// What the program says when there is no test to be had of the other side: one line with what and where, and status 4.
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";

import { EXIT_FAILED, complaintOf, incompleteLineOf, linesOf, ourDocumentOf } from "../support/cli.ts";
import { testsUnless } from "../support/conditional.ts";
import { eventually } from "../support/eventually.ts";
import { answerConfiguration, type FakeServer, type FakeSession, startFakeServer } from "../support/fake-server.ts";
import { testWithNamespaces, withNamespaces } from "../support/netns.ts";
import { freePort } from "../support/ports.ts";
import { rperf, type RunResult, run, startProcess } from "../support/process.ts";
import { frameOf, type RawMessage } from "../support/raw-client.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

const MODES = ["text", "json"] as const;
type Mode = (typeof MODES)[number];

let fake: FakeServer | null = null;

afterEach(() => {
  fake?.stop();
  fake = null;
});

async function serve(...handlers: Parameters<typeof startFakeServer>): Promise<number> {
  fake = await startFakeServer(...handlers);
  return fake.port;
}

function client(mode: Mode, host: string, port: number, ...flags: readonly string[]): string[] {
  const time = flags.includes("-t") ? [] : ["-t", "4"];
  return rperf("-c", host, "-p", `${port}`, ...time, ...(mode === "json" ? ["-f", "json"] : []), ...flags);
}

/** There was no test: one line on standard error, and no results; the text's table has a head at the most. */
function expectComplaint(result: RunResult, mode: Mode, what: RegExp, where: string): void {
  expect(result.code).toBe(EXIT_FAILED);
  if (mode === "json") expect(result.stdout).toBe("");
  else expect(result.stdout).not.toMatch(/^total|^incomplete|^ +\d/m);
  const line = complaintOf(result);
  expect(line).toMatch(what);
  expect(line).toContain(where);
}

/** There was a part of a test: it is printed, and why it is not whole is told once. */
function expectIncomplete(result: RunResult, mode: Mode, what: RegExp, where: string): void {
  expect(result.code).toBe(EXIT_FAILED);
  if (mode === "json") {
    const document = ourDocumentOf(result);
    expect(document.success).toBe(false);
    expect(document.outcome).toBe("failed");
    expect(document.reason?.message).toMatch(what);
    expect(document.reason?.message).toContain(where);
    expect(complaintOf(result)).toContain(document.reason?.message ?? "a reason");
    return;
  }
  const line = incompleteLineOf(result);
  expect(line).toMatch(what);
  expect(line).toContain(where);
  expect(linesOf(result.stdout + result.stderr).filter((other) => other.includes(where))).toEqual([line]);
}

/** As expected of both directions before their test begins: the client's words are its own. */
describe.each(MODES)("before a test, %s", (mode) => {
  test("no server", async () => {
    const port = await freePort();
    expectComplaint(await run(client(mode, "127.0.0.1", port)), mode, /refused/, `127.0.0.1:${port}`);
    expectComplaint(await run(client(mode, "::1", port, "-u")), mode, /refused/, `[::1]:${port}`);
  });

  testWithNamespaces(
    "a black hole",
    () =>
      withNamespaces(async ({ left, right }) => {
        right.loadRules("table inet rperf { chain in { type filter hook input priority 0; tcp dport 5199 drop; }; }");
        const result = await left.run(client(mode, right.ipv4, 5199), { timeoutMs: 15_000 });
        expectComplaint(result, mode, /no answer|time/, `${right.ipv4}:5199`);
      }),
    30_000,
  );

  test("a name that does not resolve", async () => {
    expectComplaint(await run(client(mode, "name.invalid", 5199)), mode, /resolve/, "name.invalid");
  });

  test("a listener that never speaks", async () => {
    const port = await serve(() => {});
    const runs = [[], ["-R"]].map((flags) => run(client(mode, "127.0.0.1", port, ...flags)));
    for (const result of await Promise.all(runs)) expectComplaint(result, mode, /answer/, `127.0.0.1:${port}`);
  });

  test("a listener that hangs up at once", async () => {
    const port = await serve(
      () => {},
      ({ socket }) => socket.end(),
    );
    for (const flags of [[], ["-R"], ["-R", "-u"]]) {
      expectComplaint(await run(client(mode, "127.0.0.1", port, ...flags)), mode, /closed/, `127.0.0.1:${port}`);
    }
  });

  // Before the client has looked at the connection, or behind its configuration: where it notices is a matter of luck.
  test.each([
    ["at once", 0],
    ["a moment later", 5],
    ["behind the configuration", null],
  ])("a listener that resets %s", async (_name, delayMs) => {
    const reset = ({ socket }: FakeSession) => void socket.resetAndDestroy();
    const port = await serve(
      (_message, session) => reset(session),
      (session) => {
        if (delayMs === 0) reset(session);
        else if (delayMs !== null) setTimeout(reset, delayMs, session);
      },
    );
    for (const flags of [[], ["-R"], ["-R", "-u"]]) {
      for (let count = 0; count < 4; count += 1) {
        const result = await run(client(mode, "127.0.0.1", port, ...flags));
        expectComplaint(result, mode, /closed|broke|reset/i, `127.0.0.1:${port}`);
      }
    }
  });

  test("a server that speaks something else", async () => {
    const greeting = "SSH-2.0-OpenSSH_9.6\r\n".padEnd(40_000, "x");
    const port = await serve(
      () => {},
      ({ socket }) => void socket.write(greeting),
    );
    expectComplaint(await run(client(mode, "127.0.0.1", port)), mode, /rperf/, `127.0.0.1:${port}`);
  });

  test("a server that answers an error", async () => {
    const port = await serve((_message, { send }) => send({ kind: "error", message: "no room\nfor \u001b[31mmore" }));
    const result = await run(client(mode, "127.0.0.1", port));
    expectComplaint(result, mode, /no room/, `127.0.0.1:${port}`);
    // A peer's words are no commands to a terminal.
    expect(result.stderr).not.toContain("\u001b");
  });

  const WRONG_ANSWERS: readonly (readonly [string, unknown])[] = [
    ["of the other direction", { kind: "connect-ready" }],
    ["without ports", { kind: "connect" }],
    ["with too many ports", { kind: "connect", stream_ports: [5000, 5001] }],
    ["with port 0", { kind: "connect", stream_ports: [0] }],
    ["with a port that is a string", { kind: "connect", stream_ports: ["5000"] }],
    ["of an unknown kind", { kind: "welcome" }],
    ["of no kind", {}],
    ["that is a list", []],
    ["of results", { kind: "done", origin: "server", stream_idx: 0 }],
  ];
  test.each(WRONG_ANSWERS)("an answer %s", async (_name, answer) => {
    const port = await serve((_message, { socket }) => void socket.write(frameOf(JSON.stringify(answer))));
    expectComplaint(await run(client(mode, "127.0.0.1", port)), mode, /./, `127.0.0.1:${port}`);
  });

  testsUnless(Bun.which("iperf3") === null ? "iperf3 is not installed" : null).test("a server of iperf3", async () => {
    const port = await freePort();
    const iperf = startProcess(["iperf3", "-s", "-p", `${port}`, "--forceflush"]);
    try {
      await iperf.waitForOutput(/listening/i);
      expectComplaint(await run(client(mode, "127.0.0.1", port)), mode, /rperf/, `127.0.0.1:${port}`);
    } finally {
      iperf.kill();
      await iperf.exited;
    }
  });
});

describe.each(MODES)("in mid-test, %s", (mode) => {
  /** A server that plays its part until the test has run for a moment, then does `trouble`. */
  async function serveUntil(trouble: (session: FakeSession) => void): Promise<number> {
    return serve((message: RawMessage, session) => {
      if (message["kind"] === "configuration") answerConfiguration(message, session);
      if (message["kind"] !== "begin") return;
      setTimeout(() => trouble(session), 1_300);
    });
  }

  const TROUBLES: readonly (readonly [string, (session: FakeSession) => void, RegExp])[] = [
    ["hangs up", ({ socket }) => socket.end(), /closed/],
    ["resets the connection", ({ socket }) => void socket.resetAndDestroy(), /closed|broke|reset/i],
    ["sends garbage", ({ socket }) => void socket.write(Buffer.alloc(20_000, 0x21)), /rperf|JSON/],
    [
      "sends a result of no stream",
      ({ send }) => send({ kind: "done", origin: "server", stream_idx: 7 }),
      /stream_idx/,
    ],
    [
      "sends figures below zero",
      ({ send }) =>
        send({ kind: "receive", family: "tcp", stream_idx: 0, timestamp: 1, duration: 1, bytes_received: -1 }),
      /bytes_received/,
    ],
    ["answers error", ({ send }) => send({ kind: "error", message: "that will do" }), /that will do/],
  ];
  for (const [name, trouble, what] of TROUBLES) {
    for (const flags of [[], ["-P", "3"]]) {
      test(`a server that ${name} ${flags.join(" ")}`, async () => {
        const port = await serveUntil(trouble);
        const result = await run(client(mode, "127.0.0.1", port, ...flags));
        expectIncomplete(result, mode, what, `127.0.0.1:${port}`);
      });
    }
  }

  test("a server whose words a terminal would act on", async () => {
    const port = await serveUntil(({ send }) =>
      send({ kind: "error", message: "a\u001b[2J\u009b2J\nlost 0 of 9 packets" }),
    );
    const result = await run(client(mode, "127.0.0.1", port));
    const escaped = mode === "json" ? /^127/ : /a\\x1b\[2J\\x9b2J\\x0alost 0 of 9 packets/;
    expect(mode === "json" ? ourDocumentOf(result).reason?.message : incompleteLineOf(result)).toMatch(escaped);
    for (const text of [result.stdout, result.stderr]) expect(text).not.toMatch(/[^\n\P{Cc}]/u);
  });

  test("a server that falls silent", async () => {
    const port = await serveUntil(() => {});
    const result = await run(client(mode, "127.0.0.1", port, "-t", "12"));
    expectIncomplete(result, mode, /not been heard/, `127.0.0.1:${port}`);
  });

  test("a server whose data ports nobody listens on", async () => {
    const closed = await freePort();
    const port = await serve((message, { send }) => {
      if (message["kind"] === "configuration") send({ kind: "connect", stream_ports: [closed] });
    });
    const result = await run(client(mode, "127.0.0.1", port), { timeoutMs: 20_000 });
    expect(result.code).toBe(EXIT_FAILED);
    if (mode === "json") expect(ourDocumentOf(result).success).toBe(false);
    else expect(incompleteLineOf(result)).not.toBe("");
    expect(result.stdout).toContain(`${closed}`);
  });
});

test("a client that gives up says goodbye: the server sees its connection closed", async () => {
  let isClosed = false;
  const port = await serve(
    (_message, { send }) => send({ kind: "error", message: "no" }),
    ({ socket }) => void socket.on("close", () => (isClosed = true)),
  );
  await run(client("text", "127.0.0.1", port));
  await eventually(
    "the close",
    () => isClosed,
    (closed) => closed,
  );
});
