import { afterEach, expect, test } from "bun:test";
import { openDirectIo } from "../../../ffi/direct-io.ts";
import { openWaiter, READABLE, type Waiter, WRITABLE } from "../../../ffi/wait.ts";
import { eventually } from "../../support/eventually.ts";
import { connectTcp, connectUdp, direct, fdOf, NO_DESCRIPTOR, untilReached } from "./sockets.ts";

const opened = openWaiter();
/** Only inside the tests below. */
const waiter = opened as Waiter;
const close: (() => void)[] = [];

afterEach(() => {
  waiter?.clear();
  for (const one of close.splice(0)) one();
});

async function connect() {
  const connection = await connectTcp();
  close.push(() => connection.close());
  return connection;
}

/** How long `wait` took, in seconds. */
function waited(timeoutSeconds: number): number {
  const start = performance.now();
  waiter.wait(timeoutSeconds);
  return (performance.now() - start) / 1000;
}

test("there is one where the platform says so, and else none", () => {
  expect(opened !== null).toBe(process.platform === "linux");
});

direct.describe("time", () => {
  test.each([0.000_05, 0.001, 0.0155, 0.12])("%d s are waited, and not less", (seconds) => {
    waiter.clear();
    expect(waited(seconds)).toBeGreaterThanOrEqual(seconds);
    expect(waiter.wait(0)).toBe(0);
  });

  test("more than a second, too", () => {
    waiter.clear();
    expect(waited(1.05)).toBeGreaterThanOrEqual(1.05);
  });

  test("no time at all is no wait for ever", () => {
    waiter.clear();
    expect(waiter.wait(0)).toBe(0);
  });
});

direct.describe("descriptors", () => {
  test("readable once there is something, until it is read", async () => {
    const io = openDirectIo();
    const { near, farFd } = await connect();
    waiter.clear();
    const index = waiter.add(farFd, READABLE);
    expect(waiter.wait(0.01)).toBe(0);
    expect(waiter.isReady(index)).toBe(false);
    near.write("abc");
    await eventually(
      "data",
      () => waiter.wait(0),
      (ready) => ready === 1,
    );
    expect(waiter.isReady(index)).toBe(true);
    expect(io?.discard(farFd)).toBe(3);
    expect(waiter.wait(0)).toBe(0);
    expect(waiter.isReady(index)).toBe(false);
  });

  test("data ends a wait before its time", async () => {
    const { near, farFd } = await connect();
    waiter.clear();
    waiter.add(farFd, READABLE);
    // The write is under way before this thread blocks.
    near.write("abc");
    near.flush();
    expect(waited(60)).toBeLessThan(30);
  });

  test("the end of a connection is readable", async () => {
    const { near, farFd } = await connect();
    waiter.clear();
    waiter.add(farFd, READABLE);
    near.end();
    await eventually(
      "the end",
      () => waiter.wait(0),
      (ready) => ready === 1,
    );
  });

  test("writable while there is room", async () => {
    const io = openDirectIo();
    const { nearFd, farFd } = await connect();
    waiter.clear();
    waiter.add(nearFd, WRITABLE);
    expect(waiter.wait(0)).toBe(1);
    const buffer = new Uint8Array(1_000_000);
    while ((io?.send(nearFd, buffer, buffer.length) ?? -1) > 0);
    await eventually(
      "a full socket",
      () => {
        while ((io?.send(nearFd, buffer, buffer.length) ?? -1) > 0);
        return waiter.wait(0);
      },
      (ready) => ready === 0,
    );
    await eventually(
      "room",
      () => {
        while ((io?.discard(farFd) ?? -1) > 0);
        return waiter.wait(0);
      },
      (ready) => ready === 1,
    );
  });

  test("of many, those that are ready, by their numbers", async () => {
    const receivers = await Promise.all(
      Array.from({ length: 40 }, () => Bun.udpSocket({ hostname: "127.0.0.1", port: 0 })),
    );
    close.push(() => receivers.forEach((receiver) => receiver.close()));
    waiter.clear();
    const indices = receivers.map((receiver) => waiter.add(fdOf(receiver), READABLE));
    expect(indices).toEqual(receivers.map((_, index) => index));
    expect(waiter.wait(0)).toBe(0);
    // Bun reads them when this turn is over: all of this happens within it.
    const io = openDirectIo();
    const senders = await Promise.all([3, 17, 39].map((index) => connectUdp(receivers[index]?.port ?? 0)));
    close.push(() => senders.forEach((sender) => sender.close()));
    for (const sender of senders) io?.send(fdOf(sender), new Uint8Array(1), 1);
    expect(waiter.wait(1)).toBe(3);
    expect(indices.filter((index) => waiter.isReady(index))).toEqual([3, 17, 39]);
  });

  test("a descriptor in error, or that is none, is ready: the next call on it tells", async () => {
    const { near, farFd } = await connect();
    near.terminate();
    waiter.clear();
    const reset = waiter.add(farFd, READABLE);
    const none = waiter.add(NO_DESCRIPTOR, READABLE);
    untilReached(
      () => waiter.wait(0),
      (ready) => ready === 2,
    );
    expect([reset, none].map((index) => waiter.isReady(index))).toEqual([true, true]);
  });

  test("forgotten ones are waited for no more", async () => {
    const { near, farFd } = await connect();
    near.write("abc");
    waiter.clear();
    waiter.add(farFd, READABLE);
    await eventually(
      "data",
      () => waiter.wait(0),
      (ready) => ready === 1,
    );
    waiter.clear();
    expect(waiter.wait(0)).toBe(0);
    const { farFd: quiet } = await connect();
    expect(waiter.add(quiet, READABLE)).toBe(0);
    expect(waiter.wait(0)).toBe(0);
    expect(waiter.isReady(0)).toBe(false);
  });
});

direct.test("two waiters of one thread do not know of each other's descriptors", async () => {
  const other = openWaiter();
  const { nearFd } = await connect();
  waiter.clear();
  waiter.add(nearFd, WRITABLE);
  expect(waiter.wait(0)).toBe(1);
  expect(other?.wait(0)).toBe(0);
});
