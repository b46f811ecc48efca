import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { descriptorOf } from "../../../ffi/descriptor.ts";
import { platform } from "../../../ffi/platform.ts";
import {
  enableArrivalTimes,
  enableUdpReceiveOffload,
  limitPacingRate,
  limitSilence,
  limitUnsent,
  readSocketBuffer,
  setSocketBuffer,
  setUdpSegmentation,
} from "../../../ffi/sockopt.ts";
import { testsUnless } from "../../support/conditional.ts";
import { run } from "../../support/process.ts";
import { direct, fdOf, NO_DESCRIPTOR } from "./sockets.ts";

const DIRECTIONS = ["send", "receive"] as const;
const isSupported = platform.errnoFunction !== null;
const supported = testsUnless(isSupported ? null : `socket options are not supported on ${platform.name}`);
const linux = testsUnless(process.platform === "linux" ? null : "only Linux tells twice the buffer");

let listener: Bun.TCPSocketListener;
let connection: Bun.Socket;
let udp: Bun.udp.Socket<"buffer">;

beforeAll(async () => {
  listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  connection = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data: () => {} } });
  udp = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
});

afterAll(() => {
  connection.terminate();
  udp.close();
  listener.stop(true);
});

describe("descriptorOf", () => {
  test("sockets and listeners have one, each its own", () => {
    const fds = [listener, connection, udp].map((socket) => descriptorOf(socket));
    for (const fd of fds) expect(fd).toBeGreaterThan(2);
    expect(new Set(fds).size).toBe(3);
  });

  test("what is closed, or no socket, has none", async () => {
    const closed = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    closed.close();
    expect(descriptorOf(closed)).toBeNull();
    expect(descriptorOf({})).toBeNull();
    expect(descriptorOf({ fd: -1 })).toBeNull();
    expect(descriptorOf({ fd: "3" })).toBeNull();
    expect(descriptorOf({ fd: 3 })).toBe(3);
  });
});

supported.describe("buffers of a socket", () => {
  for (const direction of DIRECTIONS) {
    for (const name of ["listener", "connection", "udp"] as const) {
      linux.test(`${name}: a ${direction} buffer of 50,000 bytes is read back as 100,000 (socket(7))`, () => {
        const fd = fdOf({ listener, connection, udp }[name]);
        expect(setSocketBuffer(fd, direction, 50_000)).toEqual({ ok: true, value: null });
        expect(readSocketBuffer(fd, direction)).toEqual({ ok: true, value: 100_000 });
      });
    }
  }

  test("the two directions do not touch each other", () => {
    const fd = fdOf(udp);
    const before = readSocketBuffer(fd, "receive");
    expect(setSocketBuffer(fd, "send", 40_000).ok).toBe(true);
    expect(readSocketBuffer(fd, "receive")).toEqual(before);
  });

  test("more than the system grants is granted in part, and read back", () => {
    const fd = fdOf(udp);
    expect(setSocketBuffer(fd, "receive", 2 ** 31 - 1).ok || process.platform !== "linux").toBe(true);
    const granted = readSocketBuffer(fd, "receive");
    if (!granted.ok) throw new Error(granted.message);
    expect(granted.value).toBeGreaterThan(0);
    expect(granted.value).toBeLessThan(2 ** 31 - 1);
  });

  for (const [name, fd] of [
    ["-1", -1],
    ["no descriptor", NO_DESCRIPTOR],
  ] as const) {
    test(`descriptor ${name} is an answer, not a throw (EBADF)`, () => {
      for (const direction of DIRECTIONS) {
        const set = setSocketBuffer(fd, direction, 4096);
        expect(set).toEqual(refusedWith("EBADF"));
        const got = readSocketBuffer(fd, direction);
        expect(got).toMatchObject({
          ok: false,
          message: expect.stringContaining(`${direction} buffer`),
          code: "EBADF",
        });
      }
      expect(limitSilence(fd, 5)).toEqual(refusedWith("EBADF"));
    });
  }

  test("a file is no socket", () => {
    const fd = openSync(import.meta.path, "r");
    try {
      const outcomes = [setSocketBuffer(fd, "send", 4096), readSocketBuffer(fd, "send"), limitSilence(fd, 5)];
      expect(outcomes.map(({ ok }) => ok)).toEqual([false, false, false]);
    } finally {
      closeSync(fd);
    }
  });
});

