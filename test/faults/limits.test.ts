// Limits by class, end to end: who is over one is refused before anything opens, or ended; all others are not disturbed.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { makePolicy, RperfError, runClient, startServer, type TestOptions, type TestResult } from "../../src/index.ts";
import { eventually } from "../support/eventually.ts";
import { expectMatched } from "../support/good-test.ts";
import { freePort } from "../support/ports.ts";
import { rperf, run, type RunningProcess, startProcess } from "../support/process.ts";
import { downloadConfiguration, connectTcp, RawClient, tcpBuffer } from "../support/raw-client.ts";
import { describeWithReference, reference } from "../support/reference.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(40_000);

const RATE = 1_000_000;

/** Each class has an address of its own; 127.0.0.1 is whatever is left. */
const POLICY = `
classes:
  brief: {duration: 1, bandwidth: 8m, streams: 4}
  steady: {duration: 6, bandwidth: 8m}
  fast: {bandwidth: 8m}
  tcp-in: {directions: [forward], families: [tcp]}
  few: {clients: 2, clients_per_address: 1}
  daily: {bytes_per_day: 30M}
identities:
  - {address: 127.0.1.0/24, class: steady}
  - {address: 127.0.2.1, class: brief}
  - {address: 127.0.3.1, class: tcp-in}
  - {address: 127.0.4.0/24, class: few}
  - {address: 127.0.5.0/24, class: daily}
  - {address: 127.0.6.1, class: fast}
`;

const folder = mkdtempSync(join(tmpdir(), "rperf-limits-"));
let servers: RunningProcess[] = [];
let briefPort: number;
let fastPort: number;

async function serve(defaultClass: string): Promise<number> {
  const path = join(folder, `${defaultClass}.yaml`);
  writeFileSync(path, `${POLICY}default: ${defaultClass}\n`);
  const port = await freePort();
  const server = startProcess(rperf("-s", "-p", `${port}`, "--config", path));
  servers = [...servers, server];
  await server.waitForOutput(/listening/);
  return port;
}

beforeAll(async () => {
  [briefPort, fastPort] = await Promise.all([serve("brief"), serve("fast")]);
});

afterAll(async () => {
  for (const server of servers) server.kill("SIGTERM");
  await Promise.all(servers.map((server) => server.exited));
  rmSync(folder, { recursive: true });
});

function client(localAddress: string, options: Partial<TestOptions> = {}) {
  return runClient({ host: "127.0.0.1", port: briefPort, localAddress, durationSeconds: 0.3, ...options });
}

/** A test whose data flow by the time it is given; `result` comes at its end. */
async function begun(options: TestOptions): Promise<{ readonly result: Promise<TestResult> }> {
  const flows = Promise.withResolvers<void>();
  const result = runClient(
    { intervalSeconds: 0.1, ...options },
    { onEvent: (event) => event.type === "interval" && flows.resolve() },
  );
  await Promise.race([flows.promise, result]);
  return { result };
}

/** What the server says to a test that it does not let in. */
async function refusalOf(localAddress: string, options: Partial<TestOptions>): Promise<string> {
  try {
    await client(localAddress, options);
  } catch (error) {
    if (error instanceof RperfError && error.code === "peer-refused") return error.message.replace(/^.* says: /, "");
    throw error;
  }
  return "";
}

