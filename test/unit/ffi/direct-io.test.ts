import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { afterEach, expect, test } from "bun:test";
import { type DirectIo, NOT_NOW, openDirectIo, outcomeOf, refusalName } from "../../../ffi/direct-io.ts";
import { eventually } from "../../support/eventually.ts";
import { freePort } from "../../support/ports.ts";
import { type Connection, connectTcp, connectUdp, direct, fdOf, NO_DESCRIPTOR, untilReached } from "./sockets.ts";

const opened = openDirectIo();
/** Only inside the tests below. */
const io = opened as DirectIo;
const connections: Connection[] = [];

async function connect(): Promise<Connection> {
  const connection = await connectTcp();
  connections.push(connection);
  return connection;
}

afterEach(() => {
  for (const connection of connections.splice(0)) connection.close();
});

/** Asks until something else comes than "not now". */
async function soon(ask: () => number): Promise<number> {
  return eventually("an answer", ask, (answer) => answer !== NOT_NOW);
}

test("there is one where the platform says so, and else none", () => {
  expect(opened !== null).toBe(process.platform === "linux");
});

test("outcomes: counts stay, what may be tried again is not now, the rest is a refusal of its name", () => {
  const { EAGAIN, EINTR, ECONNREFUSED, EPERM } = constants.errno;
  expect([0, 1, 65_536].map((result) => outcomeOf(result, () => EPERM))).toEqual([0, 1, 65_536]);
  expect([EAGAIN, EINTR].map((errno) => outcomeOf(-1, () => errno))).toEqual([NOT_NOW, NOT_NOW]);
  const refusals = [ECONNREFUSED, EPERM].map((errno) => outcomeOf(-1, () => errno));
  for (const refusal of refusals) expect(refusal).toBeLessThan(NOT_NOW);
  expect(refusals.map(refusalName)).toEqual(["ECONNREFUSED", "EPERM"]);
  expect(refusalName(outcomeOf(-1, () => 4095))).toBe("errno 4095");
});

direct.describe("send, TCP", () => {
  test("the bytes taken, and no more than were told to be sent, arrive", async () => {
    const { nearFd, far } = await connect();
    const chunks: Uint8Array[] = [];
    far.reload({ socket: { data: (_socket, chunk) => void chunks.push(Uint8Array.from(chunk)) } });
    far.resume();
    const buffer = Uint8Array.from({ length: 100 }, (_, index) => index);
    expect(io.send(nearFd, buffer, 60)).toBe(60);
    // The buffer was read before the call returned.
    buffer.fill(0xff);
    await eventually(
      "60 bytes",
      () => Buffer.concat(chunks).length,
      (length) => length === 60,
    );
    expect(Buffer.concat(chunks)).toEqual(Buffer.from(Array.from({ length: 60 }, (_, index) => index)));
  });

  test("a full connection takes a part, and then nothing for now; with room it takes more", async () => {
    const { nearFd, farFd } = await connect();
    const buffer = new Uint8Array(8_000_000);
    let taken = 0;
    let last = 0;
    while ((last = io.send(nearFd, buffer, buffer.length)) > 0) taken += last;
    expect(last).toBe(NOT_NOW);
    expect(taken).toBeGreaterThan(0);
    let thrown = 0;
    await eventually(
      "room",
      () => {
        for (let bytes = io.discard(farFd); bytes > 0; bytes = io.discard(farFd)) thrown += bytes;
        return io.send(nearFd, buffer, 1);
      },
      (answer) => answer === 1,
    );
    expect(thrown).toBeGreaterThan(0);
  });

  test("to a peer that reset: refused by name, and no signal ends the process", async () => {
    const { nearFd, far } = await connect();
    far.terminate();
    const ask = () => io.send(nearFd, new Uint8Array(10), 10);
    const isRefusal = (answer: number) => answer < NOT_NOW;
    const answers = [untilReached(ask, isRefusal), untilReached(ask, isRefusal)].map(refusalName);
    expect(["ECONNRESET", "EPIPE"]).toContain(answers[0] ?? "");
    expect(answers[1]).toBe("EPIPE");
  });
});

