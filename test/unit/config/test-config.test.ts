import { describe, expect, test } from "bun:test";
import { makeTestConfig, type TestOptions } from "../../../src/config/test-config.ts";
import { RperfError } from "../../../src/errors.ts";

/** As a caller in plain JavaScript might give them. */
function configOf(options: Record<string, unknown>) {
  return makeTestConfig({ host: "h", ...options });
}

function errorOf(options: Record<string, unknown>): string {
  try {
    configOf(options);
  } catch (error) {
    if (error instanceof RperfError && error.code === "usage") return error.message;
    throw error;
  }
  throw new Error(`accepted ${JSON.stringify(options)}`);
}

test("fills in every default", () => {
  expect(makeTestConfig({ host: "example.net" })).toEqual({
    config: {
      host: "example.net",
      port: 5199,
      family: "tcp",
      ipv6Only: false,
      reverse: false,
      bidir: false,
      bandwidthBytesPerSecond: 125_000,
      durationSeconds: 10,
      sendIntervalSeconds: 0.05,
      pacing: "even",
      offload: "auto",
      lengthBytes: 32_768,
      writeSize: "auto",
      sendBufferBytes: 0,
      receiveBufferBytes: 0,
      parallel: 1,
      omitSeconds: 0,
      noDelay: false,
      affinity: [],
      portPools: { tcp4: [], tcp6: [], udp4: [], udp6: [] },
      dial: "client",
      singlePort: false,
      clientPorts: null,
      resumeTimeoutSeconds: 10,
      waitSeconds: 60,
      localAddress: null,
      device: null,
      congestion: null,
      dscp: null,
      maxSegmentBytes: null,
      intervalSeconds: 1,
      title: null,
      key: null,
      tls: null,
    },
    warnings: [],
  });
});

test("takes undefined for what is left out", () => {
  const { config } = configOf({ port: undefined, sendIntervalSeconds: undefined, portPools: { tcp4: undefined } });
  expect(config).toMatchObject({ port: 5199, sendIntervalSeconds: 0.05, pacing: "even" });
});

describe("what follows from what is asked for", () => {
  test.each([
    [{}, { pacing: "even", sendIntervalSeconds: 0.05 }],
    [{ sendIntervalSeconds: 0.002 }, { pacing: "slices", sendIntervalSeconds: 0.002 }],
    [{ sendIntervalSeconds: 0.05 }, { pacing: "slices", sendIntervalSeconds: 0.05 }],
    [{ lengthBytes: 0 }, { writeSize: "auto", lengthBytes: 32_768 }],
    [{ lengthBytes: 32_768 }, { writeSize: "length", lengthBytes: 32_768 }],
    [{ lengthBytes: 1 }, { writeSize: "length", lengthBytes: 16 }],
    [{ family: "udp" }, { writeSize: "length", lengthBytes: 1024 }],
    [
      { family: "udp", lengthBytes: 0 },
      { writeSize: "length", lengthBytes: 1024 },
    ],
    [
      { family: "udp", lengthBytes: 1400 },
      { writeSize: "length", lengthBytes: 1400 },
    ],
  ])("%j", (options, derived) => {
    expect(configOf(options).config).toMatchObject(derived);
  });
});

test("freezes all of it, and none of the caller's", () => {
  const portPools = { tcp4: [{ first: 1, last: 2 }] };
  const affinity = [0];
  const { config } = configOf({ portPools, affinity });
  expect(Object.isFrozen(config)).toBe(true);
  expect(Object.isFrozen(config.portPools.tcp4[0])).toBe(true);
  expect(Object.isFrozen(config.affinity)).toBe(true);
  expect(Object.isFrozen(portPools.tcp4[0])).toBe(false);
  expect(Object.isFrozen(affinity)).toBe(false);
});

test.each([
  ["h", "h"],
  ["192.0.2.1", "192.0.2.1"],
  ["::1", "::1"],
  ["[::1]", "::1"],
  ["fe80::1%eth0", "fe80::1%eth0"],
])("host %p becomes %p", (host, expected) => {
  expect(configOf({ host }).config.host).toBe(expected);
});

