// How streams end: by silence, by a stop, or broken.
import { describe, expect, test } from "bun:test";
import { freePort } from "../../support/ports.ts";
import { FAMILIES, listenAt, receiverSpec, Recorder, senderSpec, startPair, TEST_ID, until } from "./recorder.ts";

/** Set here as well: bun forgets the preloaded default from the second file of a run on. */
const SLOW_TEST_MS = 30_000;

describe("silence", () => {
  test.each(FAMILIES)(
    "%s: no data at all fails with stream-silent, and without an interval",
    async (family) => {
      const receiver = await Recorder.prepared(receiverSpec(family));
      receiver.stream.start(null);
      await receiver.over;
      receiver.expectFailed("stream-silent");
      expect(receiver.intervals).toEqual([]);
    },
    SLOW_TEST_MS,
  );

  test.each(FAMILIES)(
    "%s: no more data fails with stream-silent, and what came is told",
    async (family) => {
      const receiver = await Recorder.prepared(receiverSpec(family));
      receiver.stream.start(null);
      const data = Uint8Array.of(...TEST_ID, ...new Uint8Array(84));
      if (family === "tcp") {
        const socket = await Bun.connect({ hostname: "127.0.0.1", port: receiver.port, socket: { data: () => {} } });
        socket.write(data);
      } else {
        const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
        socket.send(data, receiver.port, "127.0.0.1");
        socket.close();
      }
      await receiver.over;
      receiver.expectFailed("stream-silent");
      expect(receiver.bytes).toBe(family === "tcp" ? 100 : 108);
    },
    SLOW_TEST_MS,
  );

  test("end markers alone end a UDP stream without an interval", async () => {
    const receiver = await Recorder.prepared(receiverSpec("udp"));
    receiver.stream.start(null);
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    for (let copy = 0; copy < 5; copy++) socket.send(TEST_ID, receiver.port, "127.0.0.1");
    await receiver.over;
    socket.close();
    await Bun.sleep(50);
    receiver.expectEnded();
    expect(receiver.intervals).toEqual([]);
  });
});

describe("stop", () => {
  test.each(FAMILIES)("%s receiver before data: failed, stopped", async (family) => {
    const receiver = await Recorder.prepared(receiverSpec(family));
    receiver.stream.start(null);
    receiver.stream.stop();
    receiver.stream.stop();
    await receiver.over;
    receiver.expectFailed("stopped");
    expect(receiver.intervals).toEqual([]);
  });

  test.each(FAMILIES)("%s receiver before start: failed, stopped, and its port is free again", async (family) => {
    const receiver = await Recorder.prepared(receiverSpec(family));
    receiver.stream.stop();
    receiver.expectFailed("stopped");
    if (family === "udp") return; // the port of UDP lingers on purpose
    const endpoint = listenAt({ ports: [{ first: receiver.port, last: receiver.port }] });
    const next = await Recorder.prepared(receiverSpec(family, { endpoint }));
    expect(next.port).toBe(receiver.port);
    next.stream.stop();
  });

  test.each(FAMILIES)("%s receiver after data: what came is told, and it ends", async (family) => {
    const { sender, receiver } = await startPair(family, { durationSeconds: 20, intervalSeconds: 0.1 });
    await until(() => sender.sends.some((one) => one.bytesSent > 0), "data");
    await Bun.sleep(50);
    receiver.stream.stop();
    receiver.expectEnded();
    expect(receiver.bytes).toBeGreaterThan(0);
    const told = receiver.events.length;
    receiver.stream.stop();
    sender.stream.stop();
    await sender.over;
    expect(receiver.events).toHaveLength(told);
  });

  test.each(FAMILIES)("%s sender before start: failed, stopped", async (family) => {
    const sender = await Recorder.prepared(senderSpec(family, 9));
    sender.stream.stop();
    sender.stream.stop();
    sender.expectFailed("stopped");
    expect(sender.intervals).toEqual([]);
  });

  test.each(FAMILIES)("%s sender in mid-run: both sides end with the same count", async (family) => {
    const { sender, receiver } = await startPair(family, { durationSeconds: 20, intervalSeconds: 0.1 });
    await until(() => sender.bytes > 0, "data");
    sender.stream.stop();
    sender.stream.stop();
    await Promise.all([sender.over, receiver.over]);
    sender.expectEnded();
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    expect(sender.bytes).toBeLessThan(20 * 500_000);
  });
});

describe("broken streams", () => {
  test("a TCP receiver whose sender resets fails, with what it had told", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    receiver.stream.start(null);
    const socket = await Bun.connect({ hostname: "127.0.0.1", port: receiver.port, socket: { data: () => {} } });
    socket.write(TEST_ID);
    await Bun.sleep(50);
    // Bun's `terminate` resets.
    socket.terminate();
    await receiver.over;
    receiver.expectFailed("stream-failed");
    expect(receiver.bytes).toBe(TEST_ID.length);
  });

  test.each(FAMILIES)(
    "%s: a receiver that is stopped while it opens tells one end, and nothing after",
    async (family) => {
      const receiver = new Recorder(receiverSpec(family));
      const preparing = receiver.stream.prepare();
      receiver.stream.stop();
      await preparing;
      await Bun.sleep(20);
      expect(receiver.events.map(({ type }) => type)).toEqual(["failed"]);
    },
  );

  test.each(FAMILIES)("%s: however short, a stream sends something", async (family) => {
    const receiver = await Recorder.prepared(receiverSpec(family));
    receiver.stream.start(null);
    const spec = senderSpec(family, receiver.port, { durationSeconds: 0, bandwidthBytesPerSecond: 0 });
    const sender = await Recorder.prepared(spec);
    sender.stream.start(null);
    await Promise.all([sender.over, receiver.over]);
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    expect(receiver.bytes).toBeGreaterThan(0);
  });

  test("a TCP sender to a closed port fails, naming it", async () => {
    const port = await freePort();
    const sender = await Recorder.prepared(senderSpec("tcp", port));
    sender.stream.start(null);
    await sender.over;
    sender.expectFailed("stream-failed");
    expect(sender.intervals).toEqual([]);
  });

  test("a UDP sender to a closed port goes on to its end", async () => {
    const port = await freePort();
    const sender = await Recorder.prepared(senderSpec("udp", port, { durationSeconds: 0.3 }));
    sender.stream.start(null);
    await sender.over;
    sender.expectEnded();
    expect(sender.bytes).toBeLessThanOrEqual(150_000);
  });

  test("a TCP sender whose receiver closes fails, with its last interval told", async () => {
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (socket) => socket.terminate() },
    });
    const sender = await Recorder.prepared(senderSpec("tcp", listener.port, { durationSeconds: 10 }));
    sender.stream.start(null);
    await sender.over;
    listener.stop(true);
    sender.expectFailed("stream-failed");
    expect(sender.intervals).toHaveLength(1);
    expect(sender.bytes).toBeGreaterThanOrEqual(16);
  });

  test("a UDP packet too large for the route fails the sender", async () => {
    const receiver = await Recorder.prepared(receiverSpec("udp"));
    const sender = await Recorder.prepared(senderSpec("udp", receiver.port, { lengthBytes: 65_508 }));
    sender.stream.start(null);
    await sender.over;
    sender.expectFailed("stream-failed");
    expect(sender.bytes).toBe(0);
    receiver.stream.stop();
  });
});