direct.describe("send, UDP", () => {
  test("a datagram at a time, also an empty one", async () => {
    const sizes: number[] = [];
    const receiver = await Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_socket, datagram) => void sizes.push(datagram.length) },
    });
    const sender = await connectUdp(receiver.port);
    const buffer = new Uint8Array(65_507);
    for (const bytes of [1, 1472, 0, 65_507]) expect(io.send(fdOf(sender), buffer, bytes)).toBe(bytes);
    await eventually(
      "four datagrams",
      () => sizes.length,
      (count) => count === 4,
    );
    expect(sizes).toEqual([1, 1472, 0, 65_507]);
    sender.close();
    receiver.close();
  });

  test("one that is too large: EMSGSIZE, and the next one leaves", async () => {
    const sender = await connectUdp(await freePort());
    const answer = io.send(fdOf(sender), new Uint8Array(65_508), 65_508);
    expect(refusalName(answer)).toBe("EMSGSIZE");
    expect(io.send(fdOf(sender), new Uint8Array(10), 10)).toBe(10);
    sender.close();
  });

  test("to a port that nobody has: ECONNREFUSED, once told (udp(7))", async () => {
    const sender = await connectUdp(await freePort());
    const fd = fdOf(sender);
    expect(io.send(fd, new Uint8Array(10), 10)).toBe(10);
    const answer = await eventually(
      "a refusal",
      () => io.send(fd, new Uint8Array(10), 10),
      (bytes) => bytes < 0,
    );
    expect(refusalName(answer)).toBe("ECONNREFUSED");
    sender.close();
  });
});

direct.describe("discard", () => {
  test("counts what came, throws it away, and then there is nothing for now", async () => {
    const { near, farFd } = await connect();
    expect(io.discard(farFd)).toBe(NOT_NOW);
    near.write(new Uint8Array(1000));
    expect(await soon(() => io.discard(farFd))).toBe(1000);
    expect(io.discard(farFd)).toBe(NOT_NOW);
  });

  test("of a lot, all of it in several calls", async () => {
    const { nearFd, farFd } = await connect();
    const buffer = new Uint8Array(100_000);
    let sent = 0;
    let thrown = 0;
    await eventually(
      "50 MB",
      () => {
        for (let taken = 0; sent < 50e6 && (taken = io.send(nearFd, buffer, buffer.length)) > 0;) sent += taken;
        for (let bytes = io.discard(farFd); bytes > 0; bytes = io.discard(farFd)) thrown += bytes;
        return thrown;
      },
      (bytes) => bytes >= 50e6,
    );
    expect(thrown).toBe(sent);
  });

  test("the end of a connection is 0, as often as one asks, and behind its last data", async () => {
    const { near, farFd } = await connect();
    near.write(new Uint8Array(5));
    near.end();
    expect(await soon(() => io.discard(farFd))).toBe(5);
    expect(await soon(() => io.discard(farFd))).toBe(0);
    expect(io.discard(farFd)).toBe(0);
  });

  test("a reset is refused by name", async () => {
    const { near, farFd } = await connect();
    near.terminate();
    const answer = untilReached(
      () => io.discard(farFd),
      (bytes) => bytes !== NOT_NOW,
    );
    expect(refusalName(answer)).toBe("ECONNRESET");
  });
});

direct.describe("what is no socket", () => {
  test.each([-1, NO_DESCRIPTOR])("descriptor %d: EBADF", (fd) => {
    const answers = [io.send(fd, new Uint8Array(1), 1), io.discard(fd), io.duplicate(fd)];
    expect(answers.map(refusalName)).toEqual(["EBADF", "EBADF", "EBADF"]);
  });

  test("a file: ENOTSOCK", () => {
    const fd = openSync(import.meta.path, "r");
    try {
      const answers = [io.send(fd, new Uint8Array(1), 1), io.discard(fd)];
      expect(answers.map(refusalName)).toEqual(["ENOTSOCK", "ENOTSOCK"]);
    } finally {
      closeSync(fd);
    }
  });
});

direct.describe("duplicate", () => {
  test("a second descriptor of the same socket, which no child inherits", async () => {
    const { near, nearFd, farFd } = await connect();
    const before = readdirSync("/proc/self/fd").length;
    const second = io.duplicate(nearFd);
    expect(second).toBeGreaterThan(2);
    expect(second).not.toBe(nearFd);
    expect(readdirSync("/proc/self/fd").length).toBe(before + 1);
    // O_CLOEXEC is 02000000 (proc_pid_fdinfo(5)).
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${second}`, "utf8"))?.[1] ?? "0";
    expect(Number.parseInt(flags, 8) & 0o2000000).toBe(0o2000000);
    // The socket lives on in it.
    near.terminate();
    closeSync(second);
    expect(await soon(() => io.discard(farFd))).toBeLessThanOrEqual(0);
  });
});

direct.test("another thread may have the CPU", () => {
  expect(io.yieldCpu()).toBeUndefined();
});
