import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "bun:test";
import { openDatagramReader } from "../../../ffi/datagram-reader.ts";
import { openDirectIo } from "../../../ffi/direct-io.ts";
import { closeDescriptor, connectSocket, localEndpoint, openSocket } from "../../../ffi/open-socket.ts";
import { enableUdpReceiveOffload, setSocketBuffer, setUdpSegmentation } from "../../../ffi/sockopt.ts";
import { readUdpDrops } from "../../../ffi/udp-drops.ts";
import { direct, granted, NO_DESCRIPTOR } from "./sockets.ts";

const PACKET_BYTES = 1000;
const close: (() => void)[] = [];

afterEach(() => {
  for (const one of close.splice(0)) one();
});

/** A socket with room for a few packets, and a way to fill it. */
function open() {
  const request = { transport: "udp", ipVersion: 4, localPort: 0, reusePort: false, device: null } as const;
  const fd = granted(openSocket({ ...request, localAddress: "127.0.0.1" }));
  const senderFd = granted(openSocket({ ...request, localAddress: null }));
  close.push(
    () => closeDescriptor(fd),
    () => closeDescriptor(senderFd),
  );
  granted(setSocketBuffer(fd, "receive", 10_000));
  const { port } = granted(localEndpoint(fd));
  granted(connectSocket(senderFd, "127.0.0.1", port));
  const io = openDirectIo();
  const memory = new Uint8Array(60_000);
  return {
    fd,
    senderFd,
    port,
    send: (packets: number) => expect(io?.send(senderFd, memory, packets * PACKET_BYTES)).toBe(packets * PACKET_BYTES),
  };
}

/** The last column of /proc/net/udp (proc_pid_net(5)). */
function dropsInProc(port: number): number {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const line = readFileSync("/proc/net/udp", "utf8")
    .split("\n")
    .find((text) => text.includes(`0100007F:${hex} `) && text.includes(" 00000000:0000 "));
  return Number(line?.trim().split(/\s+/).at(-1));
}

/** How many packets, each by itself or in groups, there are to be read. */
function readAll(fd: number): number {
  const reader = openDatagramReader();
  let packets = 0;
  for (let bytes = 0; (bytes = reader?.read(fd) ?? 0) > 0;) packets += bytes / (reader?.segmentBytes || bytes);
  return packets;
}

test("not supported where the platform has it not", () => {
  if (process.platform === "linux") return;
  expect(readUdpDrops(0)).toMatchObject({ ok: false, supported: false });
});

direct.describe("datagrams that found no room", () => {
  test("none at first, then each, as /proc/net/udp has it", () => {
    const { fd, port, send } = open();
    expect(readUdpDrops(fd)).toEqual({ ok: true, value: 0 });
    for (let turn = 0; turn < 100; turn++) send(1);
    const drops = granted(readUdpDrops(fd));
    expect(drops).toBeGreaterThan(50);
    expect(dropsInProc(port)).toBe(drops);
    expect(readAll(fd)).toBe(100 - drops);
    // What is read makes room, and is no drop.
    send(1);
    expect(readUdpDrops(fd)).toEqual({ ok: true, value: drops });
  });

  test("of a group sent at once (UDP_SEGMENT), each of its packets, where the receiver wants them by themselves", () => {
    const { fd, senderFd, port, send } = open();
    granted(setUdpSegmentation(senderFd, PACKET_BYTES));
    for (let turn = 0; turn < 10; turn++) send(10);
    const drops = granted(readUdpDrops(fd));
    expect(dropsInProc(port)).toBe(drops);
    expect(readAll(fd)).toBe(100 - drops);
  });

  test("of a group that would have been read as one (UDP_GRO): one, whatever it holds", () => {
    const { fd, senderFd, port, send } = open();
    granted(setUdpSegmentation(senderFd, PACKET_BYTES));
    granted(enableUdpReceiveOffload(fd));
    for (let turn = 0; turn < 10; turn++) send(10);
    const drops = granted(readUdpDrops(fd));
    expect(dropsInProc(port)).toBe(drops);
    expect(drops).toBeGreaterThan(0);
    expect(readAll(fd)).toBe(10 * (10 - drops));
  });

  test("what is no socket is an answer: EBADF", () => {
    for (const fd of [-1, NO_DESCRIPTOR]) expect(readUdpDrops(fd)).toMatchObject({ ok: false, code: "EBADF" });
  });
});
