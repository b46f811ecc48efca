import { afterEach, expect } from "bun:test";
import { openDirectIo } from "../../../ffi/direct-io.ts";
import { ConnectionWitness } from "../../../src/streams/connection-witness.ts";
import { eventually } from "../../support/eventually.ts";
import { descriptorsOf } from "../../support/watched-server.ts";
import { type Connection, connectTcp, direct } from "../ffi/sockets.ts";

const connections: Connection[] = [];

afterEach(() => {
  for (const connection of connections.splice(0)) connection.close();
});

direct.describe("a witness of a connection", () => {
  async function watched() {
    const io = openDirectIo();
    const connection = await connectTcp();
    connections.push(connection);
    const witness = io === null ? null : await ConnectionWitness.open(io);
    if (io === null || witness === null) throw new Error("there is no witness here");
    return { io, connection, witness };
  }

  direct.test("knows nothing before it watches, and behind its close", async () => {
    const { connection, witness } = await watched();
    expect(witness.unacknowledgedBytes()).toBeNull();
    witness.watch(connection.nearFd);
    expect(witness.unacknowledgedBytes()).toBe(0);
    witness.close();
    expect(witness.unacknowledgedBytes()).toBeNull();
  });

  direct.test("still tells what was under way when Bun has closed the connection", async () => {
    const { io, connection, witness } = await watched();
    witness.watch(connection.nearFd);
    connection.far.pause();
    // More than both buffers hold.
    const buffer = new Uint8Array(1 << 20);
    for (let writes = 0; writes < 30; writes += 1) io.send(connection.nearFd, buffer, buffer.length);
    const queued = await eventually(
      "a queue that stands",
      () => witness.unacknowledgedBytes() ?? 0,
      (bytes) => bytes > 0,
    );
    connection.far.terminate();
    await eventually(
      "Bun's close",
      () => connection.near.readyState,
      (state) => state <= 0,
    );
    expect(witness.unacknowledgedBytes()).toBeGreaterThan(0);
    expect(witness.unacknowledgedBytes()).toBeLessThanOrEqual(queued);
    witness.close();
  });

  direct.test("holds one descriptor until its close, and lets the connection live", async () => {
    const { io, connection, witness } = await watched();
    const before = descriptorsOf(process.pid);
    witness.watch(connection.nearFd);
    expect(descriptorsOf(process.pid)).toBe(before);
    witness.close();
    expect(descriptorsOf(process.pid)).toBe(before - 1);
    expect(io.send(connection.nearFd, new Uint8Array(10), 10)).toBe(10);
  });
});
