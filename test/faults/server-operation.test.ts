// How a server is begun, watched and ended: signals, one-off, idle timeout, pid file, and the log that tells of it.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";

import { runClient, type TestOptions } from "../../src/index.ts";
import { EXIT_FAILED, linesOf } from "../support/cli.ts";
import { eventually, within } from "../support/eventually.ts";
import { expectMatched, expectServes } from "../support/good-test.ts";
import { freePort } from "../support/ports.ts";
import { ROOT, rperf, run, type RunningProcess, startProcess } from "../support/process.ts";
import { downloadConfiguration, frameOf, RawClient } from "../support/raw-client.ts";
import { refusalOf } from "../support/refusal-of.ts";
import { openReceiver } from "../support/unix-receiver.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

interface Served {
  readonly server: RunningProcess;
  readonly port: number;
}

async function serve(flags: readonly string[] = [], env: Record<string, string> = {}): Promise<Served> {
  const port = await freePort();
  const server = startProcess(rperf("-s", "--bind", "127.0.0.1", "-p", `${port}`, ...flags), { env });
  await server.waitForOutput(/listening on 127/);
  return { server, port };
}

/** Of a test that must not be over before all is done that belongs into it, however long the machine takes. */
const IN_MIDST_SECONDS = 6;

function testAt(port: number, options: Partial<TestOptions> = {}) {
  return runClient({ host: "127.0.0.1", port, durationSeconds: 2, ...options });
}

async function exitOf(server: RunningProcess): Promise<number> {
  return within("the end of the server", server.exited, 8_000);
}

interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly message: string;
  readonly event?: string;
  readonly client?: string | null;
  readonly more?: number;
}

function logOf(server: RunningProcess): LogLine[] {
  return linesOf(server.stderr).map((line) => JSON.parse(line) as LogLine);
}

describe("SIGTERM drains", () => {
  test.concurrent("a running test comes to its end, nobody else is let in, and it exits 0", async () => {
    const { server, port } = await serve();
    const lasting = { durationSeconds: IN_MIDST_SECONDS };
    const tests = [testAt(port, lasting), testAt(port, { ...lasting, family: "udp", reverse: true })];
    await server.waitForOutput(/test started[\s\S]*test started/);
    // Not before: who says nothing is there for 10 s.
    const idle = await RawClient.connect(port);
    server.kill("SIGTERM");
    await server.waitForOutput(/shutting down: tests that run have 60 s/);
    expect(await refusalOf(testAt(port))).toMatch(/the server is shutting down/);
    idle.send(downloadConfiguration());
    expect(await idle.next()).toMatchObject({ kind: "error", message: "the server is shutting down" });
    for (const result of await Promise.all(tests)) expectMatched(result);
    expect(await exitOf(server)).toBe(0);
  });

  test.concurrent("a test whose data come to the control port too", async () => {
    const { server, port } = await serve();
    const running = testAt(port, { durationSeconds: IN_MIDST_SECONDS, singlePort: true, bidir: true });
    await server.waitForOutput(/test started/);
    server.kill("SIGTERM");
    expectMatched(await running);
    expect(await exitOf(server)).toBe(0);
  });

  test.concurrent("for no longer than it may: then all are told why", async () => {
    const { server, port } = await serve(["--drain", "0.5"]);
    const running = testAt(port, { durationSeconds: 60 });
    await server.waitForOutput(/test started/);
    server.kill("SIGTERM");
    const { outcome, reason } = await running;
    expect(outcome).toBe("failed");
    expect(reason?.message).toMatch(/the server is shutting down/);
    expect(await exitOf(server)).toBe(0);
  });
});

