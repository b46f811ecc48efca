import { describe, expect, test } from "bun:test";
import { readCongestionControl, readDscp, readSegmentLimit } from "../../../ffi/path-options.ts";
import { closeDescriptor, openSocket } from "../../../ffi/open-socket.ts";
import { applyPath, applyPathBeforeConnect, boundTo, checkPath, hasOwnName } from "../../../src/streams/path.ts";
import { testsUnless } from "../../support/conditional.ts";
import { openSockets } from "../../support/open-sockets.ts";
import { NO_PATH, senderSpec } from "./recorder.ts";

const linux = testsUnless(process.platform === "linux" ? null : "the options are Linux's");

test.each([
  [{}, false],
  [{ congestion: "reno", dscp: 46 }, false],
  [{ localAddress: "127.0.0.1" }, true],
  [{ localPort: 7 }, true],
  [{ device: "lo" }, true],
  [{ maxSegmentBytes: 1000 }, true],
])("%o has to be told before the connection: %p", (changes, expected) => {
  expect(hasOwnName({ ...NO_PATH, ...changes })).toBe(expected);
});

test("a socket at the control port is bound there, and all else is as asked", () => {
  const path = { ...NO_PATH, localAddress: "192.0.2.1", localPort: 7, device: "eth0", dscp: 46 };
  const endpoint = { type: "handed", localAddress: "192.0.2.9", localPort: 5199 } as const;
  expect(boundTo(endpoint, path)).toEqual({ ...path, localAddress: "192.0.2.9", localPort: 5199 });
});

linux.describe("checkPath", () => {
  test.each([
    ["tcp", {}],
    ["tcp", { congestion: "reno", dscp: 46, maxSegmentBytes: 1000 }],
    ["udp", { dscp: 0 }],
    // Not of UDP: nothing to refuse.
    ["udp", { congestion: "nonesuch" }],
  ] as const)("%s with %o can be had", (family, changes) => {
    const before = openSockets();
    checkPath(senderSpec(family, 7, { path: { ...NO_PATH, ...changes } }));
    expect(openSockets()).toBe(before);
  });

  test.each([
    ["tcp", { congestion: "nonesuch" }, "nonesuch"],
    ["tcp", { maxSegmentBytes: 40_000 }, "40000"],
    ["tcp", { dscp: 300 }, "300"],
    ["udp", { dscp: 300 }, "300"],
  ] as const)("%s with %o cannot, and the error says what", (family, changes, text) => {
    const before = openSockets();
    expect(() => checkPath(senderSpec(family, 7, { path: { ...NO_PATH, ...changes } }))).toThrow(
      expect.objectContaining({ code: "option-refused", message: expect.stringContaining(text) }),
    );
    expect(openSockets()).toBe(before);
  });
});

linux.describe("what is asked for is in force", () => {
  test.each([4, 6] as const)("of IPv%d", (ipVersion) => {
    const nowhere = { localAddress: null, localPort: 0, device: null, reusePort: false } as const;
    const opened = openSocket({ transport: "tcp", ipVersion, ...nowhere });
    if (!opened.ok) throw new Error(opened.message);
    const fd = opened.value;
    const path = { ...NO_PATH, congestion: "reno", dscp: 46, maxSegmentBytes: 1000 };
    applyPathBeforeConnect(fd, path);
    applyPath(fd, "tcp", ipVersion === 4 ? "127.0.0.1" : "::1", path);
    expect(readCongestionControl(fd)).toEqual({ ok: true, value: "reno" });
    expect(readDscp(fd, ipVersion)).toEqual({ ok: true, value: 46 });
    expect(readSegmentLimit(fd)).toMatchObject({ ok: true, value: 1000 });
    closeDescriptor(fd);
  });

  test("an IPv4 address in IPv6's clothes is marked as IPv4 is", () => {
    const nowhere = { localAddress: null, localPort: 0, device: null, reusePort: false } as const;
    const opened = openSocket({ transport: "udp", ipVersion: 4, ...nowhere });
    if (!opened.ok) throw new Error(opened.message);
    applyPath(opened.value, "udp", "::ffff:127.0.0.1", { ...NO_PATH, dscp: 10 });
    expect(readDscp(opened.value, 4)).toEqual({ ok: true, value: 10 });
    closeDescriptor(opened.value);
  });
});

describe("nothing asked for", () => {
  test("no call is made, whatever the descriptor", () => {
    applyPathBeforeConnect(-1, NO_PATH);
    applyPath(-1, "tcp", "127.0.0.1", NO_PATH);
    checkPath(senderSpec("tcp", 7, { path: NO_PATH }));
  });
});
