// UDP streams with and without the kernel's offload: nobody on the wire, and no counter, may see a difference.
import { describe, expect, test } from "bun:test";
import { OFFLOAD_MODES } from "../../../src/config/choices.ts";
import type { ReceiverSpec, SenderSpec } from "../../../src/streams/spec.ts";
import { testsUnless } from "../../support/conditional.ts";
import { type Pair, receiverSpec, Recorder, runPair, senderSpec, sum, TEST_ID, until } from "./recorder.ts";

const linux = testsUnless(process.platform === "linux" ? null : "only Linux has UDP_SEGMENT and UDP_GRO");

/**
 * Sent and received agree, packet by packet. What the receiver's buffer did not take is missed by it, but for the last
 * packets before the end, which no later one tells of.
 */
function expectAgree({ sender, receiver }: Pair, lengthBytes: number, mayLose: boolean): void {
  sender.expectEnded();
  receiver.expectEnded();
  const sent = sum(sender.sends.map((one) => (one.family === "udp" ? one.packetsSent : NaN)));
  const count = (key: "packetsReceived" | "packetsLost" | "packetsDuplicated" | "packetsOutOfOrder") =>
    sum(receiver.udpReceives.map((one) => one[key]));
  const [received, lost] = [count("packetsReceived"), count("packetsLost")];
  expect(received).toBeGreaterThan(0);
  expect(sender.bytes).toBe(sent * (lengthBytes + 8));
  expect(receiver.bytes).toBe(received * (lengthBytes + 8));
  expect([count("packetsOutOfOrder"), count("packetsDuplicated")]).toEqual([0, 0]);
  if (mayLose) expect(received + lost).toBeLessThanOrEqual(sent);
  else expect([received, lost]).toEqual([sent, 0]);
}

const LENGTHS = [36, 37, 1021, 1024, 1472, 9000, 32_753, 32_754, 65_507];

