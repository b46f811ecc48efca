import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterEach, expect, test } from "bun:test";
import {
  closeDescriptor,
  connectionError,
  connectSocket,
  isWritable,
  localEndpoint,
  openSocket,
  remoteEndpoint,
  type SocketRequest,
} from "../../../ffi/open-socket.ts";
import { openDatagramReader } from "../../../ffi/datagram-reader.ts";
import { NOT_NOW } from "../../../ffi/direct-io.ts";
import { eventually, within } from "../../support/eventually.ts";
import { testsUnless } from "../../support/conditional.ts";
import { run } from "../../support/process.ts";
import { freePort } from "../../support/ports.ts";
import { adopt, connectUdp, direct, fdOf, granted, NO_DESCRIPTOR } from "./sockets.ts";

const TCP: SocketRequest = {
  transport: "tcp",
  ipVersion: 4,
  localAddress: null,
  localPort: 0,
  reusePort: false,
  device: null,
};
const UDP: SocketRequest = { ...TCP, transport: "udp" };
const DONE = { ok: true, value: null } as const;

const close: (() => void)[] = [];

afterEach(() => {
  for (const one of close.splice(0)) one();
});

function open(request: SocketRequest): number {
  const fd = granted(openSocket(request));
  close.push(() => closeDescriptor(fd));
  return fd;
}

