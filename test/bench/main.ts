// Ours and the peers in turn, A B C A B C, in one call: `bun run bench [--quick] [--seconds N]`.
import { parseArgs } from "node:util";
import { stopEverything } from "../support/process.ts";
import { type Contender, contenders } from "./contenders.ts";
import { median } from "./median.ts";

interface Case {
  readonly name: string;
  readonly unit: string;
  readonly measure: (contender: Contender, seconds: number) => Promise<number>;
}

const CASES: readonly Case[] = [
  { name: "TCP, 1 stream, unlimited: received", unit: "Gb/s", measure: (contender, s) => contender.tcpGigabits(s) },
  {
    name: "UDP, 1024 B, unlimited: received",
    unit: "1000 packets/s",
    measure: (contender, s) => contender.udpKiloPackets(s),
  },
];

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, seconds: { type: "string", default: "5" } },
});
const rounds = values.quick ? 2 : 5;
const seconds = Number(values.seconds);
if (!(seconds >= 1)) throw new Error("--seconds must be a number from 1 up");

try {
  const present = await contenders();
  for (const { name, unit, measure } of CASES) {
    const figures = new Map<Contender, number[]>(present.map((contender) => [contender, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [contender, measured] of figures) measured.push(await measure(contender, seconds));
    }
    print(name, unit, figures);
  }
} finally {
  await stopEverything();
}

/** Medians with their spread, and what ours is to each, by the ratio of medians. */
function print(name: string, unit: string, figures: ReadonlyMap<Contender, readonly number[]>): void {
  const ours = [...figures.values()][0] ?? [];
  console.log(`\n${name}, ${unit}; ${rounds} rounds of ${seconds} s\n`);
  console.log("| tool | median | min–max | ours is |\n| --- | --- | --- | --- |");
  for (const [contender, measured] of figures) {
    const spread = `${Math.min(...measured).toFixed(1)}–${Math.max(...measured).toFixed(1)}`;
    const ratio = (median(ours) / median(measured)).toFixed(2);
    console.log(`| ${contender.name} | ${median(measured).toFixed(1)} | ${spread} | ${ratio} × |`);
  }
}