describe("over a limit a test is refused, with the limit named", () => {
  test.each<[localAddress: string, options: Partial<TestOptions>, answer: string]>([
    ["127.0.2.1", { durationSeconds: 2 }, "this server allows class brief at most 1 s, not 2 s"],
    ["127.0.2.1", { durationSeconds: 2, reverse: true }, "this server allows class brief at most 1 s, not 2 s"],
    ["127.0.2.1", { parallel: 5 }, "this server allows class brief at most 4 streams, not 5"],
    [
      "127.0.2.1",
      { parallel: 3, bidir: true },
      "this server allows class brief at most 4 streams in both directions together, not 6",
    ],
    [
      "127.0.2.1",
      { parallel: 2, bandwidthBytesPerSecond: RATE, family: "udp" },
      "this server allows class brief at most 8.000 Mb/s in one direction, not 16.00 Mb/s: " +
        "ask for --bandwidth 4m a stream",
    ],
    [
      "127.0.2.1",
      { bandwidthBytesPerSecond: 0, reverse: true },
      "this server allows class brief at most 8.000 Mb/s in one direction, not unlimited: ask for --bandwidth 8m",
    ],
    [
      "127.0.2.1",
      { intervalSeconds: 10 },
      "this server allows class brief an interval of at most 1 s, by which it is watched, not 10 s",
    ],
    ["127.0.3.1", { family: "udp" }, "this server allows class tcp-in no UDP tests"],
    ["127.0.3.1", { reverse: true }, "this server allows class tcp-in no reverse tests"],
    ["127.0.3.1", { bidir: true }, "this server allows class tcp-in no reverse tests"],
    [
      "127.0.5.1",
      { durationSeconds: 10, bandwidthBytesPerSecond: 4 * RATE },
      "this server allows class daily 30.00 MB in 24 hours, of which 30.00 MB are left, not 40.00 MB",
    ],
  ])("%s %j", async (localAddress, options, answer) => {
    expect(await refusalOf(localAddress, options)).toBe(answer);
  });

  test("and one within them is not", async () => {
    expectMatched(await client("127.0.2.1", { parallel: 2, bidir: true, bandwidthBytesPerSecond: RATE / 2 }));
    expectMatched(await client("127.0.3.1"));
  });

  test("tests at a time, of a class and of an address", async () => {
    const options = { host: "127.0.0.1", port: briefPort, durationSeconds: 3 };
    const one = await begun({ ...options, localAddress: "127.0.4.1" });
    const ofAddress = "this server allows class few at most 1 test at a time from one address; try again later";
    expect(await refusalOf("127.0.4.1", {})).toBe(ofAddress);
    const other = await begun({ ...options, localAddress: "127.0.4.2" });
    const ofClass = "this server allows class few at most 2 tests at a time; try again later";
    expect(await refusalOf("127.0.4.3", {})).toBe(ofClass);
    for (const { result } of [one, other]) expectMatched(await result);
    expectMatched(await client("127.0.4.1"));
  });
});

describe("bytes of a day", () => {
  test("end a test of which nobody could know, and refuse the next", async () => {
    expectMatched(await client("127.0.5.2", { durationSeconds: 0.5, bandwidthBytesPerSecond: 4 * RATE }));
    const result = await client("127.0.5.2", { durationSeconds: 30, bandwidthBytesPerSecond: 0, reverse: true });
    expect(result.outcome).toBe("failed");
    const { reason } = result.streams[0]?.sender ?? {};
    expect(reason?.message).toBe("the server stopped it: the limit of class daily is 30.00 MB in 24 hours");
    expect(await refusalOf("127.0.5.2", {})).toMatch(/^this server allows class daily .* of which 0 B are left, not /);
  });
});

describe("bytes of a day are counted however a test ends", () => {
  /** Sends 4 MB at once, and leaves so soon that no interval is over. Whether it was let in. */
  async function hurried(localAddress: string, leave: (control: RawClient) => void, hasBegun: boolean) {
    const control = await RawClient.connect(briefPort, "127.0.0.1", localAddress);
    const configuration = downloadConfiguration({ length: 65_536 });
    control.send(configuration);
    const answer = await control.next();
    if (answer["kind"] === "error") return false;
    const data = await connectTcp(Number([answer["stream_ports"]].flat()[0]));
    if (hasBegun) control.send({ kind: "begin" });
    const buffer = tcpBuffer(configuration.test_id, 65_536);
    for (let count = 0; count < 64; count++) data.write(buffer);
    await eventually(
      "all sent",
      () => data.writableLength,
      (waiting) => waiting === 0,
    );
    await Bun.sleep(100);
    leave(control);
    await control.closed();
    data.destroy();
    return true;
  }

  // One after the other, and not beside those that are to keep their rate.
  test.each<[string, (control: RawClient) => void, boolean]>([
    ["127.0.5.10", (control) => control.reset(), true],
    ["127.0.5.11", (control) => control.end(), true],
    ["127.0.5.12", (control) => control.send({ kind: "end" }), true],
    ["127.0.5.13", (control) => control.end(), false],
  ])("%s", async (localAddress, leave, hasBegun) => {
    let count = 0;
    while (count < 20 && (await hurried(localAddress, leave, hasBegun))) count++;
    // 30 MB of the day, 4.2 MB each; the last may take more than is left, and the next may come before that is known.
    expect(count).toBeGreaterThan(6);
    expect(count).toBeLessThan(11);
  });
});

