import { describe, expect, test } from "bun:test";
import { rootHelp, selftestHelp } from "../../../src/cli/help.ts";
import { invocationOf } from "../../../src/cli/invocation.ts";
import { editDistance, nearest } from "../../../src/cli/nearest.ts";
import { ROOT_OPTIONS, SELFTEST_OPTIONS } from "../../../src/cli/options.ts";
import { strictParse } from "../../../src/cli/strict-parse.ts";

function invoked(...args: string[]) {
  return invocationOf(strictParse(ROOT_OPTIONS, args));
}

describe("a client's options", () => {
  test.each([
    [["-c", "h"], { host: "h", family: "tcp", reverse: false, noDelay: false }],
    [["--client=h"], { host: "h" }],
    [["-ch"], { host: "h" }],
    [["-uRc", "h"], { host: "h", family: "udp", reverse: true }],
    [["-c", "h", "-uR6"], { family: "udp", reverse: true, ipv6Only: true }],
    [["-c", "h", "-uRP4"], { family: "udp", reverse: true, parallel: 4 }],
    [["-c", "h", "-N"], { noDelay: true }],
    [["-c", "h", "--no-delay"], { noDelay: true }],
    [["-c", "h", "-u", "-u"], { family: "udp" }],
    [["-c", "h", "--time=5"], { durationSeconds: 5 }],
    [["-c", "h", "-t", ".5"], { durationSeconds: 0.5 }],
    [["-c", "h", "-b", "0"], { bandwidthBytesPerSecond: 0 }],
    [["-c", "h", "-b1.5m"], { bandwidthBytesPerSecond: 187_500 }],
    [["-c", "h", "-l", "8"], { lengthBytes: 8 }],
    [["-c", "h", "-O", "3", "--send-interval", "0.01"], { omitSeconds: 3, sendIntervalSeconds: 0.01 }],
    [["-c", "h"], { sendIntervalSeconds: undefined, lengthBytes: undefined, offload: undefined }],
    [["-c", "h", "-u", "--offload", "on"], { family: "udp", offload: "on" }],
    [["-c", "h", "-u", "--offload=off"], { family: "udp", offload: "off" }],
    [["-c", "h", "--offload", "auto"], { family: "tcp", offload: "auto" }],
    [["-c", "h", "--send-buffer", "1", "--receive-buffer", "2"], { sendBufferBytes: 1, receiveBufferBytes: 2 }],
    [["-c", "h", "-p", "7", "-A", "0,1"], { port: 7, affinity: [0, 1] }],
    [["-c", "h", "--udp-port-pool", "7-8"], { portPools: { udp4: [{ first: 7, last: 8 }] } }],
    [["-c", "h", "--tcp6-port-pool", "7"], { portPools: { tcp6: [{ first: 7, last: 7 }] } }],
    [["-c", "::1", "--"], { host: "::1" }],
    [["-c", "h"], { bidir: false, dial: "client", singlePort: false }],
    [["-c", "h", "--bidir"], { bidir: true, reverse: false }],
    [["-c", "h", "--legacy-dial"], { dial: "legacy" }],
    [["-c", "h", "--single-port"], { singlePort: true }],
    [["-c", "h", "--client-port", "7000-7003"], { clientPorts: { first: 7000, last: 7003 } }],
    [["-c", "h", "--resume-timeout", "0"], { resumeTimeoutSeconds: 0 }],
    [["-c", "h", "--wait", "0"], { waitSeconds: 0 }],
    [["-c", "h", "--bind", "192.0.2.7", "--bind-dev=eth0"], { localAddress: "192.0.2.7", device: "eth0" }],
    [["-c", "h", "--congestion", "bbr", "--mss", "1400"], { congestion: "bbr", maxSegmentBytes: 1400 }],
    [["-c", "h", "-u", "--dscp", "ef"], { dscp: 46 }],
    [["-c", "h", "--dscp", "0x0a"], { dscp: 10 }],
    [["-c", "h", "--interval", ".5"], { intervalSeconds: 0.5 }],
    [["-c", "h", "--title", "north mast"], { title: "north mast" }],
  ])("%j", (args, options) => {
    expect(invoked(...args)).toMatchObject({ mode: "client", options });
  });

  test("how it is shown", () => {
    expect(invoked("-c", "h")).toMatchObject({ format: "megabit", isDebug: false });
    expect(invoked("-df", "json", "-c", "h")).toMatchObject({ format: "json", isDebug: true });
    expect(invoked("--json-stream", "-c", "h")).toMatchObject({ format: "json-stream" });
    expect(invoked("--json-stream", "-f", "json", "-c", "h")).toMatchObject({ format: "json-stream" });
  });
});

