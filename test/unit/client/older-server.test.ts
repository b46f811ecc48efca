import { expect, test } from "bun:test";
import { runTest } from "../../../src/client/run-test.ts";
import { systemClock } from "../../../src/clock.ts";
import { makeTestConfig } from "../../../src/config/test-config.ts";
import { startFakeServer } from "../../support/fake-server.ts";
import { scriptedPool } from "../../support/scripted-worker.ts";

/** The kinds of what a server hears that grants `extensions`. */
async function heardWith(extensions: object): Promise<unknown[]> {
  const server = await startFakeServer((message, { send, socket, dataPort }) => {
    if (message["kind"] === "configuration") send({ kind: "connect", stream_ports: [dataPort], extensions });
    if (message["kind"] === "begin") setTimeout(() => send({ kind: "done", origin: "server", stream_idx: 0 }), 50);
    if (message["kind"] === "end") socket.end();
  });
  const { config } = makeTestConfig({ host: "127.0.0.1", port: server.port, family: "udp" });
  const report = {
    totals: { books: null, bufferDrops: null, sendsRefused: 0, bytesUndelivered: null },
    sent: { packets: 3, omittedPackets: 0 },
  };
  const pool = scriptedPool({ prepare: [{ type: "prepared", port: null }], start: [{ type: "ended", report }] });
  await runTest(config, { clock: systemClock(), pool, emit: () => {}, signal: AbortSignal.any([]) });
  server.stop();
  return server.messages.map(({ kind }) => kind);
}

test("a server that grants nothing which needs the final count is not told it: version 1 refuses the message", async () => {
  expect(await heardWith({ version: 1, omit_seconds: 0 })).toEqual(["configuration", "begin", "end"]);
  expect(await heardWith({ version: 3, omit_seconds: 0, accounting: true })).toContain("sent");
});