describe("a sender exactly at the limit of its class completes", () => {
  test.concurrent.each<[string, Partial<TestOptions>]>([
    ["TCP forward", {}],
    ["TCP reverse", { reverse: true }],
    ["UDP forward", { family: "udp" }],
    ["UDP reverse", { family: "udp", reverse: true }],
    ["TCP, slices of a second", { sendIntervalSeconds: 1 }],
    ["small UDP packets, many streams, both ways", { family: "udp", bidir: true, parallel: 4, lengthBytes: 200 }],
  ])("%s", async (name, options) => {
    const localAddress = `127.0.1.${name.length}`;
    const bandwidthBytesPerSecond = RATE / (options.parallel ?? 1);
    const result = await client(localAddress, { durationSeconds: 6, bandwidthBytesPerSecond, ...options });
    expect({ outcome: result.outcome, reason: result.reason }).toEqual({ outcome: "completed", reason: null });
    const directions = options.bidir === true ? 2 : 1;
    // What a stall at the end leaves out is not made up for.
    expect(result.summary.bytesSent).toBeGreaterThan(0.75 * 6 * RATE * directions);
  });
});

describe("a client that does not do what it said", () => {
  test.concurrent("is ended for its rate as soon as it has had more than 5 s may have", async () => {
    const lied = await flood({ bandwidth: 1000, duration: 60 });
    expect(lied.message).toMatch(
      /^the server stopped it: the limit of class fast is 8\.000 Mb\/s in one direction, and 5 s had \d/,
    );
    expect(lied.seconds).toBeGreaterThan(0.5);
  });

  /** Sends ten times what the class may, whatever it told. */
  async function flood(told: object): Promise<{ readonly message: unknown; readonly seconds: number }> {
    const control = await RawClient.connect(fastPort, "127.0.0.1", "127.0.6.1");
    const configuration = downloadConfiguration({ length: 16_384, extensions: { version: 2, ...told } });
    const [port = 0] = await control.configure(configuration);
    const data = await connectTcp(port);
    control.send({ kind: "begin" });
    const begunMs = performance.now();
    const buffer = tcpBuffer(configuration.test_id, 16_384);
    const pump = setInterval(() => {
      for (let count = 0; count < 12; count++) data.write(buffer);
    }, 20);
    const { message } = await control.nextOf("failed", 15_000);
    clearInterval(pump);
    data.destroy();
    control.send({ kind: "end" });
    await control.closed();
    return { message, seconds: (performance.now() - begunMs) / 1000 };
  }
});