supported.describe("limitSilence", () => {
  for (const seconds of [1, 2, 5, 60]) {
    test(`${seconds} s on a TCP connection`, () => {
      connection.setKeepAlive(true, 2000);
      expect(limitSilence(fdOf(connection), seconds)).toEqual({ ok: true, value: null });
    });
  }

  test("a UDP socket has no such options", () => {
    expect(limitSilence(fdOf(udp), 5)).toMatchObject({ ok: false, supported: true });
  });
});

const GRANTED = { ok: true, value: null } as const;

function refusedWith(code: string) {
  return { ok: false, supported: true, message: expect.stringContaining(`(${code})`), code } as const;
}

direct.describe("offload, times and pacing", () => {
  test("a UDP socket splits and gathers, a TCP connection does not (ENOPROTOOPT)", () => {
    expect(setUdpSegmentation(fdOf(udp), 1024)).toEqual(GRANTED);
    expect(setUdpSegmentation(fdOf(udp), 65_507)).toEqual(GRANTED);
    expect(setUdpSegmentation(fdOf(udp), 0)).toEqual(GRANTED);
    expect(enableUdpReceiveOffload(fdOf(udp))).toEqual(GRANTED);
    // Whatever the number, a TCP socket has no options of this level.
    expect(setUdpSegmentation(fdOf(connection), 1024)).toMatchObject({ ok: false, supported: true });
    expect(enableUdpReceiveOffload(fdOf(connection))).toMatchObject({ ok: false, supported: true });
  });

  test.each([-1, 65_536])("packets of %d bytes cannot be: EINVAL", (bytes) => {
    expect(setUdpSegmentation(fdOf(udp), bytes)).toEqual(refusedWith("EINVAL"));
  });

  test("arrival times may be asked for of any socket", () => {
    expect(enableArrivalTimes(fdOf(udp))).toEqual(GRANTED);
  });

  test("unsent data is bounded on TCP, and on nothing else", () => {
    expect(limitUnsent(fdOf(connection), 131_072)).toEqual(GRANTED);
    expect(limitUnsent(fdOf(udp), 131_072)).toMatchObject({ ok: false, supported: true });
  });

  test.each([-1, NO_DESCRIPTOR])("descriptor %d is an answer, not a throw (EBADF)", (fd) => {
    const outcomes = [
      setUdpSegmentation(fd, 1024),
      enableUdpReceiveOffload(fd),
      enableArrivalTimes(fd),
      limitUnsent(fd, 131_072),
      limitPacingRate(fd, 1_000_000),
    ];
    expect(outcomes).toEqual(outcomes.map(() => refusedWith("EBADF")));
  });

  const withSs = testsUnless(Bun.which("ss") === null ? "there is no ss (Debian: iproute2)" : null);
  const UNITS: Readonly<Record<string, number>> = { bps: 1, Kbps: 1e3, Mbps: 1e6, Gbps: 1e9 };
  // The second is beyond 32 bits.
  for (const bytesPerSecond of [1_375_000, 12_500_000_000]) {
    withSs.test(`the kernel paces a connection at ${bytesPerSecond} B/s, as ss tells it`, async () => {
      expect(limitPacingRate(fdOf(connection), bytesPerSecond)).toEqual(GRANTED);
      const { stdout } = await run(["ss", "-tinH", "sport", "=", `:${connection.localPort}`]);
      // What it is now, and what it is at most.
      const [, most, unit = ""] = /pacing_rate [^ /]*\/([\d.]+)([KMG]?bps)/.exec(stdout) ?? [];
      expect(Number(most) * (UNITS[unit] ?? NaN)).toBe(bytesPerSecond * 8);
    });
  }
});
