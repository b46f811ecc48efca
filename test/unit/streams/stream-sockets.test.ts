// What streams put on the wire and ask of the system.
import { describe, expect, test } from "bun:test";
import { descriptorOf } from "../../../ffi/descriptor.ts";
import { readSocketBuffer } from "../../../ffi/sockopt.ts";
import type { SenderSpec } from "../../../src/streams/spec.ts";
import { factsOf } from "../../golden/scenarios.ts";
import { testsUnless } from "../../support/conditional.ts";
import { freePort } from "../../support/ports.ts";
import { FAMILIES, listenAt, receiverSpec, Recorder, runPair, senderSpec, TEST_ID, until } from "./recorder.ts";

describe("what a sender puts on the wire", () => {
  test("TCP: the test id first, then the pattern", async () => {
    const chunks: Uint8Array[] = [];
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_socket, chunk) => void chunks.push(Uint8Array.from(chunk)), close: () => resolve() },
    });
    const changes = { lengthBytes: 300, bandwidthBytesPerSecond: 12_000, durationSeconds: 0.05 };
    const sender = await Recorder.prepared(senderSpec("tcp", listener.port, changes));
    sender.stream.start(null);
    await Promise.all([sender.over, ended]);
    listener.stop(true);
    sender.expectEnded();
    const bytes = Buffer.concat(chunks);
    expect(bytes.length).toBe(sender.bytes);
    expect([...bytes.subarray(0, 16)]).toEqual([...TEST_ID]);
    // A short write is not resumed in mid-buffer: the next one begins with the test id again.
    const firstWrite = bytes.subarray(0, 300);
    expect(firstWrite).toHaveLength(300);
    expect([...firstWrite.subarray(16)]).toEqual(Array.from({ length: 284 }, (_, index) => (index + 16) % 256));
    expect([...bytes.subarray(300, 316)]).toEqual([...TEST_ID]);
  });

  test("UDP: numbered packets, then five end markers", async () => {
    const datagrams: Uint8Array[] = [];
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_socket, datagram) => void datagrams.push(Uint8Array.from(datagram)) },
    });
    const changes = { lengthBytes: 100, bandwidthBytesPerSecond: 10_800, durationSeconds: 0.5 };
    const sender = await Recorder.prepared(senderSpec("udp", socket.port, changes));
    sender.stream.start(null);
    await sender.over;
    await until(() => datagrams.filter((one) => one.length === 16).length === 5, "five end markers");
    socket.close();
    sender.expectEnded();
    const packets = datagrams.filter((one) => one.length === 100);
    expect(datagrams).toHaveLength(packets.length + 5);
    expect(packets.length * 108).toBe(sender.bytes);
    expect(packets.map((one) => Number(Buffer.from(one).readBigUInt64BE(16)))).toEqual(packets.map((_, id) => id));
    for (const datagram of datagrams) expect([...datagram.subarray(0, 16)]).toEqual([...TEST_ID]);
  });
});

describe("port pools", () => {
  test.each(FAMILIES)("%s: streams are dealt round, a busy port is skipped, a pool can be empty", async (family) => {
    const [first, second] = [await freePort(), await freePort()];
    const ports = [
      { first, last: first },
      { first: second, last: second },
    ];
    const one = await Recorder.prepared(receiverSpec(family, { endpoint: listenAt({ ports, firstChoice: 1 }) }));
    expect(one.port).toBe(second);
    const two = await Recorder.prepared(receiverSpec(family, { endpoint: listenAt({ ports, firstChoice: 3 }) }));
    expect(two.port).toBe(first);
    const three = await Recorder.prepared(receiverSpec(family, { endpoint: listenAt({ ports, firstChoice: 4 }) }));
    three.expectFailed("pool-exhausted");
    expect(three.all("failed")[0]?.message).toContain(`${first},${second}`);
    expect(three.all("prepared")).toEqual([]);
    for (const { stream } of [one, two]) stream.stop();
  });

  test.each(FAMILIES)("%s: an address of another machine cannot be bound", async (family) => {
    const receiver = await Recorder.prepared(
      receiverSpec(family, { endpoint: listenAt({ bindAddress: "192.0.2.1" }) }),
    );
    receiver.expectFailed("bind-failed");
    expect(receiver.all("failed")[0]?.message).toContain("192.0.2.1");
  });
});

describe("socket facts", () => {
  const linux = testsUnless(process.platform === "linux" ? null : "only Linux tells twice the buffer");
  for (const family of FAMILIES) {
    linux.test(`${family}: what was asked for is read back, doubled`, async () => {
      const { sender, receiver } = await runPair(
        family,
        { sendBufferBytes: 50_000, durationSeconds: 0.1, offload: "off" },
        { receiveBufferBytes: 60_000, offload: "off" },
      );
      const ofFamily = family === "tcp" ? { pacing: "kernel" as const, writeBytes: 1024 } : { offload: false };
      // The congestion control and the segment size are this system's.
      const ofTcp = family === "tcp" ? { congestion: expect.any(String), maxSegmentBytes: expect.any(Number) } : {};
      expect(sender.all("socket").map(({ facts }) => facts)).toEqual([
        factsOf({ sendBufferBytes: 100_000, dscp: 0, ...ofFamily, ...ofTcp }),
      ]);
      // TCP tells twice: of the listener, then of the connection.
      const ofUdp = family === "tcp" ? {} : { offload: false, timestamps: "kernel" as const };
      expect(receiver.facts).toEqual(factsOf({ receiveBufferBytes: 120_000, dscp: 0, ...ofUdp, ...ofTcp }));
      receiver.expectEnded();
    });
  }

  linux.test("a UDP receiver that nobody asked anything of has more than the system's default", async () => {
    const byDefault = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    const before = readSocketBuffer(descriptorOf(byDefault) ?? NaN, "receive");
    byDefault.close();
    const receiver = await Recorder.prepared(receiverSpec("udp"));
    receiver.stream.stop();
    expect(receiver.facts?.receiveBufferBytes).toBeGreaterThanOrEqual(before.ok ? before.value : NaN);
  });

  linux.test("TCP: who spreads the segments, and how much is written at once", async () => {
    const facts = async (changes: Partial<SenderSpec>) =>
      (await runPair("tcp", { durationSeconds: 0.05, ...changes })).sender.facts;
    expect(await facts({ pacing: "slices" })).toMatchObject({ pacing: "user", writeBytes: 1024 });
    expect(await facts({ bandwidthBytesPerSecond: 0 })).toMatchObject({ pacing: null, writeBytes: 1024 });
    const slow = await facts({ writeSize: "auto", bandwidthBytesPerSecond: 1_250_000 });
    const fast = await facts({ writeSize: "auto", bandwidthBytesPerSecond: 0 });
    expect(slow).toMatchObject({ pacing: "kernel" });
    expect(fast?.writeBytes).toBeGreaterThan(slow?.writeBytes ?? NaN);
    expect(slow?.writeBytes).toBeGreaterThanOrEqual(1024);
  });
});
