// Signals to both programs: an end in good order at the first, at once at the second.
import { describe, expect, setDefaultTimeout, test } from "bun:test";

import { EXIT_FAILED, EXIT_FORCED, expectTotalsOf, incompleteLineOf, linesOf, ourDocumentOf } from "../support/cli.ts";
import { within } from "../support/eventually.ts";
import { expectServes } from "../support/good-test.ts";
import { freePort } from "../support/ports.ts";
import { rperf, type RunResult, type RunningProcess, startProcess } from "../support/process.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

const MODES = (["tcp", "udp"] as const).flatMap((family) =>
  (["forward", "reverse"] as const).map((direction) => ({ family, direction, name: `${family} ${direction}` })),
);
type Mode = (typeof MODES)[number];

const END_MS = 8_000;

function client({ family, direction }: Mode, port: number, ...flags: readonly string[]): RunningProcess {
  const udp = family === "udp" ? ["-u"] : [];
  const reverse = direction === "reverse" ? ["-R"] : [];
  return startProcess(rperf("-c", "127.0.0.1", "-p", `${port}`, "-t", "60", ...udp, ...reverse, ...flags));
}

async function startServer(
  ...flags: readonly string[]
): Promise<{ readonly server: RunningProcess; readonly port: number }> {
  const port = await freePort();
  const server = startProcess(rperf("-s", "-p", `${port}`, ...flags));
  await server.waitForOutput(/listening/);
  return { server, port };
}

async function endOf(child: RunningProcess): Promise<RunResult> {
  const code = await within("the end of the process", child.exited, END_MS);
  return { code, stdout: child.stdout, stderr: child.stderr };
}

/** The server is none the worse for it, and ends when told. */
async function expectWell(server: RunningProcess, port: number): Promise<void> {
  await expectServes(port);
  server.kill("SIGINT");
  expect((await endOf(server)).code).toBe(0);
}

describe("SIGINT to a client in mid-test", () => {
  for (const mode of MODES) {
    for (const flags of [[], ["-P", "3", "-b", "20m"], ["-O", "1"]]) {
      test.concurrent(
        `${mode.name} ${flags.join(" ")}: the summary, whole and marked as interrupted`,
        async () => {
          const { server, port } = await startServer();
          const child = client(mode, port, ...flags, "-f", "json");
          await server.waitForOutput(/test started/);
          await Bun.sleep(2_300);
          child.kill("SIGINT");
          const result = await endOf(child);
          expect(result.code).toBe(EXIT_FAILED);
          const document = ourDocumentOf(result);
          expect(document.success).toBe(false);
          expect(document.outcome).toBe("interrupted");
          expect(document.summary.bytes_sent).toBeGreaterThan(0);
          expectTotalsOf(document);
          await expectWell(server, port);
        },
        40_000,
      );
    }

    test.concurrent(
      `${mode.name}: as text`,
      async () => {
        const { server, port } = await startServer();
        const child = client(mode, port);
        await child.waitForOutput(/^ +0 +0\.00-1\.00 /m);
        child.kill("SIGINT");
        const result = await endOf(child);
        expect(result.code).toBe(EXIT_FAILED);
        expect(result.stdout).toMatch(/^total of 1 stream/m);
        expect(incompleteLineOf(result)).toMatch(/interrupted/);
        expect(result.stderr).toBe("");
        await expectWell(server, port);
      },
      40_000,
    );

    test.concurrent(
      `${mode.name}: the second ends the program at once`,
      async () => {
        const { server, port } = await startServer();
        const child = client(mode, port);
        await child.waitForOutput(/^ +0 +0\.00-1\.00 /m);
        // A stopped server does not answer: the first SIGINT alone would take a moment.
        server.kill("SIGSTOP");
        // Two that come while the client has no time for them are one to it.
        const signalling = setInterval(() => child.kill("SIGINT"), 100);
        const result = await endOf(child).finally(() => clearInterval(signalling));
        server.kill("SIGCONT");
        expect(result.code).toBe(EXIT_FORCED);
        await expectWell(server, port);
      },
      40_000,
    );
  }

  test("SIGINT before the test begins", async () => {
    // Takes the connection and says nothing.
    const asked = Promise.withResolvers<void>();
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => asked.resolve() } });
    const child = startProcess(rperf("-c", "127.0.0.1", "-p", `${listener.port}`, "-f", "json"));
    await within("the client's configuration", asked.promise);
    child.kill("SIGINT");
    const result = await endOf(child);
    listener.stop(true);
    expect(result.code).toBe(EXIT_FAILED);
    expect(result.stdout).toBe("");
    // At once, and not when the wait for an answer is over.
    expect(linesOf(result.stderr)).toEqual(["rperf: interrupted before the test began"]);
  });

  test("SIGTERM is as the first SIGINT", async () => {
    const { server, port } = await startServer();
    const child = client({ family: "tcp", direction: "forward", name: "" }, port, "-f", "json");
    await server.waitForOutput(/test started/);
    await Bun.sleep(1_200);
    child.kill("SIGTERM");
    const result = await endOf(child);
    expect({ code: result.code, outcome: ourDocumentOf(result).outcome }).toEqual({
      code: EXIT_FAILED,
      outcome: "interrupted",
    });
    expectTotalsOf(ourDocumentOf(result));
    await expectWell(server, port);
  });
});

