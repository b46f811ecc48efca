// A Worker that dies in mid-test takes its streams with it: their tests fail with a reason, and nothing else does.
import { expect, setDefaultTimeout, test } from "bun:test";

import { makeServerConfig } from "../../src/config/server-config.ts";
import { runClient, type TestOptions, type TestResult } from "../../src/index.ts";
import type { ServerEvent } from "../../src/server/events.ts";
import { listen } from "../../src/server/start-server.ts";
import { spawnWorker } from "../../src/spawn-worker.ts";
import { StreamWorkerPool } from "../../src/workers/stream-worker-pool.ts";
import { eventually } from "../support/eventually.ts";
import { expectMatched } from "../support/good-test.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(30_000);

/** What the log says of each death, and a client, unless its sender finds the connection broken before it hears. */
const DEATHS = {
  throw: /the stream's Worker failed: a defect in a Worker$/,
  rejection: /the stream's Worker failed: a rejection in a Worker$/,
  memory: /the stream's Worker failed: RangeError: Out of memory$/,
  exit: /the stream's Worker ended$/,
  terminated: /the stream's Worker ended$/,
} as const;
type Death = keyof typeof DEATHS;

const FAST = { bandwidthBytesPerSecond: 2_000_000 };

/** The way in which Workers are spawned that die when they are told to. */
function mortals(death: Death): { spawn(): Worker; die(): void } {
  if (death === "terminated") {
    const workers: Worker[] = [];
    return {
      spawn() {
        const worker = spawnWorker();
        workers.push(worker);
        return worker;
      },
      die() {
        for (const worker of workers) worker.terminate();
      },
    };
  }
  const entry = new URL("../support/dying-worker.ts", import.meta.url).href;
  return {
    spawn: () => new Worker(entry, { smol: true, env: { ...Bun.env, RPERF_TEST_DEATH: death } }),
    die() {
      const channel = new BroadcastChannel(`rperf-test-death-${death}`);
      channel.postMessage("now");
      channel.close();
    },
  };
}

/** A server whose Workers are spawned as it is told last. */
class Spawning {
  spawn = spawnWorker;
  readonly events: ServerEvent[] = [];
  readonly pool = new StreamWorkerPool(() => this.spawn());
  readonly server = listen(makeServerConfig({ bindAddress: "127.0.0.1", port: 0 }), this.pool, (event) => {
    this.events.push(event);
  });

  test(options: Partial<TestOptions>): Promise<TestResult> {
    return runClient({ host: "127.0.0.1", port: this.server.port, durationSeconds: 2, ...options });
  }

  count(type: ServerEvent["type"]): number {
    return this.events.filter((event) => event.type === type).length;
  }

  /** Begins tests one after the other, so that it is known whose Worker is whose; gives their results to come. */
  async begin(tests: readonly Partial<TestOptions>[]): Promise<Promise<TestResult>[]> {
    const results: Promise<TestResult>[] = [];
    for (const options of tests) {
      const before = this.count("test-started");
      results.push(this.test(options));
      await eventually(
        "the start",
        () => this.count("test-started"),
        (count) => count > before,
      );
    }
    return results;
  }
}

test.concurrent.each(Object.keys(DEATHS) as Death[])(
  "a Worker's death by %s fails the tests whose streams it had; all others, and the server, go on",
  async (death) => {
    const one = new Spawning();
    const ours = mortals(death);
    one.spawn = () => ours.spawn();
    const reverse = { family: "udp", reverse: true } as const;
    const slow: Partial<TestOptions>[] = [{ family: "udp" }, reverse, reverse];
    const fast: Partial<TestOptions>[] = [{ ...FAST, ...reverse }, FAST];
    const ill = await one.begin([...slow, ...fast].map((options) => ({ ...options, durationSeconds: 60 })));
    one.spawn = spawnWorker;
    // They run on when the others' Workers die, however long all of them took to begin.
    const lasting = { ...FAST, durationSeconds: 4 };
    const well = await one.begin([lasting, { ...lasting, family: "udp", reverse: true }]);
    // Three slow ones on one Worker, and all others on their own.
    expect(one.pool.size).toBe(5);
    await Bun.sleep(300);
    ours.die();
    for (const result of await Promise.all(ill)) {
      expect({ success: result.success, outcome: result.outcome }).toEqual({ success: false, outcome: "failed" });
      expect(result.reason?.message).toMatch(/the stream's Worker|EPIPE|ECONNRESET/);
    }
    const told = one.events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
    // A TCP sender may have ended its test by then.
    expect(told.filter((message) => DEATHS[death].test(message)).length).toBeGreaterThanOrEqual(4);
    for (const result of await Promise.all(well)) expectMatched(result);
    await eventually(
      "the end of all Workers",
      () => one.pool.size,
      (size) => size === 0,
    );
    await eventually(
      "the end of all clients",
      () => one.server.clients,
      (clients) => clients === 0,
    );
    expectMatched(await one.test({ durationSeconds: 0.3 }));
    expect(one.count("internal-error")).toBe(0);
    await one.server.stop("the test is over");
  },
);
