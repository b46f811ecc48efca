// Hostile sessions from many addresses of the loopback, while a good client measures: its results stay what they are alone,
// and behind it all the server holds what it held.
//
//   bun run hostile [sessions] [at once]      20,000 sessions, 48 at once, unless told; Linux
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setPriority } from "node:os";

import type { TestOptions } from "../../src/index.ts";
import { freePort } from "../support/ports.ts";
import { Random, seedOf } from "../support/random.ts";
import type { Measured, State } from "./child.ts";
import { Child, CHILD_PROGRAM, leftovers, Tally, tellState } from "./children.ts";
import { runHostile } from "./hostile-sessions.ts";

const HOST = "127.0.0.1";
/** More than the sessions hold at once: whoever kept a place would sooner or later shut the good client out. */
const CLIENT_LIMIT = 400;
const GOOD_BYTES_PER_SECOND = 50e6 / 8;
const GOOD_SECONDS = 5;
/** Of each kind of test, alone. */
const ALONE_TESTS = 2;
/** How far each of the good client's results may be from what they are alone. */
const MOST_CHANGE = 0.05;
/** A peer that vanished without a packet is given up by then; and results are kept for some seconds. */
const SETTLE_MS = 35_000;
const ATTACKER_NICENESS = 15;
const PROGRESS_MS = 15_000;

type Family = "tcp" | "udp";
const FAMILIES: readonly Family[] = ["tcp", "udp"];

function goodTest(port: number, family: Family): TestOptions {
  return { host: HOST, port, family, durationSeconds: GOOD_SECONDS, bandwidthBytesPerSecond: GOOD_BYTES_PER_SECOND };
}

/** What the files are that a process has open, as the system names them. */
function openFilesOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** Lines of the system's table of such sockets that are of the process, in fields. */
function socketsOf(pid: number, table: "tcp" | "udp"): readonly (readonly string[])[] {
  const inodes = new Set(openFilesOf(pid).flatMap((name) => /^socket:\[(\d+)\]$/.exec(name)?.[1] ?? []));
  const lines = readFileSync(`/proc/net/${table}`, "utf8").split("\n").slice(1);
  return lines.map((line) => line.trim().split(/\s+/)).filter(([, , , , , , , , , inode = ""]) => inodes.has(inode));
}

function udpPortsOf(pid: number): readonly number[] {
  return socketsOf(pid, "udp").map(([, local = ""]) => Number.parseInt(local.split(":")[1] ?? "", 16));
}

interface Good {
  readonly family: Family;
  readonly measured: Measured;
}

async function measureAlone(client: Child, port: number): Promise<readonly Good[]> {
  const alone: Good[] = [];
  for (let count = 0; count < ALONE_TESTS; count += 1) {
    for (const family of FAMILIES)
      alone.push({ family, measured: await client.ask({ kind: "measure", test: goodTest(port, family) }) });
  }
  return alone;
}

/** One after the other; the last may go on for a while. */
async function measureUntil(over: AbortSignal, client: Child, port: number): Promise<readonly Good[]> {
  const meanwhile: Good[] = [];
  while (!over.aborted) {
    const family = meanwhile.length % 2 === 0 ? "tcp" : "udp";
    const measured = await client.ask({ kind: "measure", test: goodTest(port, family) });
    console.log(`  good ${family}: ${megabits(measured.bitsPerSecond)}, ${measured.outcome}`);
    meanwhile.push({ family, measured });
  }
  return meanwhile;
}

