// Defects put into a running server from outside it: each costs its client's test, and nothing else.
import { afterEach, describe, expect, test } from "bun:test";

import { makeServerConfig } from "../../../src/config/server-config.ts";
import { type TestResult, runClient, type TestOptions } from "../../../src/index.ts";
import type { ServerEvent } from "../../../src/server/events.ts";
import { listen, type RperfServer } from "../../../src/server/start-server.ts";
import { TestRegistry } from "../../../src/server/test-registry.ts";
import { spawnWorker } from "../../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../../src/workers/stream-worker-pool.ts";
import { eventually } from "../../support/eventually.ts";
import { expectMatched } from "../../support/good-test.ts";
import { downloadConfiguration, openDatagrams, RawClient } from "../../support/raw-client.ts";
import { refusalOf } from "../../support/refusal-of.ts";

/** Whose methods can be made to throw what nobody expects. */
class BrittleRegistry extends TestRegistry {
  broken: ReadonlySet<keyof TestRegistry> = new Set();

  #meet(method: keyof TestRegistry): void {
    if (this.broken.has(method)) throw new TypeError(`${method} is broken`);
  }

  override add(...args: Parameters<TestRegistry["add"]>): void {
    this.#meet("add");
    super.add(...args);
  }

  override resume(...args: Parameters<TestRegistry["resume"]>) {
    this.#meet("resume");
    return super.resume(...args);
  }

  override taker(...args: Parameters<TestRegistry["taker"]>) {
    this.#meet("taker");
    return super.taker(...args);
  }

  override remove(...args: Parameters<TestRegistry["remove"]>): void {
    super.remove(...args);
    this.#meet("remove");
  }
}

interface Started {
  readonly server: RperfServer;
  readonly registry: BrittleRegistry;
  readonly pool: StreamWorkerPool;
  readonly events: ServerEvent[];
}

const started: Started[] = [];

afterEach(async () => {
  for (const { server, registry, pool } of started.splice(0)) {
    registry.broken = new Set();
    // Nothing is left of what the defect cost, and the next client finds all well.
    await eventually(
      "the end of all Workers",
      () => pool.size,
      (size) => size === 0,
    );
    expectMatched(await test1(server));
    await server.stop("the test ended");
    expect({ clients: server.clients, workers: pool.size }).toEqual({ clients: 0, workers: 0 });
  }
});

function start(listener: (event: ServerEvent) => void = () => {}): Started {
  const events: ServerEvent[] = [];
  const registry = new BrittleRegistry();
  const pool = new StreamWorkerPool(spawnWorker);
  const onEvent = (event: ServerEvent): void => {
    events.push(event);
    listener(event);
  };
  const server = listen(makeServerConfig({ bindAddress: "127.0.0.1", port: 0 }), pool, onEvent, registry);
  const one = { server, registry, pool, events };
  started.push(one);
  return one;
}

function test1({ port }: { readonly port: number }, options: Partial<TestOptions> = {}): Promise<TestResult> {
  return runClient({ host: "127.0.0.1", port, durationSeconds: 0.3, ...options });
}

function internalErrors(events: readonly ServerEvent[]): readonly string[] {
  return events.flatMap((event) => (event.type === "internal-error" ? [event.message] : []));
}

describe("a defect met", () => {
  test("while a test is made ready: its client is refused, another's test goes on", async () => {
    const { server, registry, events } = start();
    const other = test1(server, { durationSeconds: 1 });
    await eventually("the other's start", () => events.some(({ type }) => type === "test-started"), Boolean);
    registry.broken = new Set(["add"]);
    expect(await refusalOf(test1(server))).toMatch(/internal error of the server/);
    registry.broken = new Set();
    expectMatched(await other);
    expect(internalErrors(events)).toEqual(["add is broken"]);
  });

  test("while a message is served: its connection is refused", async () => {
    const { server, registry, events } = start();
    registry.broken = new Set(["resume"]);
    const client = await RawClient.connect(server.port);
    client.send({ kind: "resume", token: "00".repeat(16), have: 0 });
    expect(await client.next()).toMatchObject({ kind: "error", message: "internal error of the server" });
    await client.closed();
    expect(internalErrors(events)).toEqual(["resume is broken"]);
  });

  test("while a test ends: what else belongs to the end is done", async () => {
    const { server, registry, pool, events } = start();
    registry.broken = new Set(["remove"]);
    expectMatched(await test1(server));
    await eventually(
      "the end of all Workers",
      () => pool.size,
      (size) => size === 0,
    );
    expect(internalErrors(events)).toEqual(["remove is broken"]);
    expect(events.some(({ type }) => type === "client-ended")).toBe(true);
  });

  test("at a datagram that comes to the control port: no test is the worse for it", async () => {
    const { server, registry, events } = start();
    const running = test1(server, { family: "udp", singlePort: true, durationSeconds: 1 });
    await eventually("the start", () => events.some(({ type }) => type === "test-started"), Boolean);
    registry.broken = new Set(["taker"]);
    const datagrams = await openDatagrams();
    const { encodeHello } = await import("../../../src/protocol/udp-hello.ts");
    const hello = encodeHello({ kind: "hello", testId: new Uint8Array(16), streamIndex: 0 });
    await eventually(
      "the defect",
      () => datagrams.send(hello, server.port) && internalErrors(events).length > 0,
      Boolean,
    );
    datagrams.close();
    registry.broken = new Set();
    expectMatched(await running);
    expect(new Set(internalErrors(events))).toEqual(new Set(["taker is broken"]));
  });
});

describe("a listener of events that throws", () => {
  test("at every event: tests run as without it", async () => {
    const { server, events } = start(() => {
      throw new Error("the listener's own");
    });
    expectMatched(await test1(server));
    expectMatched(await test1(server, { family: "udp", reverse: true }));
    expect(events.filter(({ type }) => type === "client-ended")).toHaveLength(2);
    expect(new Set(internalErrors(events))).toEqual(new Set(["the listener's own"]));
  });
});

test("a client that leaves while its refusal is written is no defect", async () => {
  const { server, events } = start();
  const client = await RawClient.connect(server.port);
  client.send(downloadConfiguration({ streams: 0 }));
  client.reset();
  await eventually(
    "its end",
    () => server.clients,
    (count) => count === 0,
  );
  expect(internalErrors(events)).toEqual([]);
});
