// 64 clients at a time, for as long as it is told: most are good, some are killed, some vanish behind a link that drops
// everything, some are hostile. The server may not grow, the good ones must complete, and in the end nothing is held.
//
//   bun run soak [minutes]      5 unless told. As root on Linux the server and the clients have a link between them, and
//                               those that vanish are cut off; elsewhere all is loopback, and they are stopped (SIGSTOP).
import type { TestOptions } from "../../src/index.ts";
import { canUseNamespaces, execute, type NamespacePair, withNamespaces } from "../support/netns.ts";
import { freePort } from "../support/ports.ts";
import { Random, seedOf } from "../support/random.ts";
import type { State } from "./child.ts";
import { Child, CHILD_PROGRAM, leftovers, Tally, tellState } from "./children.ts";

const CLIENTS = 64;
const KILLED = 6;
const BLACK_HOLED = 3;
const HOSTILE = 3;
const GOOD = CLIENTS - KILLED - BLACK_HOLED - HOSTILE;
const GOOD_PROCESSES = 2;
/** Above what is ever there at once, those included that the server has yet to give up. */
const CLIENT_LIMIT = 150;
/** Low enough for two CPUs to carry all of them, with their ends and beginnings. */
const MOST_BYTES_PER_SECOND = 60_000;
const RESUME_SECONDS = 2;
const PERIODS = 30;
const MOST_PERIOD_MS = 30_000;
/** The server gives up whoever vanished within 35 s; and it keeps results for some seconds. */
const SETTLE_MS = 45_000;
/** The first share of the time, and no less than this: code is compiled, and the heaps of all Workers find their size. */
const WARM_UP_SHARE = 0.25;
const LEAST_WARM_UP_SECONDS = 120;
/** Of fewer samples behind it no growth can be told. */
const LEAST_SAMPLES = 8;
/**
 * What memory may gain from the warm-up's end on: between the medians of the first and of the last quarter, and by the line
 * that fits all samples best.
 */
const MOST_GROWTH_MIB = 24;

/** Between whom the soak runs, and how some of them vanish. */
interface Site {
  readonly host: string;
  readonly port: number;
  serverCommand(command: readonly string[]): readonly string[];
  clientCommand(command: readonly string[]): readonly string[];
  /** Where those come from that will vanish; null = the system's choice. */
  readonly vanishingAddress: string | null;
  vanish(child: Child): void;
  /** Behind the end of the process that vanished. */
  mend(): void;
}

function linkSite({ left, right }: NamespacePair): Site {
  const address = "10.77.0.9";
  execute(`ip -n ${left.name} address add ${address}/24 dev ${left.device}`);
  return {
    host: right.ipv4,
    port: 5199,
    serverCommand: (command) => right.command(command),
    clientCommand: (command) => left.command(command),
    vanishingAddress: address,
    vanish: () => {
      right.cut(`ip saddr ${address}`);
      left.cut(`ip daddr ${address}`);
    },
    mend: () => {
      right.mend();
      left.mend();
    },
  };
}

async function loopbackSite(): Promise<Site> {
  return {
    host: "127.0.0.1",
    port: await freePort(),
    serverCommand: (command) => command,
    clientCommand: (command) => command,
    vanishingAddress: null,
    vanish: (child) => child.kill("SIGSTOP"),
    mend: () => {},
  };
}

function anyTest({ host, port }: Site, random: Random, seconds: number): TestOptions {
  const direction = random.below(3);
  const singlePort = random.oneIn(3);
  return {
    host,
    port,
    family: random.pick(["tcp", "udp"]),
    reverse: direction === 1,
    bidir: direction === 2,
    parallel: random.oneIn(8) ? 3 : 1,
    durationSeconds: seconds,
    bandwidthBytesPerSecond: random.between(5_000, MOST_BYTES_PER_SECOND),
    singlePort,
    dial: !singlePort && random.oneIn(4) ? "legacy" : "client",
    resumeTimeoutSeconds: random.oneIn(3) ? RESUME_SECONDS : 0,
    intervalSeconds: random.pick([0.1, 0.5, 1]),
  };
}

