import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { freePort } from "../../support/ports.ts";
import { rperf, run, type RunningProcess, startProcess } from "../../support/process.ts";
import { startOnTerminal } from "../../support/pty.ts";
import { documentFaults, streamLineFaults } from "../../support/schemas.ts";

const LINE = /^\[\d\d:\d\d:\d\d\] (error|warn|info|debug) [^\n]+$/;

let port: number;
let server: RunningProcess;

beforeAll(async () => {
  port = await freePort();
  server = startProcess(rperf("-s", "-p", String(port)));
  await server.waitForOutput(/listening on /);
});

afterAll(async () => {
  server.kill("SIGTERM");
  await server.exited;
});

function client(...args: string[]): string[] {
  return rperf("-c", "127.0.0.1", "-p", String(port), ...args);
}

describe("a client", () => {
  test("prints text on stdout and nothing on stderr", async () => {
    const { code, stdout, stderr } = await run(client("-t", "1"));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Mb/s");
    expect(stdout).not.toContain("\x1b");
  });

  test("prints one JSON document and nothing else, debug lines on stderr", async () => {
    const { code, stdout, stderr } = await run(client("-ud", "-t", "0.5", "-f", "json"));
    expect(code).toBe(0);
    const document: unknown = JSON.parse(stdout);
    expect(documentFaults(document)).toEqual([]);
    expect(document).toMatchObject({ success: true, config: { common: { family: "udp" } } });
    const lines = stderr.trimEnd().split("\n");
    expect(lines.filter((line) => !LINE.test(line))).toEqual([]);
    expect(lines.some((line) => line.includes("] debug connected to 127.0.0.1"))).toBe(true);
  });

  test("streams valid JSON, a line for each event", async () => {
    const { code, stdout, stderr } = await run(client("-t", "1", "--json-stream", "--title", "one line each"));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines: { event: string; data: unknown }[] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const line of lines) expect(streamLineFaults(line)).toEqual([]);
    const [start, ...rest] = lines;
    expect(start).toMatchObject({ event: "start", data: { title: "one line each" } });
    expect(rest.at(-1)).toMatchObject({ event: "end", data: { title: "one line each", success: true } });
    expect(new Set(rest.slice(0, -1).map(({ event }) => event))).toEqual(new Set(["interval"]));
  });

  test("warns of what it changes", async () => {
    const { code, stderr } = await run(client("-t", "0.3", "-l", "8"));
    expect(code).toBe(0);
    expect(stderr).toMatch(/^\[\S+\] warn --length 8 [^\n]+\n$/);
  });

  test("fails in one line when no server is there", async () => {
    const { code, stdout, stderr } = await run(rperf("-c", "127.0.0.1", "-p", String(await freePort())));
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toMatch(/^rperf: [^\n]+\n$/);
  });

  test("fails in one line of its stream, and one on stderr", async () => {
    const none = String(await freePort());
    const { code, stdout, stderr } = await run(rperf("-c", "127.0.0.1", "-p", none, "--json-stream"));
    expect(code).toBe(4);
    expect(stderr).toMatch(/^rperf: [^\n]+\n$/);
    const line: unknown = JSON.parse(stdout);
    expect(streamLineFaults(line)).toEqual([]);
    expect(line).toMatchObject({ event: "error", data: { code: "connect-refused" } });
  });

  test.each(["SIGINT", "SIGTERM"] as const)("ends in good order at %s, with what there is", async (signal) => {
    const child = startProcess(client("-dt", "60", "-f", "json"));
    await child.waitForOutput(/connected to /);
    await Bun.sleep(1200);
    child.kill(signal);
    expect(await child.exited).toBe(4);
    const document = JSON.parse(child.stdout);
    expect(documentFaults(document)).toEqual([]);
    expect(document).toMatchObject({ success: false, outcome: "interrupted" });
    expect(document.summary.bytes_received).toBeGreaterThan(0);
  });

  test("ends quietly when its reader leaves", async () => {
    const { code, stdout, stderr } = await run([
      "bash",
      "-c",
      '"$@" | head -n 1; exit "${PIPESTATUS[0]}"',
      "bash",
      ...client("-t", "60"),
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  });

  test.if(process.platform === "linux")("tells that its results could not be written", async () => {
    const { code, stderr } = await run(["bash", "-c", '"$@" >/dev/full', "bash", ...client("-t", "1")]);
    expect(code).toBe(4);
    expect(stderr).toBe("rperf: cannot write the results: ENOSPC\n");
  });

  test("shows a progress line on a terminal, and leaves none behind", async () => {
    const child = startOnTerminal(client("-t", "1"));
    expect(await child.exited).toBe(0);
    expect(child.output).toContain("\x1b[2K");
    const left = child.output.split("\n").map((line) => line.slice(line.lastIndexOf("\x1b[2K") + 1));
    expect(left.filter((line) => line.includes(" of 1.0 s"))).toEqual([]);
  });
});

describe("a server", () => {
  test.each(["SIGINT", "SIGTERM"] as const)("logs one line for each event and ends well at %s", async (signal) => {
    const own = await freePort();
    const child = startProcess(rperf("-s", "-p", String(own)));
    await child.waitForOutput(/listening on 0\.0\.0\.0 port /);
    await run(rperf("-c", "127.0.0.1", "-p", String(own), "-t", "0.3", "-R", "-P", "2"));
    await child.waitForOutput(/ended: /);
    child.kill(signal);
    expect(await child.exited).toBe(0);
    expect(child.stdout).toBe("");
    const lines = child.stderr.trimEnd().split("\n");
    expect(lines.filter((line) => !LINE.test(line))).toEqual([]);
    expect(lines.filter((line) => line.includes("TCP reverse, 2 streams"))).toHaveLength(1);
  });

  test("fails in one line when its port is taken", async () => {
    const { code, stdout, stderr } = await run(rperf("-s", "-p", String(port)));
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toMatch(/^rperf: [^\n]+\n$/);
  });
});

test("the self-test measures all four and gives one JSON document", async () => {
  const { code, stdout, stderr } = await run(rperf("selftest", "-t", "0.3", "-f", "json"));
  const { tests, success } = JSON.parse(stdout) as { tests: { family: string; direction: string }[]; success: boolean };
  expect({ code, success }).toEqual({ code: 0, success: true });
  expect(tests.map(({ family, direction }) => `${family} ${direction}`)).toEqual([
    "tcp forward",
    "tcp reverse",
    "udp forward",
    "udp reverse",
  ]);
  expect(stderr.trimEnd().split("\n")).toHaveLength(4);
});
