import { closeSync, openSync } from "node:fs";
import { afterEach, expect, test } from "bun:test";
import { type DatagramReader, openDatagramReader } from "../../../ffi/datagram-reader.ts";
import { type DirectIo, NOT_NOW, openDirectIo, refusalName } from "../../../ffi/direct-io.ts";
import { enableArrivalTimes, enableUdpReceiveOffload, setUdpSegmentation } from "../../../ffi/sockopt.ts";
import { closeDescriptor, connectSocket, openSocket } from "../../../ffi/open-socket.ts";
import { adoptDatagrams } from "../../../src/streams/adopt-datagrams.ts";
import { eventually } from "../../support/eventually.ts";
import { connectUdp, direct, fdOf, granted, NO_DESCRIPTOR } from "./sockets.ts";

const openedReader = openDatagramReader();
/** Only inside the tests below. */
const reader = openedReader as DatagramReader;
const io = openDirectIo() as DirectIo;
const close: (() => void)[] = [];

afterEach(() => {
  for (const one of close.splice(0)) one();
});

/** A port that only the reader reads, and a way to send to it. */
async function open(hostname = "127.0.0.1", from = hostname) {
  const socket = await Bun.udpSocket({ hostname, port: 0 });
  const { port } = socket;
  const adopted = await adoptDatagrams(io, socket);
  const sender = await connectUdp(port, from);
  close.push(
    () => adopted?.close(),
    () => sender.close(),
  );
  const senderFd = fdOf(sender);
  return {
    fd: fdOf(adopted ?? {}),
    port,
    senderFd,
    senderPort: sender.port,
    send: (bytes: Uint8Array, count = bytes.length) => expect(io.send(senderFd, bytes, count)).toBe(count),
  };
}

/** The next datagram's size. */
async function next(fd: number): Promise<number> {
  return eventually(
    "a datagram",
    () => reader.read(fd),
    (bytes) => bytes !== NOT_NOW,
  );
}

function filled(bytes: number, value = bytes): Uint8Array {
  return new Uint8Array(bytes).fill(value & 0xff);
}

test("there is one where the platform says so, and else none", () => {
  expect(openedReader !== null).toBe(process.platform === "linux");
});

direct.describe("what is read", () => {
  test("datagrams of different sizes, each whole, in order, and then nothing for now", async () => {
    const { fd, send } = await open();
    const sizes = [1, 1472, 36, 65_507, 2, 9000];
    for (const size of sizes) send(filled(size));
    for (const size of sizes) {
      expect(await next(fd)).toBe(size);
      expect(reader.segmentBytes).toBe(0);
      expect(Buffer.compare(reader.bytes.subarray(0, size), filled(size))).toBe(0);
    }
    expect(reader.read(fd)).toBe(NOT_NOW);
  });

  test("view and words are of the same memory", async () => {
    const { fd, send } = await open();
    send(Uint8Array.of(1, 2, 3, 4, 0x80, 0, 0, 5));
    expect(await next(fd)).toBe(8);
    expect(reader.view.getUint32(0)).toBe(0x01020304);
    expect(reader.view.getUint32(4)).toBe(0x80000005);
    expect([...new Uint8Array(reader.words.buffer, 0, 8)]).toEqual([1, 2, 3, 4, 0x80, 0, 0, 5]);
  });

  test("an empty datagram is one of no bytes", async () => {
    const { fd, send } = await open();
    send(filled(3));
    send(filled(1), 0);
    send(filled(4));
    expect([await next(fd), await next(fd), await next(fd)]).toEqual([3, 0, 4]);
    expect(reader.read(fd)).toBe(NOT_NOW);
  });

  test("of two sockets in turn, each its own", async () => {
    const [one, other] = [await open(), await open()];
    one.send(filled(10));
    other.send(filled(20));
    one.send(filled(11));
    expect([await next(other.fd), await next(one.fd), await next(one.fd)]).toEqual([20, 10, 11]);
  });

  test("what is no socket is refused by name", () => {
    expect([-1, NO_DESCRIPTOR].map((fd) => refusalName(reader.read(fd)))).toEqual(["EBADF", "EBADF"]);
    const file = openSync(import.meta.path, "r");
    try {
      expect(refusalName(reader.read(file))).toBe("ENOTSOCK");
    } finally {
      closeSync(file);
    }
  });
});