describe("lengths and buffers", () => {
  test.each([
    [{}, 32_768, 0, 0, 0],
    [{ family: "udp" }, 1024, 0, 0, 0],
    [{ lengthBytes: 0, family: "udp" }, 1024, 0, 0, 0],
    [{ lengthBytes: 1 }, 16, 0, 0, 1],
    [{ lengthBytes: 35, family: "udp" }, 36, 0, 0, 1],
    [{ lengthBytes: 65_507, family: "udp" }, 65_507, 0, 0, 0],
    [{ sendBufferBytes: 32_768, receiveBufferBytes: 70_000 }, 32_768, 32_768, 70_000, 0],
    [{ sendBufferBytes: 1, receiveBufferBytes: 1000 }, 32_768, 65_536, 65_536, 2],
    [{ lengthBytes: 3, sendBufferBytes: 8 }, 16, 32, 0, 2],
  ])("%j", (options, lengthBytes, sendBufferBytes, receiveBufferBytes, warningCount) => {
    const { config, warnings } = configOf(options);
    expect(config).toMatchObject({ lengthBytes, sendBufferBytes, receiveBufferBytes });
    expect(warnings).toHaveLength(warningCount);
  });

  test("warnings name the flag and both values", () => {
    expect(configOf({ lengthBytes: 3, sendBufferBytes: 8 }).warnings).toEqual([
      "--length 3 is too short for TCP: using 16",
      "--send-buffer 8 is below --length 16: asking for 32",
    ]);
  });
});

test.each([
  [{ parallel: 255 }],
  [{ durationSeconds: 0.001 }],
  [{ sendIntervalSeconds: 1 }],
  [{ bandwidthBytesPerSecond: 0, family: "udp" }],
  // With 2.5 s between two packets of 1032 bytes; a slice may hold one back for as long as it takes.
  [{ bandwidthBytesPerSecond: 826, family: "udp" }],
  [{ bandwidthBytesPerSecond: 422, family: "udp", sendIntervalSeconds: 0.05 }],
  [{ bandwidthBytesPerSecond: 7 }],
  [{ offload: "auto" }],
  [{ offload: "auto", family: "udp" }],
  [{ offload: "on", family: "udp" }],
  [{ offload: "off", family: "udp" }],
  [{ omitSeconds: 9 }],
  [{ affinity: [0, 9999] }],
  [{ bidir: true, dial: "legacy" }],
  [{ bidir: true, omitSeconds: 1 }],
  [{ reverse: true, singlePort: true }],
  [{ clientPorts: { first: 1, last: 1 } }],
  [{ clientPorts: { first: 65_532, last: 65_535 }, parallel: 4 }],
  [{ clientPorts: { first: 7, last: 10 }, parallel: 2, bidir: true }],
  [{ resumeTimeoutSeconds: 0 }],
  [{ resumeTimeoutSeconds: 600 }],
  [{ localAddress: "192.0.2.7", host: "192.0.2.1" }],
  [{ localAddress: "fe80::1%eth0", host: "fe80::2%eth0", ipv6Only: true }],
  [{ localAddress: "2001:db8::1", host: "example.net" }],
  [{ device: "enp0s31f6.1234" }],
  [{ device: null, congestion: null, dscp: null, maxSegmentBytes: null, title: null, clientPorts: null }],
  [{ congestion: "bbr" }],
  [{ dscp: 0, family: "udp" }],
  [{ dscp: 63 }],
  [{ maxSegmentBytes: 88 }],
  [{ maxSegmentBytes: 32_767 }],
  [{ intervalSeconds: 0.1 }],
  [{ intervalSeconds: 60 }],
  [{ title: "Süd, Mast 3" }],
  [{ title: "x".repeat(200) }],
])("accepts %j", (options: Record<string, unknown>) => {
  expect(configOf(options).config).toMatchObject(options);
});

