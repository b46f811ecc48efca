// What others send to a receiver.
import { describe, expect, test } from "bun:test";
import { FOREIGN, receiverSpec, Recorder, senderSpec, TEST_ID, until } from "./recorder.ts";

describe("what others send to a receiver", () => {
  test("foreign datagrams are not counted and warned about once", async () => {
    const receiver = await Recorder.prepared(receiverSpec("udp"));
    const stranger = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    const throwAll = () => {
      for (const datagram of [FOREIGN, FOREIGN.slice(0, 16), TEST_ID.slice(0, 15), new Uint8Array([...TEST_ID, 0])]) {
        stranger.send(datagram, receiver.port, "127.0.0.1");
      }
    };
    receiver.stream.start(null);
    throwAll();
    await until(() => receiver.all("warning").length > 0, "a warning");
    const sender = await Recorder.prepared(senderSpec("udp", receiver.port, { durationSeconds: 0.4 }));
    sender.stream.start(null);
    const timer = setInterval(throwAll, 50);
    await Promise.all([sender.over, receiver.over]);
    clearInterval(timer);
    stranger.close();
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    expect(receiver.all("warning")).toHaveLength(1);
    expect(receiver.all("warning")[0]?.message).toContain(`port ${receiver.port} (from 127.0.0.1)`);
  });

  test("foreign connections are closed, not counted, and warned about once", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    receiver.stream.start(null);
    const closed: number[] = [];
    const open = async (index: number, bytes: Uint8Array) => {
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: receiver.port,
        socket: { data: () => {}, close: () => void closed.push(index) },
      });
      socket.write(bytes);
    };
    await open(0, FOREIGN);
    await open(1, Uint8Array.of(...TEST_ID.slice(0, 15), 0));
    await until(() => closed.length === 2, "two closed connections");
    // One that never tells who it is waits, until the real one comes.
    await open(2, TEST_ID.slice(0, 5));
    expect(closed).toHaveLength(2);
    const sender = await Recorder.prepared(senderSpec("tcp", receiver.port, { durationSeconds: 0.3 }));
    sender.stream.start(null);
    await Promise.all([sender.over, receiver.over]);
    await until(() => closed.length === 3, "the third to be closed");
    sender.expectEnded();
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    expect(receiver.all("warning")).toHaveLength(1);
    expect(receiver.all("warning")[0]?.message).toContain(`port ${receiver.port} (from 127.0.0.1)`);
  });

  test("connections that tell nothing, however many, do not keep the real one out", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    receiver.stream.start(null);
    const connect = () => Bun.connect({ hostname: "127.0.0.1", port: receiver.port, socket: { data: () => {} } });
    const silent = await Promise.all(Array.from({ length: 100 }, connect));
    const sender = await Recorder.prepared(senderSpec("tcp", receiver.port, { durationSeconds: 0.3 }));
    sender.stream.start(null);
    await Promise.all([sender.over, receiver.over]);
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
    for (const socket of silent) socket.terminate();
  });

  test("the preamble may come byte by byte, and counts", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    receiver.stream.start(null);
    const socket = await Bun.connect({ hostname: "127.0.0.1", port: receiver.port, socket: { data: () => {} } });
    socket.setNoDelay(true);
    for (const byte of TEST_ID) {
      socket.write(Uint8Array.of(byte));
      await Bun.sleep(2);
    }
    socket.write(FOREIGN);
    socket.end();
    await receiver.over;
    receiver.expectEnded();
    expect(receiver.bytes).toBe(16 + FOREIGN.length);
  });

  test("data that comes between prepared and start counts", async () => {
    const receiver = await Recorder.prepared(receiverSpec("tcp"));
    const sender = await Recorder.prepared(senderSpec("tcp", receiver.port, { durationSeconds: 0.3 }));
    sender.stream.start(null);
    await Bun.sleep(100);
    receiver.stream.start(null);
    await Promise.all([sender.over, receiver.over]);
    receiver.expectEnded();
    expect(receiver.bytes).toBe(sender.bytes);
  });
});
