import { afterEach, expect, test } from "bun:test";
import { closeDescriptor, connectSocket, localEndpoint, openSocket } from "../../../ffi/open-socket.ts";
import {
  bindToDevice,
  limitRetransmitWait,
  limitSegment,
  readCongestionControl,
  readDevice,
  readDscp,
  readRetransmitWait,
  readSegmentLimit,
  setCongestionControl,
  setDscp,
} from "../../../ffi/path-options.ts";
import { testsUnless } from "../../support/conditional.ts";
import { run } from "../../support/process.ts";
import { direct, fdOf, granted, NO_DESCRIPTOR } from "./sockets.ts";

const DONE = { ok: true, value: null } as const;
const close: (() => void)[] = [];

afterEach(() => {
  for (const one of close.splice(0)) one();
});

function open(transport: "tcp" | "udp", ipVersion: 4 | 6 = 4): number {
  const fd = granted(
    openSocket({ transport, ipVersion, localAddress: null, localPort: 0, reusePort: false, device: null }),
  );
  close.push(() => closeDescriptor(fd));
  return fd;
}

test("not supported where the platform has it not", () => {
  if (process.platform === "linux") return;
  const outcomes = [
    setCongestionControl(0, "reno"),
    setDscp(0, 4, 1),
    limitSegment(0, 1000),
    bindToDevice(0, "lo"),
    limitRetransmitWait(0, 1000),
  ];
  for (const outcome of outcomes) expect(outcome).toMatchObject({ ok: false, supported: false });
});

direct.describe("congestion control", () => {
  test("the one asked for is read back", () => {
    const fd = open("tcp");
    expect(granted(readCongestionControl(fd))).toMatch(/^\w+$/);
    // Every kernel has it (net/ipv4/Kconfig).
    expect(setCongestionControl(fd, "reno")).toEqual(DONE);
    expect(readCongestionControl(fd)).toEqual({ ok: true, value: "reno" });
  });

  // Of the last the kernel would take the first 15 bytes.
  test.each(["nosuch", "", "reno".repeat(4)])("%j is none: ENOENT, and the one before stays", (name) => {
    const fd = open("tcp");
    setCongestionControl(fd, "reno");
    expect(setCongestionControl(fd, name)).toMatchObject({ ok: false, supported: true, code: "ENOENT" });
    expect(readCongestionControl(fd)).toEqual({ ok: true, value: "reno" });
  });

  test("UDP has none", () => {
    expect(setCongestionControl(open("udp"), "reno").ok).toBe(false);
  });
});

direct.describe("DSCP", () => {
  for (const transport of ["tcp", "udp"] as const) {
    for (const ipVersion of [4, 6] as const) {
      test.each([0, 1, 46, 63])(`${transport} over IPv${ipVersion}: %d is read back`, (dscp) => {
        const fd = open(transport, ipVersion);
        expect(readDscp(fd, ipVersion)).toEqual({ ok: true, value: 0 });
        expect(setDscp(fd, ipVersion, dscp)).toEqual(DONE);
        expect(readDscp(fd, ipVersion)).toEqual({ ok: true, value: dscp });
        // Of IPv6 also for the packets to mapped addresses.
        expect(readDscp(fd, 4)).toEqual({ ok: true, value: dscp });
      });
    }
  }

  const withSs = testsUnless(Bun.which("ss") === null ? "there is no ss (Debian: iproute2)" : null);
  withSs.test("is the upper six bits of the byte, as ss tells it", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
    close.push(() => listener.stop(true));
    const fd = open("tcp");
    connectSocket(fd, "127.0.0.1", listener.port);
    setDscp(fd, 4, 46);
    const { port } = granted(localEndpoint(fd));
    const { stdout } = await run(["ss", "-tnH", "--tos", "sport", "=", `:${port}`]);
    expect(stdout).toContain("tos:0xb8");
  });

  test.each([-1, 64, 256, 1.5, NaN])("%d is none", (dscp) => {
    expect(setDscp(open("udp"), 4, dscp)).toMatchObject({ ok: false, supported: true, code: "EINVAL" });
  });
});

direct.describe("the size of segments", () => {
  test("asked for before the connection, it holds on both sides", async () => {
    const accepted = Promise.withResolvers<number>();
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => accepted.resolve(granted(readSegmentLimit(fdOf(socket)))),
        data: () => {},
      },
    });
    close.push(() => listener.stop(true));
    const fd = open("tcp");
    expect(limitSegment(fd, 1000)).toEqual(DONE);
    expect(readSegmentLimit(fd)).toEqual({ ok: true, value: 1000 });
    connectSocket(fd, "127.0.0.1", listener.port);
    // Time stamps take 12 bytes of each (RFC 7323).
    expect([988, 1000]).toContain(await accepted.promise);
    expect([988, 1000]).toContain(granted(readSegmentLimit(fd)));
  });

  test.each([-1, 87, 32_768])("%d bytes cannot be: EINVAL", (bytes) => {
    expect(limitSegment(open("tcp"), bytes)).toMatchObject({ ok: false, supported: true, code: "EINVAL" });
  });
});

direct.describe("the interface", () => {
  test("none, and then the one asked for", () => {
    const fd = open("udp");
    expect(readDevice(fd)).toEqual({ ok: true, value: "" });
    expect(bindToDevice(fd, "lo")).toEqual(DONE);
    expect(readDevice(fd)).toEqual({ ok: true, value: "lo" });
  });

  test.each(["nosuch0", "", "l".repeat(16)])("%j is none: ENODEV", (device) => {
    expect(bindToDevice(open("udp"), device)).toMatchObject({ ok: false, supported: true, code: "ENODEV" });
  });
});

direct.describe("the wait before sending again (Linux 6.15)", () => {
  test("is read back, or refused by name where the kernel is older", () => {
    const fd = open("tcp");
    const outcome = limitRetransmitWait(fd, 5000);
    if (outcome.ok) {
      expect(readRetransmitWait(fd)).toEqual({ ok: true, value: 5000 });
      expect(limitRetransmitWait(fd, 999)).toMatchObject({ code: "EINVAL" });
      expect(limitRetransmitWait(fd, 120_001)).toMatchObject({ code: "EINVAL" });
    } else {
      expect(outcome.code).toBe("ENOPROTOOPT");
    }
  });
});

direct.test("what is no socket is an answer: EBADF", () => {
  for (const fd of [-1, NO_DESCRIPTOR]) {
    const outcomes = [
      setCongestionControl(fd, "reno"),
      readCongestionControl(fd),
      setDscp(fd, 4, 1),
      readDscp(fd, 6),
      limitSegment(fd, 1000),
      readSegmentLimit(fd),
      bindToDevice(fd, "lo"),
      readDevice(fd),
      limitRetransmitWait(fd, 1000),
      readRetransmitWait(fd),
    ];
    for (const outcome of outcomes) expect(outcome).toMatchObject({ ok: false, supported: true, code: "EBADF" });
  }
});