test.each([
  [["-s"], { ipv6: false }],
  [["-s6d", "-p", "7"], { ipv6: true, port: 7 }],
  [["-s", "--client-limit", "2", "-A", "1"], { clientLimit: 2, affinity: [1] }],
  [["-s", "--queue", "3"], { queueLimit: 3 }],
  [["-s", "--allow-low-ports"], { allowsLowPorts: true }],
  [["-s", "--public", "--max-time=1.5"], { isPublic: true, maxTimeSeconds: 1.5 }],
  [["-s", "--max-bandwidth", "8m", "--max-streams", "4"], { maxBytesPerSecond: 1_000_000, maxStreams: 4 }],
  [["-s", "--max-per-address", "2"], { isPublic: false, maxPerAddress: 2 }],
  [["-s", "--bind", "192.0.2.1"], { bindAddress: "192.0.2.1" }],
  [["-s6", "--bind", "fe80::1%eth0", "--bind-dev", "eth0"], { bindAddress: "fe80::1%eth0", device: "eth0" }],
  [["-s", "--tcp-port-pool", "7"], { portPools: { tcp4: [{ first: 7, last: 7 }] } }],
])("a server's options: %j", (args, options) => {
  expect(invoked(...args)).toMatchObject({ mode: "server", options });
});

test.each([
  [["-s"], { drainSeconds: 60, isOneOff: false, idleTimeoutSeconds: null, pidFile: null }, { level: "info" }],
  [["-sd"], {}, { level: "debug", format: "text" }],
  [["-sd", "--log-level", "debug"], {}, { level: "debug" }],
  [
    [
      "-s",
      "--drain",
      "0",
      "--idle-timeout",
      "0.5",
      "--pid-file",
      "/run/x",
      "--log-level",
      "error",
      "--log-format",
      "json",
    ],
    { drainSeconds: 0, idleTimeoutSeconds: 0.5, pidFile: "/run/x" },
    { level: "error", format: "json" },
  ],
])("a server's operation: %j", (args, operation, log) => {
  expect(invoked(...args)).toMatchObject({ mode: "server", operation, log });
});

test("a client's log", () => {
  expect(invoked("-c", "h")).toMatchObject({ log: { level: "warn", format: "text" } });
  expect(invoked("-c", "h", "--log-level", "info", "--log-format", "json")).toMatchObject({
    log: { level: "info", format: "json" },
    isDebug: false,
  });
});

test("a server's policy file", () => {
  expect(invoked("-s")).toMatchObject({ policyPath: null, isCheck: false });
  expect(invoked("-s", "--config", "x.yaml", "--check-config")).toMatchObject({ policyPath: "x.yaml", isCheck: true });
});

test("the canonical form parses to the same again", () => {
  const parsed = strictParse(ROOT_OPTIONS, ["-uRP4", "-c", "h", "-N", "-b=x"]);
  const again = strictParse(ROOT_OPTIONS, parsed.canonicalArgs);
  expect(parsed.canonicalArgs).toEqual([
    "--udp",
    "--reverse",
    "--parallel=4",
    "--client=h",
    "--no-delay",
    "--bandwidth==x",
  ]);
  expect(again.canonicalArgs).toEqual(parsed.canonicalArgs);
});

test.each([
  ["", "", 0],
  ["abc", "", 3],
  ["", "abc", 3],
  ["time", "tiem", 2],
  ["kitten", "sitting", 3],
])("from %p to %p are %p edits", (from, to, edits) => {
  expect(editDistance(from, to)).toBe(edits);
});

test.each([
  ["--tim", "--time"],
  ["--parralel", "--parallel"],
  ["--xyzzy", null],
  ["--t", null],
])("%p suggests %p", (word, suggestion) => {
  const names = ROOT_OPTIONS.map(({ name }) => `--${name}`);
  expect(nearest(word, names)).toBe(suggestion);
});

describe("help", () => {
  test.each([
    [rootHelp, ROOT_OPTIONS],
    [selftestHelp, SELFTEST_OPTIONS],
  ] as const)("%p names every option in at most 80 columns", (help, specs) => {
    const text = help(false);
    for (const { name } of specs) expect(text).toContain(` --${name}`);
    expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("colour changes nothing but the looks", () => {
    expect(rootHelp(true)).not.toBe(rootHelp(false));
    expect(Bun.stripANSI(rootHelp(true))).toBe(rootHelp(false));
  });
});