test.concurrent(
  "SIGHUP: the policy file is read again, tests run on; a wrong one changes nothing, and is said",
  async () => {
    const folder = mkdtempSync(`${tmpdir()}/rperf-reload-`);
    const policy = `${folder}/policy.yaml`;
    writeFileSync(policy, "client_limit: 5\n");
    const { server, port } = await serve(["--config", policy]);
    const running = testAt(port, { durationSeconds: IN_MIDST_SECONDS });
    await server.waitForOutput(/test started/);
    writeFileSync(policy, "client_limit: 1\n");
    server.kill("SIGHUP");
    await server.waitForOutput(/info reloaded/);
    expect(await refusalOf(testAt(port))).toMatch(/as many clients as it may have/);
    writeFileSync(policy, "client_limit: many\n");
    server.kill("SIGHUP");
    await server.waitForOutput(/error not reloaded, all stays as it was: [^\n]*client_limit/);
    expect(await refusalOf(testAt(port))).toMatch(/as many clients as it may have/);
    expectMatched(await running);
    server.kill("SIGTERM");
    expect(await exitOf(server)).toBe(0);
    rmSync(folder, { recursive: true });
  },
);

describe("--one-off", () => {
  test.concurrent("it exits when nobody begins a test within --idle-timeout", async () => {
    const { server } = await serve(["--one-off", "--idle-timeout", "1"]);
    expect(await exitOf(server)).toBe(0);
    expect(server.stderr).toContain("no test ran for the idle timeout");
  });

  test.concurrent("it exits 0 behind the first test, of which others hear; who began none does not count", async () => {
    const { server, port } = await serve(["--one-off"]);
    const nobody = await RawClient.connect(port);
    nobody.end();
    await nobody.closed();
    const refused = await RawClient.connect(port);
    refused.send(downloadConfiguration({ streams: 0 }));
    await refused.closed();
    const only = testAt(port, { durationSeconds: IN_MIDST_SECONDS });
    await server.waitForOutput(/test started/);
    expect(await refusalOf(testAt(port))).toMatch(/the server serves one client alone/);
    expectMatched(await only);
    expect(await exitOf(server)).toBe(0);
  });
});

test.concurrent("--idle-timeout: it exits 0 when no test ran for so long, and not before", async () => {
  const { server, port } = await serve(["--idle-timeout", "3"]);
  const begunMs = performance.now();
  expectMatched(await testAt(port));
  expect(await exitOf(server)).toBe(0);
  // The two seconds of the test, and three, but that it looks every quarter of one. By the test's beginning: when this
  // process hears of its end, the machine decides.
  expect(performance.now() - begunMs).toBeGreaterThan(2_000 + 2_500);
  expect(server.stderr).toMatch(/no test ran for the idle timeout/);
});

test.concurrent("--idle-timeout: is put off by no client that does not begin, whatever it configures", async () => {
  const { server, port } = await serve(["--idle-timeout", "3", "--drain", "0.5"]);
  let configured = 0;
  const configure = async (): Promise<void> => {
    const client = await RawClient.connect(port);
    await client.configure(downloadConfiguration());
    configured += 1;
    client.end();
    await client.closed();
    return configure();
  };
  const refused = configure().catch((error: unknown) => error);
  expect(await exitOf(server)).toBe(0);
  expect(await refused).toBeInstanceOf(Error);
  expect(configured).toBeGreaterThan(0);
});

test.concurrent("--idle-timeout: a test that was about to begin has the time of a drain", async () => {
  const { server, port } = await serve(["--idle-timeout", "3"]);
  const client = await RawClient.connect(port);
  await client.configure(downloadConfiguration());
  await server.waitForOutput(/no test ran for the idle timeout/);
  client.send({ kind: "begin" });
  await server.waitForOutput(/test started/);
  client.send({ kind: "end" });
  await client.nextOf("failed");
  expect(await exitOf(server)).toBe(0);
});

test.concurrent("--pid-file: of one server at a time, and gone with it", async () => {
  const folder = mkdtempSync(`${tmpdir()}/rperf-pid-file-`);
  const path = `${folder}/rperf.pid`;
  const { server } = await serve(["--pid-file", path]);
  await eventually("the pid file", () => existsSync(path), Boolean);
  expect(readFileSync(path, "utf8")).toBe(`${server.pid}\n`);
  const { code, stderr } = await run(rperf("-s", "-p", `${await freePort()}`, "--pid-file", path));
  expect({ code, stderr }).toEqual({
    code: EXIT_FAILED,
    stderr: `rperf: --pid-file ${path}: a server runs already, process ${server.pid}\n`,
  });
  // What a killed server leaves behind is in nobody's way.
  server.kill("SIGKILL");
  await server.exited;
  expect(existsSync(path)).toBe(true);
  const next = (await serve(["--pid-file", path])).server;
  await eventually(
    "the new pid file",
    () => readFileSync(path, "utf8"),
    (text) => text === `${next.pid}\n`,
  );
  next.kill("SIGTERM");
  expect(await exitOf(next)).toBe(0);
  expect(existsSync(path)).toBe(false);
  rmSync(folder, { recursive: true });
});

