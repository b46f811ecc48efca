// Senders that are held send nothing until they may go on, and their time goes on.
import { describe, expect, test } from "bun:test";
import { FAMILIES, FRAMED, receiverSpec, Recorder, senderSpec, startPair, TEST_ID, until } from "./recorder.ts";

const BYTES_PER_SECOND = 500_000;
const PACINGS = ["even", "slices"] as const;
const CASES = FAMILIES.flatMap((family) => PACINGS.map((pacing) => [family, pacing] as const));

describe("a sender that is held", () => {
  test.concurrent.each(CASES)("for a while: %s, %s", async (family, pacing) => {
    const { sender, receiver } = await startPair(family, { durationSeconds: 2, intervalSeconds: 0.1, pacing });
    await until(() => sender.sends.length === 5, "data");
    sender.stream.hold(true);
    sender.stream.hold(true);
    const before = sender.sends.length;
    await Bun.sleep(1_000);
    // The one that was under way may hold some.
    const held = sender.sends.slice(before + 1);
    expect(held.length).toBeGreaterThan(6);
    expect(held.map(({ bytesSent }) => bytesSent)).toEqual(held.map(() => 0));
    sender.stream.hold(false);
    await Promise.all([sender.over, receiver.over]);
    sender.expectEnded();
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    // It ends when it was to, without what it did not send.
    const seconds = sender.sends.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
    expect(Math.abs(seconds - 2)).toBeLessThan(0.2);
    expect(Math.abs(sender.bytes - BYTES_PER_SECOND)).toBeLessThan(0.25 * BYTES_PER_SECOND);
    if (family === "udp") {
      expect(sender.report?.sent).toEqual({ packets: sender.bytes / FRAMED, omittedPackets: 0 });
      expect(receiver.report?.totals.books).toMatchObject({ packetsUnique: sender.bytes / FRAMED, packetsLost: 0 });
    }
  });

  test.concurrent.each(FAMILIES)("as fast as it can: %s", async (family) => {
    const { sender, receiver } = await startPair(family, {
      durationSeconds: 1,
      intervalSeconds: 0.1,
      bandwidthBytesPerSecond: 0,
      sendBufferBytes: 16_384,
    });
    await until(() => sender.sends.length === 3, "data");
    sender.stream.hold(true);
    const before = sender.sends.length;
    await until(() => sender.sends.length >= before + 4, "intervals");
    const held = sender.sends.slice(before + 1);
    expect(held.map(({ bytesSent }) => bytesSent)).toEqual(held.map(() => 0));
    sender.stream.hold(false);
    const again = sender.sends.length;
    await Promise.all([sender.over, receiver.over]);
    sender.expectEnded();
    expect(sender.sends.slice(again + 1).some(({ bytesSent }) => bytesSent > 0)).toBe(true);
  });

  test.concurrent.each(FAMILIES)(
    "from before its beginning to its end sends nothing, not even an end: %s",
    async (family) => {
      const receiver = await Recorder.prepared(receiverSpec(family));
      receiver.stream.start(null);
      const sender = await Recorder.prepared(senderSpec(family, receiver.port, { durationSeconds: 0.5 }));
      sender.stream.hold(true);
      sender.stream.start(null);
      await sender.over;
      sender.expectEnded();
      expect(sender.bytes).toBe(0);
      expect(sender.report?.sent).toEqual({ packets: 0, omittedPackets: 0 });
      await receiver.over;
      receiver.expectFailed("stream-silent");
    },
  );

  test("and is stopped tells its peer nothing over UDP", async () => {
    const came: Uint8Array[] = [];
    const peer = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_, datagram) => void came.push(datagram) },
    });
    const sender = await Recorder.prepared(senderSpec("udp", peer.port, { durationSeconds: 20, intervalSeconds: 0.1 }));
    sender.stream.start(null);
    await until(() => sender.sends.length === 3, "data");
    sender.stream.hold(true);
    await Bun.sleep(50);
    const before = came.length;
    sender.stream.stop();
    await sender.over;
    sender.expectEnded();
    await Bun.sleep(100);
    peer.close();
    expect(before).toBeGreaterThan(0);
    expect(came).toHaveLength(before);
    expect(came.filter((datagram) => datagram.length === TEST_ID.length)).toEqual([]);
  });
});