test.each<[Record<string, unknown>, RegExp]>([
  [{ host: "" }, /^--client .* not ""$/],
  [{ host: undefined }, /^--client /],
  [{ host: "a b" }, /^--client /],
  [{ host: "a\nb" }, /^--client /],
  [{ host: "x".repeat(254) }, /^--client /],
  [{ host: "h:5199" }, /^--client .* --port/],
  [{ host: "http://h" }, /^--client /],
  [{ port: 0 }, /^--port must be a whole number from 1 to 65535, not "0"$/],
  [{ port: 65_536 }, /^--port /],
  [{ port: "5199" }, /^--port .* not "5199"$/],
  [{ family: "sctp" }, /^family must be "tcp" or "udp", not "sctp"$/],
  [{ reverse: 1 }, /^--reverse must be true or false/],
  [{ noDelay: "yes" }, /^--no-delay must be true or false/],
  [{ parallel: 300 }, /^--parallel must be a whole number from 1 to 255, not "300"$/],
  [{ parallel: 0 }, /^--parallel /],
  [{ parallel: 1.5 }, /^--parallel /],
  [{ parallel: Number.NaN }, /^--parallel /],
  [{ parallel: "2" }, /^--parallel .* not "2"$/],
  [{ durationSeconds: 0 }, /^--time must be a number above 0 /],
  [{ durationSeconds: -1 }, /^--time /],
  [{ durationSeconds: Infinity }, /^--time /],
  [{ durationSeconds: 1e9 }, /^--time /],
  [{ sendIntervalSeconds: 0 }, /^--send-interval must be a number above 0 and at most 1, not "0"$/],
  [{ sendIntervalSeconds: 1.01 }, /^--send-interval /],
  [{ bandwidthBytesPerSecond: -1 }, /^--bandwidth /],
  [{ bandwidthBytesPerSecond: 0.5 }, /^--bandwidth /],
  [{ bandwidthBytesPerSecond: 1e16 }, /^--bandwidth /],
  [{ bandwidthBytesPerSecond: 825, family: "udp" }, /^--bandwidth must be at least 826 .* gives up after 3 s/],
  [{ bandwidthBytesPerSecond: 421, family: "udp", sendIntervalSeconds: 0.05 }, /^--bandwidth must be at least 422 /],
  [{ lengthBytes: -1 }, /^--length /],
  [{ lengthBytes: 65_508, family: "udp" }, /^--length with --udp .* 65507/],
  [{ lengthBytes: 2 ** 31 }, /^--length /],
  [{ offload: "yes", family: "udp" }, /^--offload must be one of auto, on, off, not "yes"$/],
  [{ offload: true, family: "udp" }, /^--offload must be one of auto, on, off, not true$/],
  [{ offload: "" }, /^--offload must be one of /],
  [{ offload: "on" }, /^--offload on is only for UDP \(--udp\)$/],
  [{ offload: "off", family: "tcp" }, /^--offload off is only for UDP \(--udp\)$/],
  // What follows from the rest cannot be asked for.
  [{ pacing: "slices" }, /^options has no field "pacing"/],
  [{ writeSize: "auto" }, /^options has no field "writeSize"/],
  // A packet leaves with the slice in which it becomes due.
  [{ bandwidthBytesPerSecond: 687, family: "udp", sendIntervalSeconds: 1 }, /^--bandwidth must be at least 688 /],
  [{ bandwidthBytesPerSecond: 1000, family: "udp", durationSeconds: 1 }, /at least one packet, 1032 bytes .* "1000"/],
  [{ bandwidthBytesPerSecond: 6 }, /^--bandwidth must be at least 7 .* TCP/],
  [{ lengthBytes: 2 ** 24, parallel: 17 }, /^--length must be at most 15790320 with --parallel 17/],
  [{ sendBufferBytes: -1 }, /^--send-buffer /],
  [{ receiveBufferBytes: 2 ** 31 }, /^--receive-buffer /],
  [{ omitSeconds: 10 }, /^--omit must be less than --time \(10 s\), not "10"$/],
  [{ omitSeconds: 1.5 }, /^--omit must be a whole number/],
  [{ omitSeconds: 1, durationSeconds: 0.5 }, /^--omit /],
  [{ affinity: "0" }, /^--affinity must be a list/],
  [{ affinity: [-1] }, /--affinity/],
  [{ affinity: ["0"] }, /--affinity/],
  [{ portPools: [] }, /^portPools must be an object, not a list$/],
  [{ portPools: { tcp: [] } }, /^portPools has no field "tcp"/],
  [{ portPools: { tcp4: "1-10" } }, /^--tcp-port-pool must be a list/],
  [{ portPools: { udp6: [{ first: 1 }] } }, /--udp6-port-pool/],
  [{ portPools: { udp4: [null] } }, /--udp-port-pool/],
  [{ portPools: { udp4: [{ first: 2, last: 1 }] } }, /--udp-port-pool .* lower port first/],
  [{ bidir: 1 }, /^--bidir must be true or false/],
  [{ bidir: true, reverse: true }, /^--bidir and --reverse exclude each other/],
  [{ dial: "server" }, /^dial must be one of client, legacy, not "server"$/],
  [{ dial: 1 }, /^dial must be /],
  [{ singlePort: "yes" }, /^--single-port must be true or false/],
  [{ singlePort: true, dial: "legacy" }, /^--single-port and --legacy-dial exclude each other/],
  [{ clientPorts: [7] }, /^clientPorts must be an object, not a list$/],
  [{ clientPorts: { first: 7 } }, /^each port of --client-port must be a whole number from 1 to 65535/],
  [{ clientPorts: { first: 0, last: 7 } }, /^each port of --client-port .* not "0"$/],
  [{ clientPorts: { first: 8, last: 7 } }, /^--client-port must be given with its lower port first, not "8-7"$/],
  [{ clientPorts: { first: 7, last: 9 }, parallel: 4 }, /^--client-port .* each of 4 data sockets, not "7-9"$/],
  [{ clientPorts: { first: 7, last: 9 }, parallel: 2, bidir: true }, /^--client-port .* each of 4 data sockets/],
  [{ resumeTimeoutSeconds: -1 }, /^--resume-timeout must be a number from 0 to 600, not "-1"$/],
  [{ resumeTimeoutSeconds: 601 }, /^--resume-timeout /],
  [{ waitSeconds: -1 }, /^--wait must be a number from 0 to 3600, not "-1"$/],
  [{ waitSeconds: 3601 }, /^--wait /],
  [{ localAddress: "eth0" }, /^--bind must be an IP address, not "eth0"$/],
  [{ localAddress: "[::1]" }, /^--bind must be an IP address/],
  [{ localAddress: "" }, /^--bind /],
  [{ localAddress: "192.0.2.7", ipv6Only: true }, /^--bind with --version6 must be an IPv6 address/],
  [{ localAddress: "::1", host: "192.0.2.1" }, /^--bind ::1 and --client 192.0.2.1 are of different IP versions$/],
  [{ device: "" }, /^--bind-dev /],
  [{ device: "a b" }, /^--bind-dev /],
  [{ device: "enp0s31f6.12345x" }, /^--bind-dev .* at most 15 bytes/],
  [{ device: "ü".repeat(8) }, /^--bind-dev /],
  [{ congestion: "BBR" }, /^--congestion must be a name such as "cubic" or "bbr", .* not "BBR"$/],
  [{ congestion: "" }, /^--congestion /],
  [{ congestion: "x".repeat(16) }, /^--congestion /],
  [{ congestion: "bbr", family: "udp" }, /^--congestion is only for TCP \(without --udp\)$/],
  [{ dscp: 64 }, /^--dscp must be a whole number from 0 to 63, not "64"$/],
  [{ dscp: "ef" }, /^--dscp /],
  [{ maxSegmentBytes: 87 }, /^--mss must be a whole number from 88 to 32767, not "87"$/],
  [{ maxSegmentBytes: 65_496 }, /^--mss /],
  [{ maxSegmentBytes: 1000, family: "udp" }, /^--mss is only for TCP/],
  [{ intervalSeconds: 0.09 }, /^--interval must be a number from 0.1 to 60, not "0.09"$/],
  [{ intervalSeconds: 61 }, /^--interval /],
  [{ title: "" }, /^--title must be 1 to 200 characters, none of them a control character, not ""$/],
  [{ title: "x".repeat(201) }, /^--title /],
  [{ title: "a\nb" }, /^--title /],
  [{ title: 7 }, /^--title /],
  [{ duration: 5 }, /^options has no field "duration"; its fields are host, port/],
])("refuses %j", (options, message) => {
  expect(errorOf(options)).toMatch(message);
});

test("refuses what is no object", () => {
  for (const options of [null, undefined, "h", []]) {
    expect(() => makeTestConfig(options as unknown as TestOptions)).toThrow(RperfError);
  }
});
