import { readdirSync } from "node:fs";
import { afterEach, expect } from "bun:test";
import { openDatagramReader } from "../../../ffi/datagram-reader.ts";
import { descriptorOf } from "../../../ffi/descriptor.ts";
import { NOT_NOW, openDirectIo } from "../../../ffi/direct-io.ts";
import { adoptDatagrams } from "../../../src/streams/adopt-datagrams.ts";
import { testsUnless } from "../../support/conditional.ts";
import { eventually, within } from "../../support/eventually.ts";

const io = openDirectIo();
const reader = openDatagramReader();
const linux = testsUnless(io === null || reader === null ? "sockets cannot be read past Bun here" : null);

const ADOPT_URL = import.meta.resolve("../../../src/streams/adopt-datagrams.ts");
const DIRECT_IO_URL = import.meta.resolve("../../../ffi/direct-io.ts");

const close: (() => void)[] = [];
afterEach(() => {
  for (const one of close.splice(0)) one();
});

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Makes the calls that open something of their own on first use. */
async function settle(): Promise<number> {
  const { adopted } = await adopt();
  adopted.close();
  await Bun.sleep(50);
  return descriptors();
}

async function open(onData: () => void = () => {}, hostname = "127.0.0.1", port = 0) {
  return Bun.udpSocket({ hostname, port, socket: { data: onData } });
}

async function adopt(onData: () => void = () => {}, hostname = "127.0.0.1") {
  if (io === null) throw new Error("no direct calls");
  const socket = await open(onData, hostname);
  const port = socket.port;
  const adopted = await adoptDatagrams(io, socket);
  if (adopted === null) throw new Error("not adopted");
  return { adopted, port, fd: descriptorOf(adopted) ?? NaN };
}

async function isFree(port: number): Promise<boolean> {
  try {
    (await open(() => {}, "127.0.0.1", port)).close();
    return true;
  } catch {
    return false;
  }
}

/** The sizes of all that can be read. */
async function sizesOf(fd: number, count: number): Promise<number[]> {
  const sizes: number[] = [];
  await eventually(
    `${count} datagrams`,
    () => {
      for (let size = reader?.read(fd) ?? NOT_NOW; size >= 0; size = reader?.read(fd) ?? NOT_NOW) sizes.push(size);
      return sizes.length;
    },
    (length) => length >= count,
  );
  return sizes;
}

linux.test("what comes before and after is read past Bun, in order, and Bun reads none of it", async () => {
  let byBun = 0;
  const sender = await open();
  close.push(() => sender.close());
  const socket = await open(() => byBun++);
  const port = socket.port;
  // Bun has no chance to read this one: it is sent and taken over in the same turn.
  sender.send(new Uint8Array(1), port, "127.0.0.1");
  const adopting = io === null ? null : adoptDatagrams(io, socket);
  sender.send(new Uint8Array(2), port, "127.0.0.1");
  const adopted = await adopting;
  close.push(() => adopted?.close());
  sender.send(new Uint8Array(3), port, "127.0.0.1");
  const fd = descriptorOf(adopted ?? {}) ?? NaN;
  const first = await sizesOf(fd, 3 - byBun);
  // What came in between may still have been Bun's; nothing after it is.
  expect([1, 2, 3].slice(byBun)).toEqual(first);
  const already = byBun;
  for (let size = 10; size < 20; size++) {
    sender.send(new Uint8Array(size), port, "127.0.0.1");
    await Bun.sleep(2);
  }
  expect(await sizesOf(fd, 10)).toEqual(Array.from({ length: 10 }, (_, index) => 10 + index));
  expect(byBun).toBe(already);
});

linux.test("over IPv6 as well", async () => {
  const { adopted, port, fd } = await adopt(() => {}, "::1");
  close.push(() => adopted.close());
  const sender = await open(() => {}, "::1");
  close.push(() => sender.close());
  sender.send(new Uint8Array(7), port, "::1");
  expect(await sizesOf(fd, 1)).toEqual([7]);
});

linux.test("the port is held until the socket is closed, and its descriptor then is gone", async () => {
  const before = await settle();
  const { adopted, port } = await adopt();
  expect(descriptors()).toBe(before + 1);
  expect(await isFree(port)).toBe(false);
  adopted.close();
  await eventually("the descriptors", descriptors, (count) => count === before);
  expect(await isFree(port)).toBe(true);
});

linux.test("many, opened and closed in turn, leave nothing behind", async () => {
  const before = await settle();
  for (let turn = 0; turn < 50; turn++) (await adopt()).adopted.close();
  await eventually("the descriptors", descriptors, (count) => count <= before);
});

linux.test("a socket that is closed already is left alone", async () => {
  if (io === null) throw new Error("no direct calls");
  const socket = await open();
  socket.close();
  expect(await adoptDatagrams(io, socket)).toBeNull();
});

linux.test("a Worker that is terminated leaves neither a descriptor nor a bound port behind", async () => {
  const source = `
    import { adoptDatagrams } from ${JSON.stringify(ADOPT_URL)};
    import { openDirectIo } from ${JSON.stringify(DIRECT_IO_URL)};
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    const port = socket.port;
    globalThis.kept = await adoptDatagrams(openDirectIo(), socket);
    postMessage(globalThis.kept === null ? 0 : port);
  `;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const adoptInWorker = async () => {
    const worker = new Worker(url, { smol: true });
    const port = new Promise<number>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<number>) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    return { worker, port: await within("the Worker's port", port) };
  };
  // The first Worker of a process opens some things that stay.
  const { worker: first } = await adoptInWorker();
  first.terminate();
  await Bun.sleep(200);
  const before = descriptors();
  const { worker, port } = await adoptInWorker();
  expect(port).toBeGreaterThan(0);
  expect(await isFree(port)).toBe(false);
  worker.terminate();
  await eventually(
    "the port",
    () => isFree(port),
    (free) => free,
  );
  await eventually("the descriptors", descriptors, (count) => count <= before);
  URL.revokeObjectURL(url);
});
