import { afterEach, expect, test } from "bun:test";
import { openDirectIo } from "../../../ffi/direct-io.ts";
import { decodeTcpInfo, readSendQueueBytes, readTcpInfo } from "../../../ffi/tcp-info.ts";
import { eventually } from "../../support/eventually.ts";
import { type Connection, connectTcp, connectUdp, direct, fdOf, granted, NO_DESCRIPTOR } from "./sockets.ts";

const connections: Connection[] = [];

afterEach(() => {
  for (const connection of connections.splice(0)) connection.close();
});

async function connect(): Promise<Connection> {
  const connection = await connectTcp();
  connections.push(connection);
  return connection;
}

test("not supported where the platform has it not", () => {
  if (process.platform === "linux") return;
  for (const outcome of [readTcpInfo(0), readSendQueueBytes(0)]) expect(outcome).toMatchObject({ supported: false });
});

test("each field from its place, null where the kernel wrote less", () => {
  const words = Uint32Array.from({ length: 58 }, (_, index) => index);
  const bytes = new Uint8Array(words.buffer);
  const long = (index: number) => (index + 1) * 2 ** 32 + index;
  expect(decodeTcpInfo(bytes)).toEqual({
    sendSegmentBytes: 4,
    unackedSegments: 6,
    sinceAckMilliseconds: 14,
    rttMicroseconds: 17,
    rttVariationMicroseconds: 18,
    congestionWindowSegments: 20,
    retransmittedSegments: 25,
    ackedBytes: long(30),
    notSentBytes: 36,
    leastRttMicroseconds: 37,
    deliveryBytesPerSecond: long(40),
    deliveredSegments: 48,
    sentBytes: long(50),
    retransmittedBytes: long(52),
  });
  // Linux 2.6 ended behind the retransmits, Linux 4.18 before the bytes sent; a cut is no figure.
  expect(decodeTcpInfo(bytes.subarray(0, 104))).toMatchObject({ retransmittedSegments: 25, ackedBytes: null });
  expect(decodeTcpInfo(bytes.subarray(0, 200))).toMatchObject({ deliveredSegments: 48, sentBytes: null });
  expect(decodeTcpInfo(bytes.subarray(0, 124))).toMatchObject({ ackedBytes: null });
  expect(new Set(Object.values(decodeTcpInfo(bytes.subarray(0, 0))))).toEqual(new Set([null]));
});

direct.describe("a connection's figures", () => {
  test("what was sent and acknowledged; the SYN counts as acknowledged, and the FIN", async () => {
    const { near, nearFd, farFd } = await connect();
    expect(granted(readTcpInfo(nearFd))).toMatchObject({ sentBytes: 0, ackedBytes: 1, notSentBytes: 0 });
    expect(granted(readTcpInfo(farFd))).toMatchObject({ sentBytes: 0, ackedBytes: 0 });
    near.write(new Uint8Array(5000));
    const info = await eventually(
      "acknowledgement",
      () => granted(readTcpInfo(nearFd)),
      ({ unackedSegments }) => unackedSegments === 0,
    );
    expect(info.ackedBytes).toBe(5001);
    expect(info.sinceAckMilliseconds).toBeLessThan(5_000);
    await Bun.sleep(300);
    const later = granted(readTcpInfo(nearFd)).sinceAckMilliseconds ?? 0;
    expect(later - (info.sinceAckMilliseconds ?? 0)).toBeGreaterThan(250);
    expect((info.sentBytes ?? NaN) - (info.retransmittedBytes ?? NaN)).toBe(5000);
    expect(info.sendSegmentBytes).toBeGreaterThan(500);
    expect(info.congestionWindowSegments).toBeGreaterThan(0);
    expect(info.rttMicroseconds).toBeGreaterThan(0);
    expect(info.rttMicroseconds).toBeLessThan(1_000_000);
    near.shutdown();
    await eventually(
      "acknowledgement of the end",
      () => granted(readTcpInfo(nearFd)).ackedBytes,
      (bytes) => bytes === 5002,
    );
  });

  test("what waits to be sent, and what is not acknowledged", async () => {
    const { nearFd } = await connect();
    const io = openDirectIo();
    const buffer = new Uint8Array(1_000_000);
    let taken = 0;
    for (let bytes = 0; (bytes = io?.send(nearFd, buffer, buffer.length) ?? 0) > 0;) taken += bytes;
    const info = await eventually(
      "the peer's buffer to be full",
      () => granted(readTcpInfo(nearFd)),
      ({ unackedSegments }) => unackedSegments === 0,
    );
    expect(info.notSentBytes).toBeGreaterThan(0);
    expect(granted(readSendQueueBytes(nearFd))).toBe(taken - (info.ackedBytes ?? NaN) + 1);
  });

  test("what is no connection is refused by name", async () => {
    const udp = await connectUdp(9);
    expect(readTcpInfo(fdOf(udp)).ok).toBe(false);
    udp.close();
    for (const fd of [-1, NO_DESCRIPTOR]) {
      for (const outcome of [readTcpInfo(fd), readSendQueueBytes(fd)]) expect(outcome).toMatchObject({ code: "EBADF" });
    }
  });
});