test.concurrent.each(["path", "abstract"] as const)(
  "a service manager hears of it all, by a socket with an %s address",
  async (kind) => {
    const receiver = openReceiver(kind);
    const env = { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: "400000" };
    const { server, port } = await serve([], env);
    const told = (state: string) => receiver.received.filter((text) => text.split("\n").includes(state));
    await eventually(
      "READY",
      () => told("READY=1").length,
      (count) => count === 1,
    );
    await eventually(
      "three WATCHDOGs",
      () => told("WATCHDOG=1").length,
      (count) => count >= 3,
    );
    const running = testAt(port, { durationSeconds: 1 });
    await server.waitForOutput(/test started/);
    server.kill("SIGHUP");
    await server.waitForOutput(/reloaded/);
    await eventually(
      "READY again",
      () => told("READY=1").length,
      (count) => count === 2,
    );
    expect(told("RELOADING=1")).toEqual([expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d{7,}$/)]);
    const [, microseconds] = /MONOTONIC_USEC=(\d+)/.exec(told("RELOADING=1").join("")) ?? [];
    // CLOCK_MONOTONIC stands still while the machine sleeps, unlike the uptime; it is never ahead of it.
    const uptimeSeconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
    expect(Number(microseconds) / 1e6).toBeLessThanOrEqual(uptimeSeconds + 0.02);
    expectMatched(await running);
    server.kill("SIGTERM");
    expect(await exitOf(server)).toBe(0);
    await eventually(
      "STOPPING",
      () => told("STOPPING=1").length,
      (count) => count === 1,
    );
    receiver.close();
  },
);

test.concurrent("a watchdog of another process is none of its business", async () => {
  const receiver = openReceiver("abstract");
  const env = { NOTIFY_SOCKET: receiver.address, WATCHDOG_USEC: "200000", WATCHDOG_PID: "1" };
  const { server } = await serve([], env);
  await eventually(
    "READY",
    () => receiver.received,
    (all) => all.includes("READY=1"),
  );
  await Bun.sleep(500);
  expect(receiver.received).toEqual(["READY=1"]);
  server.kill("SIGKILL");
  await server.exited;
  receiver.close();
});