direct.describe("where it came from", () => {
  /** As a URL writes it: the shortest form of an address. */
  function shortest(address: string): string {
    return new URL(`http://${address.includes(":") ? `[${address}]` : address}`).hostname.replace(/[[\]]/g, "");
  }

  test.each([
    ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
    ["127.1.2.3", "127.1.2.3", "127.0.0.1"],
    ["::1", "::1", "::1"],
    ["::", "127.0.0.1", "::ffff:7f00:1"],
  ])("on %s, sent to %s: from %s", async (hostname, to, from) => {
    const { fd, send } = await open(hostname, to);
    send(filled(5));
    expect(await next(fd)).toBe(5);
    expect(shortest(reader.address())).toBe(from);
  });
});

direct.describe("whether it came from the same", () => {
  /** Another way to send to the same port. */
  async function another(port: number, hostname: string) {
    const sender = await connectUdp(port, hostname);
    close.push(() => sender.close());
    return { port: sender.port, send: () => expect(io.send(fdOf(sender), filled(5), 5)).toBe(5) };
  }

  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::1", "::1"],
    ["::", "127.0.0.1"],
  ])("on %s, from two ports of %s", async (hostname, from) => {
    const { fd, port, senderPort, send } = await open(hostname, from);
    const other = await another(port, from);
    send(filled(5));
    expect([await next(fd), reader.port()]).toEqual([5, senderPort]);
    const source = reader.source();
    expect(reader.isFrom(source)).toBe(true);
    other.send();
    expect([await next(fd), reader.port()]).toEqual([5, other.port]);
    expect(reader.isFrom(source)).toBe(false);
    send(filled(6));
    expect([await next(fd), reader.isFrom(source)]).toEqual([6, true]);
  });

  test("the same port at another address is another", async () => {
    const { fd, port, senderPort, send } = await open("0.0.0.0", "127.0.0.1");
    const other = granted(
      openSocket({
        transport: "udp",
        ipVersion: 4,
        localAddress: "127.0.0.2",
        localPort: senderPort,
        reusePort: false,
        device: null,
      }),
    );
    close.push(() => closeDescriptor(other));
    granted(connectSocket(other, "127.0.0.1", port));
    expect(io.send(other, filled(5), 5)).toBe(5);
    expect(await next(fd)).toBe(5);
    const source = reader.source();
    expect(reader.address()).toBe("127.0.0.2");
    send(filled(5));
    expect([await next(fd), reader.isFrom(source), reader.port()]).toEqual([5, false, senderPort]);
  });

  test("of sockets of both families in turn", async () => {
    const [ipv4, ipv6] = [await open(), await open("::1")];
    ipv4.send(filled(1));
    ipv4.send(filled(2));
    ipv6.send(filled(3));
    await next(ipv4.fd);
    const source = reader.source();
    await next(ipv6.fd);
    expect(reader.isFrom(source)).toBe(false);
    await next(ipv4.fd);
    expect(reader.isFrom(source)).toBe(true);
  });
});

direct.describe("when it came", () => {
  test("nothing is told unless it was asked for", async () => {
    const { fd, send } = await open();
    send(filled(5));
    await next(fd);
    expect(reader.arrivalWallSeconds).toBeNaN();
  });

  test("between the moments before it was sent and after it was read, for each datagram", async () => {
    const { fd, send } = await open();
    expect(enableArrivalTimes(fd)).toEqual({ ok: true, value: null });
    let lastSeconds = -Infinity;
    for (let turn = 0; turn < 20; turn++) {
      const beforeSeconds = reader.wallSeconds();
      send(filled(100));
      expect(await next(fd)).toBe(100);
      const arrivalSeconds = reader.arrivalWallSeconds;
      expect(arrivalSeconds).toBeGreaterThanOrEqual(beforeSeconds);
      expect(arrivalSeconds).toBeLessThanOrEqual(reader.wallSeconds());
      expect(arrivalSeconds).toBeGreaterThan(lastSeconds);
      lastSeconds = arrivalSeconds;
    }
  });

  test("however late it is read", async () => {
    const { fd, send } = await open();
    enableArrivalTimes(fd);
    // The kernel begins to take the times a moment after the first socket has asked for them.
    await Bun.sleep(50);
    send(filled(5));
    const afterSeconds = reader.wallSeconds();
    await Bun.sleep(50);
    expect(await next(fd)).toBe(5);
    expect(reader.arrivalWallSeconds).toBeLessThanOrEqual(afterSeconds);
  });

  test("the reader's wall clock is the system's, and keeps more than microseconds", async () => {
    const difference = () => Date.now() / 1000 - reader.wallSeconds();
    const before = difference();
    // All readers count from a whole second of their own.
    expect(Math.abs(before - Math.round(before))).toBeLessThan(0.1);
    await Bun.sleep(30);
    expect(Math.abs(difference() - before)).toBeLessThan(0.02);
    const readings = Array.from({ length: 200 }, () => reader.wallSeconds());
    const steps = readings.slice(1).map((seconds, index) => seconds - (readings[index] ?? NaN));
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(0);
    expect(steps.some((step) => step > 0 && step < 100e-6)).toBe(true);
  });
});