describe("the server", () => {
  // One SIGTERM lets them come to their end: server-operation.test.ts.
  test.each([
    { signals: ["SIGINT"] },
    { signals: ["SIGTERM", "SIGTERM"] },
    { signals: ["SIGTERM", "SIGINT"] },
  ] as const)("$signals with running clients: each is told why, and it exits 0", async ({ signals }) => {
    const { server, port } = await startServer();
    const children = [
      client({ family: "tcp", direction: "forward", name: "" }, port),
      client({ family: "udp", direction: "reverse", name: "" }, port, "-P2"),
      client({ family: "udp", direction: "forward", name: "" }, port, "-f", "json"),
      client({ family: "tcp", direction: "reverse", name: "" }, port, "-f", "json"),
    ];
    await Promise.all(children.slice(0, 2).map((child) => child.waitForOutput(/^ +0 +1\.00-2\.00 /m)));
    for (const signal of signals) {
      server.kill(signal);
      await server.waitForOutput(/shutting down/);
    }
    const [first, second, third, fourth] = await Promise.all(children.map(endOf));
    expect((await endOf(server)).code).toBe(0);
    for (const result of [first, second]) {
      if (result === undefined) throw new Error("a client without a result");
      expect(result.code).toBe(EXIT_FAILED);
      expect(incompleteLineOf(result)).toMatch(/server is shutting down/);
      const told = linesOf(result.stdout + result.stderr).filter((line) => line.includes("server is shutting down"));
      expect(told).toHaveLength(1);
    }
    for (const result of [third, fourth]) {
      if (result === undefined) throw new Error("a client without a result");
      expect(result.code).toBe(EXIT_FAILED);
      expect(ourDocumentOf(result)).toMatchObject({ success: false, outcome: "failed" });
      // A UDP sender may still find the port closed before it hears why.
      const told = linesOf(result.stderr).filter((line) => !line.includes("the system refuses packets"));
      expect(told).toEqual([expect.stringContaining("server is shutting down")]);
    }
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s while idle: it exits 0, and its port is free", async (signal) => {
    const { server, port } = await startServer();
    server.kill(signal);
    expect((await endOf(server)).code).toBe(0);
    const next = startProcess(rperf("-s", "-p", `${port}`));
    await next.waitForOutput(/listening/);
    next.kill("SIGTERM");
    expect((await endOf(next)).code).toBe(0);
  });

  test("SIGTERM with connections that asked for nothing: it exits 0", async () => {
    const { server, port } = await startServer();
    const sockets = await Promise.all(
      [1, 2, 3].map(() => Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })),
    );
    await Bun.sleep(100);
    server.kill("SIGTERM");
    expect((await endOf(server)).code).toBe(0);
    for (const socket of sockets) socket.terminate();
  });

  test("a second SIGINT ends it at once, though a client does not let go", async () => {
    const { server, port } = await startServer();
    const child = client({ family: "tcp", direction: "reverse", name: "" }, port);
    await server.waitForOutput(/test started/);
    child.kill("SIGSTOP");
    server.kill("SIGINT");
    await server.waitForOutput(/shutting down/);
    server.kill("SIGINT");
    const { code } = await endOf(server);
    child.kill("SIGKILL");
    await child.exited;
    expect(code).toBe(EXIT_FORCED);
  });
});