function meanOf(good: readonly Good[], family: Family, what: "bitsPerSecond" | "lossShare"): number {
  const values = good.filter((one) => one.family === family).map(({ measured }) => measured[what]);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

function megabits(bitsPerSecond: number): string {
  return `${(bitsPerSecond / 1e6).toFixed(2)} Mb/s`;
}

/** One line for each kind of test; what is too far from its result alone. */
function judge(alone: readonly Good[], meanwhile: readonly Good[]): readonly string[] {
  const faults = [...alone, ...meanwhile]
    .filter(({ measured }) => measured.outcome !== "completed")
    .map(({ family, measured }) => `a good ${family} test: ${measured.outcome}`);
  for (const family of FAMILIES) {
    const [rate, loss] = [meanOf(alone, family, "bitsPerSecond"), meanOf(alone, family, "lossShare")];
    const tests = meanwhile.filter((one) => one.family === family);
    if (tests.length === 0) {
      faults.push(`no good ${family} test ran meanwhile`);
      continue;
    }
    const rateThen = meanOf(tests, family, "bitsPerSecond");
    const lossThen = meanOf(tests, family, "lossShare");
    const rates = tests.map(({ measured }) => measured.bitsPerSecond);
    const [slowest, fastest] = [Math.min(...rates), Math.max(...rates)];
    const worstLoss = Math.max(...tests.map(({ measured }) => measured.lossShare));
    console.log(
      `good ${family}: alone ${megabits(rate)}, ${percent(loss)} lost; meanwhile, ${tests.length} tests, ${megabits(rateThen)} ` +
        `(${megabits(slowest)} to ${megabits(fastest)}), ${percent(lossThen)} lost (at most ${percent(worstLoss)})`,
    );
    const change = Math.max(1 - slowest / rate, fastest / rate - 1);
    if (change > MOST_CHANGE) faults.push(`a good ${family} test: the rate changed by ${percent(change)}`);
    if (worstLoss - loss > MOST_CHANGE)
      faults.push(`a good ${family} test: the loss rose by ${percent(worstLoss - loss)}`);
  }
  return faults;
}

/** Runs the sessions, so many at once, from addresses of all over 127.0.0.0/8. */
async function attack(
  server: Child,
  port: number,
  { sessions, atOnce, patienceMs }: Attack,
  seed: number,
): Promise<Tally> {
  const tally = new Tally();
  const random = new Random(seed);
  let begun = 0;
  let ended = 0;
  let udpPorts: readonly number[] = [];
  const looking = setInterval(() => (udpPorts = udpPortsOf(server.pid)), 500);
  const telling = setInterval(() => console.log(`  ${ended} of ${sessions} sessions`), PROGRESS_MS);
  const lane = async () => {
    while (begun < sessions) {
      begun += 1;
      const localAddress = `127.${random.between(1, 254)}.${random.below(256)}.${random.between(1, 254)}`;
      const target = { host: HOST, port, localAddress, udpPorts, ...(patienceMs === undefined ? {} : { patienceMs }) };
      const { name, end } = await runHostile(target, new Random(random.uint32()));
      tally.add({ [`${name}: ${end}`]: 1 });
      ended += 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, sessions) }, lane));
  clearInterval(looking);
  clearInterval(telling);
  return tally;
}

async function settled(server: Child, idle: State): Promise<State> {
  const untilMs = performance.now() + SETTLE_MS;
  for (;;) {
    const state = await server.ask({ kind: "state" });
    if (leftovers("server", idle, state).length === 0) return state;
    if (performance.now() > untilMs) {
      const sockets = [...socketsOf(server.pid, "tcp"), ...socketsOf(server.pid, "udp")];
      console.log(
        ["the server has open:", ...openFilesOf(server.pid), ...sockets.map((fields) => fields.join(" "))].join("\n  "),
      );
      return state;
    }
    await Bun.sleep(500);
  }
}

export interface Attack {
  readonly sessions: number;
  readonly atOnce: number;
  /** Of those sessions that wait for the server to give them up. */
  readonly patienceMs?: number;
}

/** What went wrong: nothing, if all is well. */
export async function runAttack(plan: Attack, withMeasuring: boolean): Promise<readonly string[]> {
  const seed = seedOf("RPERF_HOSTILE_SEED");
  const port = await freePort();
  const server = new Child([...CHILD_PROGRAM, `${port}`, `${CLIENT_LIMIT}`, HOST]);
  const client = new Child(CHILD_PROGRAM);
  try {
    await Promise.all([server.isReady(), client.isReady()]);
    // Whoever attacks has a machine of his own: here he gets what the server and the good client leave.
    setPriority(ATTACKER_NICENESS);
    // What is made once and kept is no leftover.
    for (const family of FAMILIES)
      await client.ask({ kind: "measure", test: { ...goodTest(port, family), durationSeconds: 0.5 } });
    await Bun.sleep(1_000);
    const idle = await server.ask({ kind: "state" });
    console.log(`server, idle: ${tellState(idle)}`);
    const alone = withMeasuring ? await measureAlone(client, port) : [];
    const over = new AbortController();
    const measuring = withMeasuring ? measureUntil(over.signal, client, port) : Promise.resolve([]);
    const beganMs = performance.now();
    const tally = await attack(server, port, plan, seed);
    const seconds = (performance.now() - beganMs) / 1_000;
    over.abort();
    const meanwhile = await measuring;
    tally.print();
    console.log(`${plan.sessions} sessions in ${seconds.toFixed(0)} s`);
    const end = await settled(server, idle);
    console.log(`server, in the end: ${tellState(end)}`);
    const after = await client.ask({
      kind: "run",
      tests: FAMILIES.map((family) => ({ ...goodTest(port, family), durationSeconds: 0.5 })),
    });
    return [
      ...(withMeasuring ? judge(alone, meanwhile) : []),
      ...leftovers("server", idle, end),
      ...Object.keys(after)
        .filter((outcome) => outcome !== "completed")
        .map((outcome) => `a good test afterwards: ${outcome}`),
    ];
  } finally {
    await Promise.all([server.end(), client.end()]);
  }
}

if (import.meta.main) {
  const [sessions = "20000", atOnce = "48"] = process.argv.slice(2);
  const faults = await runAttack({ sessions: Number(sessions), atOnce: Number(atOnce) }, true);
  for (const fault of faults) console.error(`fault: ${fault}`);
  process.exit(faults.length === 0 ? 0 : 1);
}
