import { expect, test } from "bun:test";

import { monotonicMicroseconds, openUnixDatagrams } from "../../../ffi/unix-datagrams.ts";
import { testsUnless } from "../../support/conditional.ts";
import { eventually } from "../../support/eventually.ts";
import { openReceiver } from "../../support/unix-receiver.ts";

const onLinux = testsUnless(process.platform === "linux" ? null : "unix sockets are made past Bun on Linux only");

onLinux.describe("openUnixDatagrams", () => {
  test.each(["path", "abstract"] as const)("sends to a %s address, each text a datagram", async (kind) => {
    const receiver = openReceiver(kind);
    const opened = openUnixDatagrams(receiver.address);
    if (!opened.ok) throw new Error(opened.message);
    expect(opened.value.send("READY=1")).toEqual({ ok: true, value: null });
    expect(opened.value.send("STATUS=…\nWATCHDOG=1")).toEqual({ ok: true, value: null });
    await eventually(
      "both",
      () => receiver.received.length,
      (count) => count === 2,
    );
    expect(receiver.received).toEqual(["READY=1", "STATUS=…\nWATCHDOG=1"]);
    receiver.close();
    expect(opened.value.send("nobody")).toMatchObject({ ok: false, supported: true });
  });

  test("a receiver that does not read makes nobody wait", () => {
    const receiver = openReceiver("abstract");
    const opened = openUnixDatagrams(receiver.address);
    if (!opened.ok) throw new Error(opened.message);
    const outcomes = Array.from({ length: 100_000 }, () => opened.value.send("WATCHDOG=1"));
    expect(outcomes.find(({ ok }) => !ok)).toMatchObject({
      ok: false,
      code: expect.stringMatching(/^(EAGAIN|EWOULDBLOCK)$/),
    });
    receiver.close();
  });

  test.each(["relative", "", `/${"x".repeat(200)}`, `@${"x".repeat(108)}`])("%p is no address", (address) => {
    expect(openUnixDatagrams(address)).toMatchObject({ ok: false });
  });

  test("the longest abstract name is one", () => {
    expect(openUnixDatagrams(`@${"x".repeat(107)}`)).toMatchObject({ ok: true });
  });
});

onLinux.describe("monotonicMicroseconds", () => {
  test("goes as fast as any clock", async () => {
    const before = monotonicMicroseconds() ?? 0n;
    const beforeMs = performance.now();
    await Bun.sleep(50);
    const elapsedMs = Number((monotonicMicroseconds() ?? 0n) - before) / 1000;
    expect(Math.abs(elapsedMs - (performance.now() - beforeMs))).toBeLessThan(5);
  });
});
