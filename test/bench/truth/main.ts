// What each tool says of lost, duplicated and reordered packets against what the network did: `bun run truth`. Linux and
// root only; the traffic stays in network namespaces. The original and its neighbours are found by RPERF_REFERENCE.
//
//   bun run truth [--tools PATTERN] [--conditions PATTERN]
import { parseArgs } from "node:util";

import { canUseNamespaces, type NamespacePair } from "../../support/netns.ts";
import { stopEverything } from "../../support/process.ts";
import { isPortOpen } from "../proc.ts";
import { findTools } from "../tools/find.ts";
import type { Tool } from "../tools/tool.ts";
import { CONDITIONS, type Condition } from "./conditions.ts";
import { READERS, type Reported, type Row, TABLE_HEAD, tableRow } from "./counts.ts";

const REQUEST = { family: "udp", seconds: 5, streams: 1, bitsPerSecond: 2_000_000, lengthBytes: 1024 } as const;
const PORTS = { control: 5199, data: 5200 };
const START_LIMIT_MS = 5_000;
const GRACE_SECONDS = 20;
const POLL_MS = 10;

const say = (line: string) => console.error(line);

/** One test from the left to a server on the right. */
async function test(tool: Tool, { left, right }: NamespacePair): Promise<Reported> {
  const reader = READERS.get(tool.name);
  if (reader === undefined) throw new Error(`${tool.name} cannot be read`);
  const server = right.start(tool.serverCommand(PORTS, "udp"));
  try {
    const givenUpAtMs = performance.now() + START_LIMIT_MS;
    while (!isPortOpen(PORTS.control, tool.listensOn("udp"), server.pid)) {
      if (performance.now() > givenUpAtMs) throw new Error(`its server did not start: ${server.stderr}`);
      await Bun.sleep(POLL_MS);
    }
    const command = tool.clientCommand(PORTS, { ...REQUEST, host: right.ipv4 }, reader.flags);
    const client = await left.run(command, { timeoutMs: (REQUEST.seconds + GRACE_SECONDS) * 1000 });
    if (client.code !== 0) throw new Error(`exit ${client.code}: ${client.stderr.slice(-500)}`);
    return reader.read(client.stdout);
  } finally {
    server.kill("SIGKILL");
    await server.exited;
  }
}

async function rowOf(condition: Condition, tool: Tool): Promise<Row> {
  const head = { condition: condition.name, tool: `${tool.name} ${tool.version}` };
  try {
    const { result: reported, truth } = await condition.apply(REQUEST.lengthBytes, (pair) => test(tool, pair));
    return { ...head, outcome: { truth, reported } };
  } catch (error) {
    const failure = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
    return { ...head, outcome: { failure } };
  }
}

async function main(wantedTools: RegExp, wantedConditions: RegExp): Promise<void> {
  const found = await findTools();
  for (const reason of found.absent) say(`skipping ${reason}`);
  const tools = [...found.tools.values()].filter(({ name }) => READERS.has(name) && wantedTools.test(name));
  console.log(
    `UDP, ${REQUEST.seconds} s at 2 Mb/s, ${REQUEST.lengthBytes} B; figures are reported / true\n\n${TABLE_HEAD}`,
  );
  for (const condition of CONDITIONS.filter(({ name }) => wantedConditions.test(name))) {
    for (const tool of tools) console.log(tableRow(await rowOf(condition, tool)));
  }
}

const { values } = parseArgs({
  args: Bun.argv.slice(2),
  options: { tools: { type: "string", default: "" }, conditions: { type: "string", default: "" } },
});
if (canUseNamespaces()) {
  try {
    await main(new RegExp(values.tools), new RegExp(values.conditions));
  } finally {
    await stopEverything();
  }
} else {
  process.exitCode = 2;
}
