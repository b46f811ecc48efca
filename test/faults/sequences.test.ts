// Clients that take steps at random, right and wrong ones, against a model of what the server has to answer; behind each
// sequence the server holds what it held at the beginning, every place is free, and a good test passes.
//
//   RPERF_SEQUENCE_SEED=… RPERF_SEQUENCES=… [RPERF_SEQUENCE=the one to run] bun .ci/test.ts test/faults/sequences.test.ts
import { expect, setDefaultTimeout, test } from "bun:test";

import { runClient } from "../../src/index.ts";
import { expectMatched } from "../support/good-test.ts";
import { countOf, Random, seedOf } from "../support/random.ts";
import { downloadConfiguration, RawClient } from "../support/raw-client.ts";
import { ModelClient, sequenceOf, type Step } from "../support/sequence.ts";
import { type Holdings, WatchedServer } from "../support/watched-server.ts";

setDefaultTimeout(600_000);

const SEQUENCES = countOf("RPERF_SEQUENCES", 300);
const ONLY = countOf("RPERF_SEQUENCE", -1);
/** Each sequence has a server to itself; where one waits for a deadline the others go on. */
const SERVERS = 5;
const CLIENT_LIMIT = 4;
/** A client whose connection was reset has 5 s to come back, then streams have 2 s to stop. */
const SETTLE_MS = 16_000;
const MOST_CUTS = 20;

interface Server {
  readonly watched: WatchedServer;
  readonly idle: Holdings;
}

async function startServer(): Promise<Server> {
  const watched = await WatchedServer.start({ clientLimit: CLIENT_LIMIT });
  const idle = watched.holdings;
  await expectServes(watched, 0);
  await watched.isBackTo(idle);
  return { watched, idle };
}

/** A good test of the last place, while all others are taken. */
async function expectServes({ port }: WatchedServer, turn: number): Promise<void> {
  const others = await Promise.all(Array.from({ length: CLIENT_LIMIT - 1 }, () => RawClient.connect(port)));
  await Promise.all(others.map((other) => other.configure(downloadConfiguration())));
  const family = turn % 2 === 0 ? "tcp" : "udp";
  const bandwidthBytesPerSecond = 100_000;
  const options = { host: "127.0.0.1", port, durationSeconds: 0.2, bandwidthBytesPerSecond };
  expectMatched(await runClient({ ...options, family, reverse: turn % 4 >= 2 }));
  for (const other of others) other.end();
  await Promise.all(others.map((other) => other.closed()));
}

async function run({ watched, idle }: Server, steps: readonly Step[], turn: number): Promise<void> {
  const client = new ModelClient(watched.port);
  for (const step of steps) await client.take(step);
  await client.close((["end", "reset", "half-close"] as const)[turn % 3] ?? "end");
  await watched.isBackTo(idle, SETTLE_MS);
  await expectServes(watched, turn);
  await watched.isBackTo(idle, SETTLE_MS);
  expect(watched.stderr).toBe("");
}

/** The sequence without whatever steps it fails without too, each tried on a server of its own. */
async function shortest(steps: readonly Step[], turn: number): Promise<readonly Step[]> {
  let left = steps;
  for (let index = 0, cuts = 0; index < left.length && cuts < MOST_CUTS; cuts += 1) {
    const fewer = left.toSpliced(index, 1);
    const server = await startServer();
    const isGood = await run(server, fewer, turn).then(
      () => true,
      () => false,
    );
    server.watched.kill();
    if (isGood) index += 1;
    else left = fewer;
  }
  return left;
}

test(`${SEQUENCES} sequences leave a server as it was`, async () => {
  const seed = seedOf("RPERF_SEQUENCE_SEED");
  const sequences = Array.from({ length: SEQUENCES }, (_, turn) => ({
    turn,
    steps: sequenceOf(new Random(seed + turn * 7_919)),
  })).filter(({ turn }) => ONLY < 0 || turn === ONLY);
  const counts = new Map<string, number>();
  const failures: Error[] = [];
  const lane = async () => {
    const server = await startServer();
    for (let next = sequences.shift(); next !== undefined && failures.length === 0; next = sequences.shift()) {
      const { steps, turn } = next;
      for (const { kind } of steps) counts.set(kind, (counts.get(kind) ?? 0) + 1);
      try {
        await run(server, steps, turn);
      } catch (cause) {
        if (failures.length > 0) return;
        failures.push(new Error(`sequence ${turn} of seed ${seed}`, { cause }));
        console.error(cause);
        console.error(`sequence ${turn} of seed ${seed}: ${JSON.stringify(steps, null, 1)}`);
        console.error(`as short as it gets: ${JSON.stringify(await shortest(steps, turn), null, 1)}`);
      }
    }
    server.watched.kill();
  };
  await Promise.all(Array.from({ length: SERVERS }, lane));
  expect(failures).toEqual([]);
  console.log(`  steps: ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(", ")}`);
  expect(sequences).toEqual([]);
});