describe("the log", () => {
  test.concurrent("a flood is summed up, and nothing of it is lost", async () => {
    const { server, port } = await serve(["--log-format", "json"]);
    // No more at a time than may be there without a test.
    for (let wave = 0; wave < 5; wave++) {
      const clients = await Promise.all(Array.from({ length: 30 }, () => RawClient.connect(port)));
      for (const [index, client] of clients.entries()) client.send(downloadConfiguration({ streams: 256 + index }));
      await Promise.all(clients.map((client) => client.closed()));
    }
    await expectServes(port);
    server.kill("SIGTERM");
    expect(await exitOf(server)).toBe(0);
    const refusals = logOf(server).filter(({ event }) => event === "client-refused");
    const told = refusals.filter(({ more }) => more === undefined);
    const summed = refusals.reduce((sum, { more = 0 }) => sum + more, 0);
    expect(told.length + summed).toBe(150);
    expect(told.length).toBeLessThan(75);
    expect(refusals.find(({ more }) => more !== undefined)?.message).toMatch(
      /^… and \d+ more like it within a second: refused: streams /,
    );
  });

  test.concurrent.each(["text", "json"])("as %s: no text of a peer gets out of its line", async (format) => {
    const { server, port } = await serve(["-d", "--log-format", format]);
    const hostile = "\u001b[2J\r\n[00:00:00] error forged\u009b\u202e\u2028\u0007";
    const bodies = [
      JSON.stringify({ kind: hostile }),
      JSON.stringify(downloadConfiguration({ family: hostile })),
      JSON.stringify(downloadConfiguration({ [hostile]: hostile, role: hostile })),
      `{"kind":"${hostile}"}`,
      hostile,
    ];
    for (const body of bodies) {
      const client = await RawClient.connect(port);
      client.sendBytes(frameOf(body));
      await client.closed();
    }
    server.kill("SIGTERM");
    expect(await exitOf(server)).toBe(0);
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(server.stderr.replaceAll("…", "")).toMatch(/^[\x20-\x7e\n]*$/);
    const lines = linesOf(server.stderr);
    expect(lines.filter((line) => /refused/.test(line)).length).toBeGreaterThanOrEqual(bodies.length);
    const form =
      format === "json" ? /^\{"time":"[\d-]{10}T[\d:]{8}\.\d{3}Z","level":"\w+",.*\}$/ : /^\[[\d:]{8}\] \w+ /;
    expect(lines.filter((line) => !form.test(line))).toEqual([]);
  });

  test.concurrent("--log-level error: a refusal is no error", async () => {
    const { server, port } = await serve(["--log-level", "info"]);
    server.kill("SIGKILL");
    await server.exited;
    const quiet = startProcess(rperf("-s", "--bind", "127.0.0.1", "-p", `${port}`, "--log-level", "error"));
    const refused = await eventually(
      "the server",
      () => RawClient.connect(port).catch(() => null),
      (client) => client !== null,
    );
    refused?.send(downloadConfiguration({ streams: 0 }));
    await refused?.closed();
    quiet.kill("SIGTERM");
    expect(await exitOf(quiet)).toBe(0);
    expect(quiet.stderr).toBe("");
  });

  test.concurrent("whose reader is gone: tests run on", async () => {
    const port = await freePort();
    const command = rperf("-s", "--bind", "127.0.0.1", "-p", `${port}`, "-d");
    const shell = startProcess(["bash", "-c", 'exec "$@" 2> >(head -n 1 >&2)', "bash", ...command]);
    await shell.waitForOutput(/listening/);
    for (let turn = 0; turn < 3; turn++) await expectServes(port);
    shell.kill("SIGTERM");
    expect(await exitOf(shell)).toBe(0);
  });

  test.concurrent("whose reader has stopped reading: tests run on, and it ends when told", async () => {
    const port = await freePort();
    const command = rperf("-s", "--bind", "127.0.0.1", "-p", `${port}`, "-d");
    // The pipe is full before the server starts.
    const fill = "head -c 1000000 /dev/zero | dd of=/dev/fd/3 oflag=nonblock bs=4096 3>&2 2>/dev/null || echo full";
    const shell = startProcess(["bash", "-c", `exec 2> >(sleep 30); ${fill}; exec "$@"`, "bash", ...command]);
    await shell.waitForOutput(/full/);
    await eventually(
      "the server",
      () => RawClient.connect(port).catch(() => null),
      (client) => client !== null,
    );
    for (let turn = 0; turn < 3; turn++) await expectServes(port);
    shell.kill("SIGTERM");
    expect(await exitOf(shell)).toBe(0);
  });
});

test.concurrent("what nobody caught is counted, and the server goes on", async () => {
  const port = await freePort();
  const preload = `${ROOT}/test/support/uncaught.ts`;
  const server = startProcess([
    process.execPath,
    "--preload",
    preload,
    ...rperf("-s", "--bind", "127.0.0.1", "-p", `${port}`).slice(1),
  ]);
  await server.waitForOutput(/listening on 127/);
  server.kill("SIGUSR2");
  await server.waitForOutput(/internal error: .*: 2 so far/);
  server.kill("SIGUSR2");
  await server.waitForOutput(/internal error: .*: 4 so far/);
  await expectServes(port);
  const lines = linesOf(server.stderr).filter((line) => line.includes("internal error"));
  expect(lines.map((line) => line.slice("[00:00:00] ".length))).toEqual([
    "error internal error: a rejection of nobody's: 1 so far",
    "error internal error: a defect in a timer: 2 so far",
    "error internal error: a rejection of nobody's: 3 so far",
    "error internal error: a defect in a timer: 4 so far",
  ]);
  server.kill("SIGTERM");
  expect(await exitOf(server)).toBe(0);
});
