// Clients that go away just behind a data connection: its descriptor is on its way to a Worker that is to end.
import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { makeServerConfig } from "../../../src/config/server-config.ts";
import { listen } from "../../../src/server/start-server.ts";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { hasOwnSockets } from "../../../src/streams/abilities.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import { eventually } from "../../support/eventually.ts";
import { downloadConfiguration, newTestId, RawClient, uploadConfiguration } from "../../support/raw-client.ts";

const CYCLES = 24;
const descriptors = (): number => readdirSync("/proc/self/fd").length;

test.skipIf(!existsSync("/proc/self/fd") || !hasOwnSockets())("none is left", async () => {
  const pool = new StreamWorkerPool(spawnWorker);
  const server = listen(makeServerConfig({ bindAddress: "127.0.0.1", port: 0 }), pool, () => {});
  const cycle = async (index: number) => {
    const test_id = newTestId();
    const client = await RawClient.connect(server.port);
    const configuration = index % 2 === 0 ? downloadConfiguration : uploadConfiguration;
    const extensions = { version: 3, single_port: true, duration: 1, bandwidth: 0 };
    await client.configure(configuration({ test_id, extensions, bandwidth: 0 }));
    const data = await RawClient.connect(server.port);
    data.send({ kind: "data", test_id, stream_idx: 0 });
    await Bun.sleep(index % 4);
    client.end();
    await client.closed();
    data.reset();
  };
  const idle = () =>
    eventually(
      "no Worker",
      () => pool.size + server.clients,
      (count) => count === 0,
    );
  for (let index = 0; index < 2; index++) await cycle(index);
  await idle();
  const before = descriptors();
  for (let index = 0; index < CYCLES; index++) await cycle(index);
  await idle();
  await eventually("no descriptor more", descriptors, (count) => count <= before);
  await server.stop("the test ended");
  expect(pool.size).toBe(0);
});
