// Tests whose link is cut, over and over, on one server and in one client process: neither may hold anything of them.
//
//   bun run outages [cycles]      1,000 cycles unless told; root and Linux; four minutes for a thousand
import type { TestOptions } from "../../src/index.ts";
import { canUseNamespaces, type NamespacePair, withNamespaces } from "../support/netns.ts";
import { CONTROL_PORT, cutControl, cutLink, mend } from "../support/outages.ts";
import { KEEP_MS, type State } from "./child.ts";
import { Child, CHILD_PROGRAM, leftovers, Tally, tellState } from "./children.ts";

/** Tests at a time: each is one cycle. */
const AT_ONCE = 25;
const REPORT_CYCLES = 50;
/** What memory may gain between the second fifth of the cycles, when everything is compiled, and the last. */
const MOST_GROWTH_MIB = 24;
const TEST_SECONDS = 1;
const RESUME_SECONDS = 2;
/** Until the server has given up whom the clients have, and what it kept is expired. */
const SETTLE_MS = 12_000;

interface Cut {
  readonly name: string;
  readonly seconds: number;
  readonly make: (pair: NamespacePair) => void;
}

const CUTS: readonly Cut[] = [
  { name: "link, short", seconds: 0.6, make: cutLink },
  { name: "control reset", seconds: 0.7, make: reset },
  { name: "link, 1.5 s", seconds: 1.5, make: cutLink },
  { name: "control reset", seconds: 1.2, make: reset },
  { name: "control, until the deadline", seconds: 9, make: cutControl },
];

function reset({ right }: NamespacePair): void {
  right.cut(`tcp dport ${CONTROL_PORT} tcp flags & syn == 0`, "reject with tcp reset");
}

function testsOf({ right }: NamespacePair): readonly TestOptions[] {
  return Array.from({ length: AT_ONCE }, (_, index) => ({
    host: right.ipv4,
    port: CONTROL_PORT,
    family: index % 2 === 0 ? ("tcp" as const) : ("udp" as const),
    reverse: index % 4 >= 2,
    bidir: index % 5 === 4 && index % 4 < 2,
    durationSeconds: TEST_SECONDS,
    bandwidthBytesPerSecond: 25_000,
    resumeTimeoutSeconds: RESUME_SECONDS,
  }));
}

interface Sample {
  readonly cycles: number;
  readonly server: State;
  readonly client: State;
}

async function soak(pair: NamespacePair, cycles: number): Promise<readonly string[]> {
  const server = new Child(pair.right.command([...CHILD_PROGRAM, `${CONTROL_PORT}`]));
  const client = new Child(pair.left.command(CHILD_PROGRAM));
  const tally = new Tally();
  const samples: Sample[] = [];
  try {
    await Promise.all([server.isReady(), client.isReady()]);
    const sample = async (done: number): Promise<Sample> => {
      const [ofServer, ofClient] = await Promise.all([server.ask({ kind: "state" }), client.ask({ kind: "state" })]);
      return { cycles: done, server: ofServer, client: ofClient };
    };
    // One round without a cut: what is made once and kept is no growth.
    await client.ask({ kind: "run", tests: testsOf(pair) });
    await Bun.sleep(KEEP_MS);
    const idle = await sample(0);
    print(idle);
    for (let done = 0; done < cycles; done += AT_ONCE) {
      const cut = CUTS[(done / AT_ONCE) % CUTS.length];
      if (cut === undefined) break;
      const running = client.ask({ kind: "run", tests: testsOf(pair) });
      await Bun.sleep(300 + Math.random() * 900);
      cut.make(pair);
      await Bun.sleep(cut.seconds * 1000);
      mend(pair);
      tally.add(await running, `${cut.name}: `);
      if ((done + AT_ONCE) % REPORT_CYCLES === 0) {
        samples.push(await sample(done + AT_ONCE));
        print(samples.at(-1));
      }
    }
    await Bun.sleep(SETTLE_MS);
    const end = await sample(cycles);
    print(end);
    tally.print();
    return [
      ...leftovers("server", idle.server, end.server),
      ...leftovers("client", idle.client, end.client),
      ...growth(samples),
    ];
  } finally {
    await Promise.all([server.end(), client.end()]);
  }
}

function growth(samples: readonly Sample[]): readonly string[] {
  const fifth = Math.floor(samples.length / 5);
  if (fifth === 0) return [];
  return (["server", "client"] as const).flatMap((who) => {
    const mean = (some: readonly Sample[]) => some.reduce((sum, one) => sum + one[who].rssMiB, 0) / some.length;
    const early = mean(samples.slice(fifth, 2 * fifth));
    const late = mean(samples.slice(-fifth));
    console.log(
      `${who}: ${early.toFixed(0)} MiB in the second fifth of the cycles, ${late.toFixed(0)} MiB in the last`,
    );
    return late - early > MOST_GROWTH_MIB ? [`${who}: memory grew by ${(late - early).toFixed(0)} MiB`] : [];
  });
}

function print(sample: Sample | undefined): void {
  if (sample === undefined) return;
  console.log(
    `${String(sample.cycles).padStart(6)}  server ${tellState(sample.server)}; client ${tellState(sample.client)}`,
  );
}

if (import.meta.main) {
  const cycles = Number(process.argv[2] ?? 1_000);
  if (!canUseNamespaces()) process.exit(0);
  const faults = await withNamespaces((pair) => soak(pair, cycles));
  for (const fault of faults) console.error(`leak: ${fault}`);
  process.exit(faults.length === 0 ? 0 : 1);
}