direct.describe("groups (UDP_SEGMENT, UDP_GRO)", () => {
  async function openGrouped(lengthBytes: number) {
    const opened = await open();
    expect(setUdpSegmentation(opened.senderFd, lengthBytes)).toEqual({ ok: true, value: null });
    expect(enableUdpReceiveOffload(opened.fd)).toEqual({ ok: true, value: null });
    return opened;
  }

  test.each([
    [1000, 10_000],
    [1000, 9_500],
    [36, 36 * 64],
    [1024, 63 * 1024],
    [1472, 2 * 1472],
  ])("packets of %d bytes, %d sent at once, come in one read that tells their size", async (lengthBytes, bytes) => {
    const { fd, send } = await openGrouped(lengthBytes);
    const sent = Uint8Array.from({ length: bytes }, (_, index) => (index / lengthBytes) & 0xff);
    send(sent);
    expect(await next(fd)).toBe(bytes);
    expect(reader.segmentBytes).toBe(lengthBytes);
    expect(Buffer.compare(reader.bytes.subarray(0, bytes), sent)).toBe(0);
  });

  test("a packet by itself is no group, also behind one", async () => {
    const { fd, send } = await openGrouped(500);
    send(filled(1500));
    send(filled(500));
    send(filled(16));
    expect([await next(fd), reader.segmentBytes]).toEqual([1500, 500]);
    expect([await next(fd), reader.segmentBytes]).toEqual([500, 0]);
    expect([await next(fd), reader.segmentBytes]).toEqual([16, 0]);
  });

  test("with the time of their arrival", async () => {
    const { fd, send } = await openGrouped(500);
    enableArrivalTimes(fd);
    const beforeSeconds = reader.wallSeconds();
    send(filled(5000));
    expect(await next(fd)).toBe(5000);
    expect(reader.segmentBytes).toBe(500);
    expect(reader.arrivalWallSeconds).toBeGreaterThanOrEqual(beforeSeconds);
    expect(reader.arrivalWallSeconds).toBeLessThanOrEqual(reader.wallSeconds());
    expect(reader.address()).toBe("127.0.0.1");
  });

  test("a receiver that did not ask for groups gets each packet by itself", async () => {
    const { fd, senderFd, send } = await open();
    setUdpSegmentation(senderFd, 400);
    send(filled(1000));
    expect([await next(fd), await next(fd), await next(fd)]).toEqual([400, 400, 200]);
    expect(reader.segmentBytes).toBe(0);
  });

  test("a sender that turned splitting off sends one datagram again", async () => {
    const { fd, senderFd, send } = await openGrouped(400);
    expect(setUdpSegmentation(senderFd, 0)).toEqual({ ok: true, value: null });
    send(filled(1000));
    expect([await next(fd), reader.segmentBytes]).toEqual([1000, 0]);
  });

  test("more than the kernel splits at once is refused whole, and nothing of it leaves", async () => {
    const { fd, senderFd, send } = await openGrouped(36);
    const many = new Uint8Array(36 * 200);
    expect(refusalName(io.send(senderFd, many, many.length))).toBe("EINVAL");
    send(filled(40));
    expect([await next(fd), reader.segmentBytes]).toEqual([40, 36]);
    expect(reader.read(fd)).toBe(NOT_NOW);
  });
});