/** Of an open descriptor (proc_pid_fdinfo(5)). */
function flagsOf(fd: number) {
  const text = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
  return Number.parseInt(text, 8);
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

test("not supported where the platform has it not", () => {
  if (process.platform === "linux") return;
  const outcomes = [openSocket(TCP), connectSocket(0, "127.0.0.1", 1), connectionError(0), localEndpoint(0)];
  for (const outcome of outcomes) expect(outcome).toMatchObject({ ok: false, supported: false });
  expect(isWritable(0)).toBe(false);
});

direct.describe("openSocket", () => {
  test.each([
    ["tcp", 4, "0.0.0.0"],
    ["tcp", 6, "::"],
    ["udp", 4, "0.0.0.0"],
    ["udp", 6, "::"],
  ] as const)("%s over IPv%d: unbound, never waiting, inherited by no child", (transport, ipVersion, address) => {
    const fd = open({ ...TCP, transport, ipVersion });
    expect(localEndpoint(fd)).toEqual({ ok: true, value: { address, port: 0 } });
    const expected = 0o4000 | 0o2000000;
    expect(flagsOf(fd) & expected).toBe(expected);
    expect(remoteEndpoint(fd)).toMatchObject({ ok: false, code: "ENOTCONN" });
  });

  test.each([
    ["tcp", 4, "127.0.0.1"],
    ["tcp", 4, "127.1.2.3"],
    ["tcp", 6, "::1"],
    ["udp", 4, "127.0.0.1"],
    ["udp", 6, "::1"],
    ["udp", 6, "::ffff:127.0.0.1"],
    ["udp", 4, null],
  ] as const)("%s over IPv%d bound to %s, with a port and without", async (transport, ipVersion, localAddress) => {
    const request = { ...TCP, transport, ipVersion, localAddress };
    const address = localAddress ?? "0.0.0.0";
    const localPort = await freePort();
    expect(granted(localEndpoint(open({ ...request, localPort })))).toEqual({ address, port: localPort });
    if (localAddress === null) return;
    const chosen = granted(localEndpoint(open(request)));
    expect(chosen.address).toBe(address);
    expect(chosen.port).toBeGreaterThan(0);
  });

  test("a port that is taken: EADDRINUSE, by name and in the message, and nothing stays open", async () => {
    const taken = open({ ...UDP, localAddress: "127.0.0.1" });
    const { port } = granted(localEndpoint(taken));
    const before = descriptors();
    const outcome = openSocket({ ...UDP, localAddress: "127.0.0.1", localPort: port });
    expect(outcome).toEqual({
      ok: false,
      supported: true,
      code: "EADDRINUSE",
      message: `binding to 127.0.0.1 port ${port} was refused by the system (EADDRINUSE)`,
    });
    expect(descriptors()).toBe(before);
  });

  test("a port may be shared by those that ask for it", () => {
    for (const transport of ["tcp", "udp"] as const) {
      const request: SocketRequest = { ...TCP, transport, localAddress: "127.0.0.1", reusePort: true };
      const { port } = granted(localEndpoint(open(request)));
      expect(granted(localEndpoint(open({ ...request, localPort: port }))).port).toBe(port);
      expect(openSocket({ ...UDP, transport: "udp", localAddress: "127.0.0.1", localPort: port }).ok).toBe(
        transport === "tcp",
      );
    }
  });

  test.each([
    ["an address of nobody here", { ...UDP, localAddress: "192.0.2.1" }, "EADDRNOTAVAIL", "192.0.2.1"],
    ["an interface that is not there", { ...UDP, device: "nosuch0" }, "ENODEV", "nosuch0"],
    ["IPv6 on IPv4", { ...UDP, localAddress: "::1" }, "EAFNOSUPPORT", "::1"],
    ["no address", { ...UDP, localAddress: "nowhere" }, "EAFNOSUPPORT", "nowhere"],
    ["a zone that is not there", { ...UDP, ipVersion: 6, localAddress: "fe80::1%nosuch0" }, "EAFNOSUPPORT", "nosuch0"],
    ["link-local without a zone", { ...UDP, ipVersion: 6, localAddress: "fe80::1" }, "EINVAL", "fe80::1"],
  ] as const)("%s is refused by name", (_name, request, code, text) => {
    const before = descriptors();
    expect(openSocket(request)).toEqual({ ok: false, supported: true, code, message: expect.stringContaining(text) });
    expect(descriptors()).toBe(before);
  });

  test("IPv6 alone leaves the port to IPv4, both together do not", async () => {
    for (const v6Only of [true, false]) {
      const localPort = await freePort();
      open({ ...UDP, ipVersion: 6, localPort, v6Only });
      expect(openSocket({ ...UDP, localPort }).ok).toBe(v6Only);
    }
  });

  const withSs = testsUnless(Bun.which("ss") === null ? "there is no ss (Debian: iproute2)" : null);
  withSs.test("bound to the loopback interface, as ss tells it", async () => {
    const fd = open({ ...UDP, device: "lo", localAddress: "127.0.0.1" });
    const { port } = granted(localEndpoint(fd));
    const { stdout } = await run(["ss", "-uanH", "sport", "=", `:${port}`]);
    expect(stdout).toContain(`127.0.0.1%lo:${port}`);
  });
});

direct.describe("connectSocket", () => {
  async function connected(fd: number) {
    await eventually(
      "a connection",
      () => isWritable(fd),
      (writable) => writable,
    );
  }

  test.each([
    [4, "127.0.0.1", "127.0.0.1"],
    [6, "::1", "::1"],
    [6, "127.0.0.1", "::ffff:127.0.0.1"],
    [4, "::ffff:127.0.0.1", "127.0.0.1"],
  ] as const)(
    "TCP over IPv%d to %s, from the port asked for; Bun goes on with it",
    async (ipVersion, address, peer) => {
      const heard = Promise.withResolvers<string>();
      const listener = Bun.listen({
        hostname: peer,
        port: 0,
        socket: {
          data: (socket, bytes) => {
            socket.write(`${bytes.toString()} heard from ${socket.remotePort}`);
            socket.end();
          },
        },
      });
      close.push(() => listener.stop(true));
      const localPort = await freePort();
      const fd = granted(openSocket({ ...TCP, ipVersion, localPort }));
      expect(granted(connectSocket(fd, address, listener.port))).toBe("in-progress");
      await connected(fd);
      expect(connectionError(fd)).toEqual({ ok: true, value: null });
      expect(remoteEndpoint(fd)).toEqual({ ok: true, value: { address: peer, port: listener.port } });
      expect(localEndpoint(fd)).toEqual({ ok: true, value: { address: peer, port: localPort } });

      const ended = Promise.withResolvers<void>();
      const adopted = await adopt(fd, {
        data: (_socket, bytes) => heard.resolve(bytes.toString()),
        close: () => ended.resolve(),
      });
      expect(fdOf(adopted)).toBe(fd);
      adopted.write("words");
      expect(await within("an answer", heard.promise)).toBe(`words heard from ${localPort}`);
      await within("the end", ended.promise);
      expect(existsSync(`/proc/self/fd/${fd}`)).toBe(false);
    },
  );

  test("to a port that nobody has: ECONNREFUSED, told once", async () => {
    const fd = open(TCP);
    const answer = connectSocket(fd, "127.0.0.1", await freePort());
    expect(answer).toEqual({ ok: true, value: "in-progress" });
    await connected(fd);
    expect(connectionError(fd)).toEqual({ ok: true, value: "ECONNREFUSED" });
    expect(connectionError(fd)).toEqual({ ok: true, value: null });
  });

  test("a UDP socket is connected at once, to one peer; Bun adopts it, and the reader reads it", async () => {
    const fd = open({ ...UDP, localAddress: "127.0.0.1" });
    const { port } = granted(localEndpoint(fd));
    const peer = await connectUdp(port);
    const stranger = await connectUdp(port);
    close.push(
      () => peer.close(),
      () => stranger.close(),
    );
    expect(connectSocket(fd, "127.0.0.1", peer.port)).toEqual({ ok: true, value: "connected" });
    const adopted = await adopt(fd, { open: (socket) => socket.pause(), data: () => {} });
    close.pop();
    expect(fdOf(adopted)).toBe(fd);
    stranger.send("stranger");
    peer.send("peer");
    await Bun.sleep(20);
    const reader = openDatagramReader();
    const bytes = await eventually(
      "a datagram",
      () => reader?.read(fd) ?? NaN,
      (count) => count !== NOT_NOW,
    );
    expect(bytes).toBe(4);
    expect(reader?.address()).toBe("127.0.0.1");
    expect(reader?.read(fd)).toBe(NOT_NOW);
    adopted.terminate();
    await Bun.sleep(0);
    expect(existsSync(`/proc/self/fd/${fd}`)).toBe(false);
  });

  test("what is no address of the socket's version, and what is no socket, is refused by name", () => {
    expect(connectSocket(open(TCP), "::1", 1)).toMatchObject({ code: "EAFNOSUPPORT" });
    expect(connectSocket(open(UDP), "nowhere", 1)).toMatchObject({ code: "EAFNOSUPPORT" });
    for (const fd of [-1, NO_DESCRIPTOR]) {
      const outcomes = [
        connectSocket(fd, "127.0.0.1", 1),
        connectionError(fd),
        localEndpoint(fd),
        remoteEndpoint(fd),
        closeDescriptor(fd),
      ];
      for (const outcome of outcomes) expect(outcome).toMatchObject({ ok: false, supported: true, code: "EBADF" });
    }
    expect(isWritable(NO_DESCRIPTOR)).toBe(true);
  });
});

direct.test("closeDescriptor closes once", () => {
  const fd = granted(openSocket(UDP));
  expect(closeDescriptor(fd)).toEqual(DONE);
  expect(closeDescriptor(fd)).toMatchObject({ ok: false, code: "EBADF" });
});
