import { describe, expect, spyOn, test } from "bun:test";
import { UNLIMITED } from "../../../src/config/policy.ts";
import { makeServerConfig } from "../../../src/config/server-config.ts";
import type { Configuration } from "../../../src/protocol/messages.ts";
import { DescriptorBudget } from "../../../src/server/descriptor-budget.ts";
import { Guard } from "../../../src/server/guard.ts";
import { bytesOf, MemoryBudget } from "../../../src/server/memory-budget.ts";
import { Places } from "../../../src/server/places.ts";
import { listen } from "../../../src/server/start-server.ts";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import { eventually } from "../../support/eventually.ts";
import { downloadConfiguration, RawClient, uploadConfiguration } from "../../support/raw-client.ts";
import { failureOf } from "../workers/streams.ts";
import { applicant } from "./applicants.ts";
import { forward, reverse } from "./configurations.ts";

const MIB = 1024 * 1024;
const WORKER = 6 * MIB;
const STREAM = 128 * 1024;
const FAST = 1e9;

test("half of what there is is for streams, less what the process has anyway", () => {
  const budget = new MemoryBudget(100, 10);
  expect(budget.reserve(41)).toBe(false);
  expect(budget.reserve(40)).toBe(true);
  expect(budget.reserve(1)).toBe(false);
  budget.release(40);
  expect(budget.reserve(40)).toBe(true);
  expect(new MemoryBudget(10, 10).reserve(1)).toBe(false);
});

test.each<[string, Configuration, number, number]>([
  ["a receiver holds no buffer", forward({ lengthBytes: 16 * MIB }), 0, WORKER + STREAM],
  ["a sender holds its length", reverse({ lengthBytes: 16 * MIB }), 0, WORKER + STREAM + 16 * MIB],
  [
    "for each stream",
    reverse({ streams: 16, lengthBytes: 16 * MIB, bandwidthBytesPerSecond: FAST }),
    0,
    16 * (WORKER + STREAM + 16 * MIB),
  ],
  ["slow streams share their Workers", forward({ streams: 17 }), 0, 2 * WORKER + 17 * STREAM],
  ["many streams do", forward({ streams: 100, extensions: null }), 0, 32 * WORKER + 100 * STREAM],
  ["with CPUs", forward({ streams: 100, extensions: null }), 3, 30 * WORKER + 100 * STREAM],
  ["packets are short", reverse({ family: "udp", lengthBytes: 65_507 }), 0, WORKER + STREAM],
])("%s", (_name, configuration, cpus, bytes) => {
  expect(bytesOf(configuration, cpus)).toBe(bytes);
});

describe("a place", () => {
  const big = reverse({ streams: 16, lengthBytes: 16 * MIB, bandwidthBytesPerSecond: FAST });
  const from = { place: "192.0.2.1", limits: { ...UNLIMITED, name: "any" } };

  function placesWith(bytes: number): Places {
    const descriptors = new DescriptorBudget(Infinity, 0);
    const guarded = new Guard(() => {}).ofNobody();
    const surroundings = { descriptors, memory: new MemoryBudget(2 * bytes, 0), cpus: 0, guarded };
    return new Places({ clientLimit: 0, queueLimit: 0 }, surroundings);
  }

  test("is refused, with the reason, where its streams would take too much, and smaller ones are served", async () => {
    const places = placesWith(bytesOf(big, 0) - 1);
    expect(await failureOf(places.take(applicant(big), from, () => {}))).toMatchObject({
      code: "peer-protocol",
      message:
        "the server has too little memory left for 16 streams of 16777216 B; try fewer or shorter ones, or again later",
    });
    const place = await places.take(applicant(forward()), from, () => {});
    expect(() => place.extend(big)).toThrow("too little memory");
    place.release(Promise.resolve());
  });

  test("gives the memory back once the streams are gone, and not before", async () => {
    const places = placesWith(bytesOf(big, 0));
    const place = await places.take(applicant(big), from, () => {});
    const gone = Promise.withResolvers<void>();
    place.release(gone.promise);
    await Bun.sleep(700);
    expect(await failureOf(places.take(applicant(forward()), from, () => {}))).toMatchObject({ code: "peer-protocol" });
    gone.resolve();
    await eventually(
      "its memory is free",
      () => failureOf(places.take(applicant(big), from, () => {})),
      (failure) => failure === null,
    );
  });
});

test("a server that may have little memory opens nothing for what it cannot hold, and serves the rest", async () => {
  const mostBytes = 2 * (process.memoryUsage.rss() + 64 * MIB);
  using told = spyOn(process, "constrainedMemory").mockReturnValue(mostBytes);
  const pool = new StreamWorkerPool(spawnWorker);
  const server = listen(makeServerConfig({ bindAddress: "127.0.0.1", port: 0 }), pool, () => {});
  expect(told).toHaveBeenCalled();
  try {
    const stream_ports = Array.from({ length: 16 }, () => 4009);
    const big = await RawClient.connect(server.port);
    big.send(uploadConfiguration({ streams: 16, length: 16 * MIB, bandwidth: FAST, stream_ports }));
    expect(await big.next()).toEqual({ kind: "error", message: expect.stringContaining("too little memory") });
    await big.closed();
    expect(pool.size).toBe(0);
    const small = await RawClient.connect(server.port);
    expect(await small.configure(downloadConfiguration())).toHaveLength(1);
    small.end();
    await small.closed();
  } finally {
    await server.stop("the test ended");
  }
});