interface Sample {
  readonly seconds: number;
  readonly server: State;
}

class Soak {
  readonly #site: Site;
  readonly #random = new Random(seedOf("RPERF_SOAK_SEED"));
  readonly #untilMs: number;
  readonly #good = new Tally();
  readonly #others = new Tally();

  constructor(site: Site, minutes: number) {
    this.#site = site;
    this.#untilMs = performance.now() + minutes * 60_000;
  }

  get #isOver(): boolean {
    return performance.now() > this.#untilMs;
  }

  /** What went wrong. */
  async run(): Promise<readonly string[]> {
    const site = this.#site;
    const server = new Child(site.serverCommand([...CHILD_PROGRAM, `${site.port}`, `${CLIENT_LIMIT}`]));
    const spawnClient = () => new Child(site.clientCommand(CHILD_PROGRAM));
    const goodOnes = Array.from({ length: GOOD_PROCESSES }, spawnClient);
    const hostile = spawnClient();
    try {
      await Promise.all([server, hostile, ...goodOnes].map((child) => child.isReady()));
      // One of each, before it counts: what is made once and kept is no growth.
      const first = Array.from({ length: CLIENTS }, () => anyTest(site, this.#random, 1));
      await goodOnes[0]?.ask({ kind: "run", tests: first });
      await Bun.sleep(SETTLE_MS / 5);
      const idle = await server.ask({ kind: "state" });
      console.log(` idle  ${tellState(idle)}`);
      const lanes = [
        ...Array.from({ length: GOOD }, (_, lane) => this.#goodLane(goodOnes[lane % GOOD_PROCESSES] ?? hostile, lane)),
        this.#killedLane(spawnClient),
        this.#vanishingLane(spawnClient),
        ...Array.from({ length: HOSTILE }, () => this.#hostileLane(hostile)),
      ];
      const samples = await this.#watch(server);
      await Promise.all(lanes);
      await Bun.sleep(SETTLE_MS);
      const end = await server.ask({ kind: "state" });
      console.log(`  end  ${tellState(end)}`);
      console.log("good clients:");
      this.#good.print();
      console.log("others:");
      this.#others.print();
      return [
        ...this.#faultsOfGood(),
        ...leftovers("server", idle, end),
        ...growthOf(samples),
        ...(await this.#slots(spawnClient)),
      ];
    } finally {
      await Promise.all([server, hostile, ...goodOnes].map((child) => child.end()));
    }
  }

  async #goodLane(client: Child, lane: number): Promise<void> {
    // Not all at once.
    await Bun.sleep(lane * 100);
    while (!this.#isOver) {
      const test = anyTest(this.#site, this.#random, this.#random.between(1, 8));
      this.#good.add(await client.ask({ kind: "run", tests: [test] }));
    }
  }

  /** Tests of one process, which is killed in the middle of them, at any time. */
  async #killedLane(spawn: () => Child): Promise<void> {
    while (!this.#isOver) {
      const child = spawn();
      await child.isReady();
      const tests = Array.from({ length: KILLED }, () => anyTest(this.#site, this.#random, 30));
      const running = child.ask({ kind: "run", tests }).catch(() => {});
      await Bun.sleep(this.#random.between(50, 6_000));
      await child.end();
      await running;
      this.#others.add({ killed: KILLED });
    }
  }

  async #vanishingLane(spawn: () => Child): Promise<void> {
    const site = this.#site;
    while (!this.#isOver) {
      const child = spawn();
      await child.isReady();
      const tests = Array.from({ length: BLACK_HOLED }, () => ({
        ...anyTest(this.#site, this.#random, 30),
        localAddress: site.vanishingAddress,
      }));
      const running = child.ask({ kind: "run", tests }).catch(() => {});
      await Bun.sleep(this.#random.between(50, 5_000));
      site.vanish(child);
      // Until the server has given up most of what it can, or nothing.
      await Bun.sleep(this.#random.between(500, 15_000));
      await child.end();
      await running;
      site.mend();
      this.#others.add({ "black-holed": BLACK_HOLED });
    }
  }

  async #hostileLane(child: Child): Promise<void> {
    const { host, port } = this.#site;
    while (!this.#isOver) {
      this.#others.add(await child.ask({ kind: "hostile", host, port, seed: this.#random.uint32() }), "hostile, ");
      await Bun.sleep(this.#random.below(200));
    }
  }

  async #watch(server: Child): Promise<readonly Sample[]> {
    const beganMs = performance.now();
    const periodMs = Math.min(MOST_PERIOD_MS, (this.#untilMs - beganMs) / PERIODS);
    const samples: Sample[] = [];
    while (!this.#isOver) {
      await Bun.sleep(periodMs);
      const seconds = (performance.now() - beganMs) / 1_000;
      const sample = { seconds, server: await server.ask({ kind: "state" }) };
      samples.push(sample);
      const completed = this.#good.sorted.find(([name]) => name === "completed")?.[1] ?? 0;
      console.log(`${seconds.toFixed(0).padStart(5)}  ${tellState(sample.server)}; ${completed} good tests completed`);
    }
    return samples;
  }

  #faultsOfGood(): readonly string[] {
    const faults = this.#good.sorted.filter(([name]) => name !== "completed");
    if (this.#good.sorted.length === faults.length) return ["no good test completed"];
    return faults.map(([name, count]) => `${count} good tests: ${name}`);
  }

  /** Every place can be had, all at once. */
  async #slots(spawn: () => Child): Promise<readonly string[]> {
    const child = spawn();
    await child.isReady();
    const { host, port } = this.#site;
    const taken = await child.ask({ kind: "places", host, port, count: CLIENT_LIMIT });
    await child.end();
    console.log(`places: ${JSON.stringify(taken)}`);
    return taken["connect"] === CLIENT_LIMIT ? [] : [`of ${CLIENT_LIMIT} places ${taken["connect"] ?? 0} are free`];
  }
}

function growthOf(samples: readonly Sample[]): readonly string[] {
  const warmUpSeconds = Math.max((samples.at(-1)?.seconds ?? 0) * WARM_UP_SHARE, LEAST_WARM_UP_SECONDS);
  const warm = samples.filter((sample) => sample.seconds >= warmUpSeconds);
  if (warm.length < LEAST_SAMPLES) {
    console.log("memory: this was too short to tell growth from warming up");
    return [];
  }
  const quarter = Math.floor(warm.length / 4);
  const rss = warm.map(({ server }) => server.rssMiB);
  const gain = medianOf(rss.slice(-quarter)) - medianOf(rss.slice(0, quarter));
  const seconds = warm.map((sample) => sample.seconds);
  const fitted = slopeOf(seconds, rss) * ((seconds.at(-1) ?? 0) - (seconds[0] ?? 0));
  console.log(
    `memory behind the warm-up: ${Math.min(...rss)} to ${Math.max(...rss)} MiB; from the first quarter to the last ` +
      `${gain.toFixed(1)} MiB, by the line that fits ${fitted.toFixed(1)} MiB; at most ${MOST_GROWTH_MIB}`,
  );
  return gain > MOST_GROWTH_MIB || fitted > MOST_GROWTH_MIB
    ? [`the server's memory grew by ${gain.toFixed(0)} MiB`]
    : [];
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/** Of the least squares. */
function slopeOf(xs: readonly number[], ys: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(xs), mean(ys)];
  const covariance = xs.reduce((sum, x, index) => sum + (x - meanX) * ((ys[index] ?? 0) - meanY), 0);
  return covariance / xs.reduce((sum, x) => sum + (x - meanX) ** 2, 0);
}

if (import.meta.main) {
  const minutes = Number(process.argv[2] ?? 5);
  const soak = async (site: Site) => new Soak(site, minutes).run();
  const faults = canUseNamespaces()
    ? await withNamespaces((pair) => soak(linkSite(pair)))
    : await soak(await loopbackSite());
  for (const fault of faults) console.error(`fault: ${fault}`);
  process.exit(faults.length === 0 ? 0 : 1);
}