describeWithReference("a client of the original, which tells neither how long nor how fast it sends", () => {
  /** Its document, and how long it took. */
  async function original(port: number, ...flags: string[]) {
    const begunMs = performance.now();
    const { stdout } = await run(reference("-c", "127.0.0.1", "-p", `${port}`, "-f", "json", ...flags));
    const document = JSON.parse(stdout) as { success: boolean; summary: { bytes_received: number } };
    return { ...document, seconds: (performance.now() - begunMs) / 1000 };
  }

  for (const [family, flags] of [
    ["TCP", []],
    ["UDP", ["-u"]],
  ] as const) {
    test.concurrent(`too long, ${family}: ended by wall time, and a good client beside it is undisturbed`, async () => {
      const good = client(`127.0.1.${100 + family.length}`, { durationSeconds: 3, bandwidthBytesPerSecond: RATE });
      const { success, seconds, summary } = await original(briefPort, ...flags, "-t", "20", "-b", "100K");
      expect(success).toBe(false);
      expect(seconds).toBeGreaterThan(3);
      expect(seconds).toBeLessThan(15);
      expect(summary.bytes_received).toBeGreaterThan(0);
      expectMatched(await good);
    });
  }

  test.concurrent("too fast: ended by what 5 s may have, and a good client beside it is undisturbed", async () => {
    const good = client("127.0.1.200", { port: fastPort, durationSeconds: 6, bandwidthBytesPerSecond: RATE });
    const { success, seconds } = await original(fastPort, "-t", "20", "-b", "3M");
    expect(success).toBe(false);
    expect(seconds).toBeGreaterThan(2);
    expect(seconds).toBeLessThan(15);
    expectMatched(await good);
  });

  test.concurrent("exactly at the limit: it completes", async () => {
    const { success } = await original(fastPort, "-t", "6", "-b", "1M", "-l", "131072");
    expect(success).toBe(true);
  });
});

test("who waits while the policy becomes another is let in or refused by that one", async () => {
  const places = { clientLimit: 1, queueLimit: 4 };
  const server = await startServer({ bindAddress: "127.0.0.1", port: 0, ...places });
  const holder = await RawClient.connect(server.port);
  await holder.configure(downloadConfiguration());
  const waiters = [];
  for (const duration of [60, 61]) {
    const waiter = await RawClient.connect(server.port);
    waiter.send(downloadConfiguration({ extensions: { version: 3, duration, bandwidth: 1000, wait: 60 } }));
    expect((await waiter.next())["kind"]).toBe("queued");
    waiters.push(waiter);
  }
  const [fits, doesNot] = waiters;
  server.reload(makePolicy({ isPublic: true, ...places }));
  expect(await doesNot?.nextOf("error")).toEqual({
    kind: "error",
    message: "this server allows class public at most 60 s, not 61 s",
  });
  holder.end();
  await fits?.nextOf("connect");
  fits?.end();
  await server.stop("the end of the test");
});

test("another policy is for those that come: running tests keep what they came with", async () => {
  const server = await startServer({ bindAddress: "127.0.0.1", port: 0 });
  const options: TestOptions = { host: "127.0.0.1", port: server.port, durationSeconds: 1.5 };
  const running = await begun(options);
  server.reload(makePolicy({ maxTimeSeconds: 1 }));
  const refused = await runClient(options).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    message: expect.stringMatching(/allows class default at most 1 s, not 1\.5 s$/),
  });
  expectMatched(await running.result);
  await server.stop("the end of the test");
});

describe("--check-config", () => {
  test("prints the limits that would hold, and listens on nothing", async () => {
    const path = join(folder, "brief.yaml");
    const { code, stdout, stderr } = await run(
      rperf("-s", "-p", `${briefPort}`, "--config", path, "--max-per-address", "3", "--check-config"),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^brief +- +3 +4 +1 +8\.000 Mb\/s +- +forward reverse +tcp udp$/m);
    expect(stdout).toMatch(/^127\.0\.4\.0\/24 +few$/m);
    expect(stdout).toMatch(/^all others +brief$/m);
  });

  test.each([
    ["classes: {a: {bandwith: 1}}", [], /^rperf: \S+\.yaml: classes\.a has no field "bandwith"; its fields are /],
    [
      "client_limit: 3",
      ["--client-limit", "3"],
      /^rperf: --client-limit and client_limit of \S+ exclude each other\n$/,
    ],
    ["default: public", ["-p", "0"], /^rperf: --port must be /],
  ])("%s %j is refused in one line", async (text, flags, line) => {
    const path = join(folder, "bad.yaml");
    writeFileSync(path, text);
    const { code, stdout, stderr } = await run(rperf("-s", "--config", path, "--check-config", ...flags));
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^[^\n]+\n$/);
    expect(stderr).toMatch(line);
  });
});