for (const offload of OFFLOAD_MODES) {
  describe(`offload ${offload}`, () => {
    const testHere = offload === "on" ? linux.test : test;

    for (const lengthBytes of LENGTHS) {
      testHere(`packets of ${lengthBytes} bytes without a limit: none is counted twice, or for nothing`, async () => {
        const changes = { offload, lengthBytes, bandwidthBytesPerSecond: 0, durationSeconds: 0.2 };
        expectAgree(
          await runPair("udp", changes, { offload, lengthBytes, bandwidthBytesPerSecond: 0 }),
          lengthBytes,
          true,
        );
      });
    }

    testHere("at 200 Mb/s the plan is kept, and nothing is lost", async () => {
      const changes = { offload, bandwidthBytesPerSecond: 25_000_000, durationSeconds: 0.5 };
      const pair = await runPair("udp", changes, { offload, bandwidthBytesPerSecond: 25_000_000 });
      expectAgree(pair, 1024, false);
      expect(25_000_000 * 0.5 - pair.sender.bytes).toBeLessThan(1032);
      expect(pair.sender.bytes).toBeLessThanOrEqual(25_000_000 * 0.5);
    });

    testHere("in slices, many packets at once", async () => {
      const changes = { offload, pacing: "slices", bandwidthBytesPerSecond: 2_500_000, durationSeconds: 0.4 } as const;
      const pair = await runPair("udp", changes, { offload });
      expectAgree(pair, 1024, false);
    });

    testHere("omitted packets are the same on both sides", async () => {
      const changes = { offload, omitSeconds: 1, bandwidthBytesPerSecond: 12_500_000, durationSeconds: 1.4 };
      const pair = await runPair("udp", changes, { offload, omitSeconds: 1 });
      expectAgree(pair, 1024, false);
      const sent = sum(
        pair.sender.sends.map((one) => (one.family === "udp" ? (one.omitted?.packetsSent ?? NaN) : NaN)),
      );
      const received = sum(pair.receiver.udpReceives.map((one) => one.omitted?.packetsReceived ?? NaN));
      expect(received).toBe(sent);
      // About 5 of 7 parts; fewer where a stall takes some of the second that is omitted, and is made up for behind it.
      expect((sent * 1032) / pair.sender.bytes).toBeGreaterThan(0.1);
      expect(sent * 1032).toBeLessThan(1.01 * 12_500_000);
    });

    testHere("what is on the wire: packets of the length asked for, numbered without a gap, then the end", async () => {
      const lengthBytes = 200;
      const datagrams: Uint8Array[] = [];
      const socket = await Bun.udpSocket({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: (_socket, datagram) => void datagrams.push(Uint8Array.from(datagram)) },
      });
      const changes = {
        offload,
        lengthBytes,
        pacing: "slices",
        bandwidthBytesPerSecond: 208 * 20 * 20,
        durationSeconds: 0.2,
      } as const;
      const sender = await Recorder.prepared(senderSpec("udp", socket.port, changes));
      sender.stream.start(null);
      await sender.over;
      await until(() => datagrams.filter((one) => one.length === 16).length === 5, "five end markers");
      socket.close();
      const packets = datagrams.filter((one) => one.length !== 16).map((one) => Buffer.from(one));
      expect(packets).toHaveLength(80);
      expect(datagrams.slice(80).map((one) => [...one])).toEqual(Array.from({ length: 5 }, () => [...TEST_ID]));
      const pattern = Array.from({ length: lengthBytes - 36 }, (_, index) => (index + 36) % 256);
      let lastSeconds = 0;
      for (const [id, packet] of packets.entries()) {
        expect(packet).toHaveLength(lengthBytes);
        expect([...packet.subarray(0, 16)]).toEqual([...TEST_ID]);
        expect(packet.readBigUInt64BE(16)).toBe(BigInt(id));
        const seconds = Number(packet.readBigUInt64BE(24)) + packet.readUInt32BE(32) / 1e9;
        expect(seconds).toBeGreaterThanOrEqual(lastSeconds);
        lastSeconds = seconds;
        expect([...packet.subarray(36)]).toEqual(pattern);
      }
      // By the sender's clock: each slice has a time of its own, and they are a twentieth of a second apart.
      expect(lastSeconds - Date.now() / 1000).toBeLessThan(0.001);
      const stamps = new Set(packets.map((packet) => packet.readUInt32BE(32)));
      expect(stamps.size).toBeGreaterThanOrEqual(4);
    });
  });
}

linux.describe("what is told of it", () => {
  async function facts(sender: Partial<SenderSpec>, receiver: Partial<ReceiverSpec>) {
    const pair = await runPair("udp", { durationSeconds: 0.05, ...sender }, receiver);
    return [pair.sender.facts?.offload, pair.receiver.facts?.offload];
  }

  test("on and off are what they say, at any rate", async () => {
    for (const bandwidthBytesPerSecond of [125_000, 0]) {
      const known = { bandwidthBytesPerSecond };
      expect(await facts({ ...known, offload: "on" }, { ...known, offload: "on" })).toEqual([true, true]);
      expect(await facts({ ...known, offload: "off" }, { ...known, offload: "off" })).toEqual([false, false]);
    }
  });

  test("auto: where there is no limit, and where a receiver does not know; not at a low rate that it knows", async () => {
    expect(await facts({ bandwidthBytesPerSecond: 0 }, { bandwidthBytesPerSecond: 0 })).toEqual([true, true]);
    const [, unknown] = await facts({ bandwidthBytesPerSecond: 0 }, { bandwidthBytesPerSecond: null });
    expect(unknown).toBe(true);
    const [, slow] = await facts({ bandwidthBytesPerSecond: 125_000 }, { bandwidthBytesPerSecond: 125_000 });
    expect(slow).toBe(false);
  });

  test("arrival times are the kernel's, with and without it", async () => {
    for (const offload of OFFLOAD_MODES) {
      const receiver = await Recorder.prepared(receiverSpec("udp", { offload }));
      receiver.stream.stop();
      expect(receiver.facts?.timestamps).toBe("kernel");
    }
  });
});
