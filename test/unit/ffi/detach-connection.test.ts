import { existsSync } from "node:fs";
import { afterEach, expect, test } from "bun:test";
import { detachConnection } from "../../../ffi/detach-connection.ts";
import { closeDescriptor } from "../../../ffi/open-socket.ts";
import { eventually, within } from "../../support/eventually.ts";
import { connectTcp, direct, fdOf, granted } from "./sockets.ts";

/** A Worker that adopts descriptors, and tells what becomes of them. */
const ADOPTER = `
  onmessage = async ({ data: { fd, lines } }) => {
    const tell = (...event) => postMessage(event);
    const socket = await Bun.connect({ fd, hostname: "", port: 0, socket: {
      open: (socket) => { tell("open", socket.fd); for (const line of lines) socket.write(line); },
      data: (socket, bytes) => {
        tell("data", bytes.toString());
        if (bytes.toString().endsWith("end")) socket.end();
      },
      end: () => tell("end"),
      error: (_socket, error) => tell("error", error.code),
      close: (_socket, error) => tell("close", error?.code ?? null),
    } });
  };
`;

type Told = readonly (readonly unknown[])[];
const close: (() => void)[] = [];

afterEach(() => {
  for (const one of close.splice(0)) one();
});

function openAdopter() {
  const url = URL.createObjectURL(new Blob([ADOPTER], { type: "text/javascript" }));
  const worker = new Worker(url, { smol: true });
  close.push(
    () => worker.terminate(),
    () => URL.revokeObjectURL(url),
  );
  const told: unknown[][] = [];
  worker.onmessage = (event: MessageEvent<unknown[]>) => void told.push(event.data);
  const untilTold = (what: string) =>
    eventually(
      what,
      (): Told => told,
      (events) => events.some(([kind]) => kind === what),
    );
  return {
    adopt: (fd: number, ...lines: string[]) => worker.postMessage({ fd, lines }),
    untilTold,
    terminate: () => worker.terminate(),
  };
}

/** A connection accepted by this thread, which has read the first bytes, and taken from Bun in that very moment. */
async function detached() {
  const taken = Promise.withResolvers<{ first: string; fd: number; oldFd: number }>();
  const closed = Promise.withResolvers<void>();
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket, bytes) => {
        const oldFd = fdOf(socket);
        socket.write("welcome ");
        taken.resolve({ first: bytes.toString(), fd: granted(detachConnection(socket)), oldFd });
      },
      close: () => closed.resolve(),
    },
  });
  const heard: string[] = [];
  const ends: string[] = [];
  const peer = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    socket: {
      data: (_socket, bytes) => void heard.push(bytes.toString()),
      end: () => void ends.push("end"),
      close: (_socket, error) => void ends.push(`close ${error === undefined ? "" : messageOf(error)}`.trim()),
    },
  });
  close.push(
    () => peer.terminate(),
    () => listener.stop(true),
  );
  peer.write("cookie");
  const connection = await within("the first bytes", taken.promise);
  await within("the close of Bun's socket", closed.promise);
  return { ...connection, peer, heard, ends };
}

function messageOf(error: Error): string {
  return "code" in error ? String(error.code) : error.message;
}

function isOpen(fd: number): boolean {
  return existsSync(`/proc/self/fd/${fd}`);
}

test("not supported where the platform has it not", async () => {
  if (process.platform === "linux") return;
  const connection = await connectTcp();
  expect(detachConnection(connection.near)).toMatchObject({ ok: false, supported: false });
  connection.close();
});

direct.describe("a connection taken from Bun", () => {
  test("its own descriptor is closed at once, the new one is open, and the peer notices nothing", async () => {
    const { first, fd, oldFd, peer, heard, ends } = await detached();
    expect(first).toBe("cookie");
    expect([oldFd, fd].map(isOpen)).toEqual([false, true]);
    peer.write("more");
    await Bun.sleep(50);
    expect(heard).toEqual(["welcome "]);
    expect(ends).toEqual([]);
    expect(peer.readyState).toBe(1);
    closeDescriptor(fd);
    await eventually(
      "the peer's end",
      () => ends.length,
      (count) => count > 0,
    );
  });

  test("a Worker goes on with it, both ways; what came between waits for it; a FIN is told and both are closed", async () => {
    const { fd, peer, heard, ends } = await detached();
    peer.write("between ");
    await Bun.sleep(20);
    const adopter = openAdopter();
    adopter.adopt(fd, "hello");
    await adopter.untilTold("data");
    await eventually(
      "the Worker's words",
      () => heard.join(""),
      (text) => text === "welcome hello",
    );
    peer.end("last");
    const told = await adopter.untilTold("close");
    const words = told.filter(([kind]) => kind === "data").map(([, text]) => text);
    expect(words.join("")).toBe("between last");
    expect(told[0]).toEqual(["open", fd]);
    expect(told.slice(-2)).toEqual([["end"], ["close", null]]);
    expect(isOpen(fd)).toBe(false);
    expect(ends).toContain("close");
  });

  test("the Worker's end reaches the peer as a FIN, no reset", async () => {
    const { fd, peer, ends } = await detached();
    const adopter = openAdopter();
    adopter.adopt(fd);
    await adopter.untilTold("open");
    peer.write("the end");
    await eventually(
      "the peer's end",
      () => ends,
      (all) => all.includes("close"),
    );
    expect(ends).toEqual(["end", "close"]);
    expect(isOpen(fd)).toBe(false);
  });

  test("a reset is told to the Worker, which closes", async () => {
    const { fd, peer } = await detached();
    const adopter = openAdopter();
    adopter.adopt(fd);
    await adopter.untilTold("open");
    peer.terminate();
    const told = await adopter.untilTold("close");
    expect(told.slice(1)).toEqual([["close", "ECONNRESET"]]);
    expect(isOpen(fd)).toBe(false);
  });

  test("a reset from before the Worker has it", async () => {
    const { fd, peer } = await detached();
    peer.terminate();
    await Bun.sleep(20);
    const adopter = openAdopter();
    adopter.adopt(fd);
    const told = await adopter.untilTold("close");
    expect(told).toEqual([
      ["open", fd],
      ["close", "ECONNRESET"],
    ]);
    expect(isOpen(fd)).toBe(false);
  });

  test("a Worker that is ended closes it", async () => {
    const { fd, ends } = await detached();
    const adopter = openAdopter();
    adopter.adopt(fd);
    await adopter.untilTold("open");
    adopter.terminate();
    await eventually(
      "the peer's end",
      () => ends.length,
      (count) => count > 0,
    );
    expect(isOpen(fd)).toBe(false);
  });

  test("as it opens, before anything was read", async () => {
    const opened = Promise.withResolvers<number>();
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => opened.resolve(granted(detachConnection(socket))), data: () => {} },
    });
    const peer = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data: () => {} } });
    close.push(
      () => peer.terminate(),
      () => listener.stop(true),
    );
    const fd = await within("a connection", opened.promise);
    peer.write("first");
    const adopter = openAdopter();
    adopter.adopt(fd);
    expect((await adopter.untilTold("data")).at(-1)).toEqual(["data", "first"]);
  });

  test("one that is closed has none: EBADF", async () => {
    const connection = await connectTcp();
    connection.close();
    expect(detachConnection(connection.near)).toMatchObject({ ok: false, supported: true, code: "EBADF" });
  });
});
