import { expect, test } from "bun:test";
import { openDirectIo } from "../../../ffi/direct-io.ts";
import { peekWaitingBytes } from "../../../ffi/waiting-bytes.ts";
import { eventually } from "../../support/eventually.ts";
import { connectTcp, direct, NO_DESCRIPTOR } from "./sockets.ts";

direct.test("what waits is shown, as far as there is room, and stays where it is", async () => {
  const connection = await connectTcp();
  const memory = new Uint8Array(4);
  expect(peekWaitingBytes(connection.farFd, memory)).toBe(0);
  connection.near.write(Uint8Array.of(1, 2));
  const peek = () => peekWaitingBytes(connection.farFd, memory);
  await eventually("two bytes", peek, (bytes) => bytes === 2);
  expect([...memory]).toEqual([1, 2, 0, 0]);
  connection.near.write(Uint8Array.of(3, 4, 5));
  await eventually("four of five", peek, (bytes) => bytes === 4);
  expect([...memory]).toEqual([1, 2, 3, 4]);
  expect(openDirectIo()?.discard(connection.farFd)).toBe(5);
  connection.near.end();
  await eventually(
    "the end",
    () => openDirectIo()?.discard(connection.farFd),
    (bytes) => bytes === 0,
  );
  expect(peek()).toBe(0);
  connection.close();
});

direct.test("what is broken, or not there, has nothing", async () => {
  const connection = await connectTcp();
  connection.near.terminate();
  await eventually(
    "a refusal",
    () => openDirectIo()?.discard(connection.farFd) ?? 0,
    (answer) => answer < -1,
  );
  expect([connection.farFd, NO_DESCRIPTOR].map((fd) => peekWaitingBytes(fd, new Uint8Array(4)))).toEqual([0, 0]);
  connection.close();
});

test("where the system cannot tell, nothing is told", () => {
  expect(peekWaitingBytes(NO_DESCRIPTOR, new Uint8Array(4))).toBe(process.platform === "linux" ? 0 : null);
});
