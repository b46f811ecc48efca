// What comes of known abuses, of this server and of its peers: a table in Markdown.
//
//   bun run abuse      RPERF_REFERENCE and IPERF3 name the peers' programs (or ../shared/peers has them); Linux, and root
//                      for the client that vanishes
import { existsSync } from "node:fs";
import { constants } from "node:os";

import { eventually } from "../support/eventually.ts";
import { canUseNamespaces, execute, type NamespacePair, withNamespaces } from "../support/netns.ts";
import { freePort } from "../support/ports.ts";
import { ROOT, type RunningProcess, startProcess, stopEverything } from "../support/process.ts";
import { RawClient } from "../support/raw-client.ts";
import { HOST, iperf3, original, OURS, type Peer, serves } from "./abuse-tools.ts";

const DESCRIPTORS = 64;
const CONNECTIONS = 200;
/** How long the data of a client that vanished are waited for. */
const MOST_SENDING_MS = 60_000;
const THIRD_PARTY_MS = 5_000;
/** Above every deadline that a server may have for somebody who says no more. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 2_000;

interface Running {
  readonly port: number;
  readonly process: RunningProcess;
  /** "survived", or how it ended. */
  fate(): Promise<string>;
}

async function start(
  peer: Peer,
  {
    clientLimit = 0,
    mostDescriptors = 65_536,
  }: { readonly clientLimit?: number; readonly mostDescriptors?: number } = {},
): Promise<Running> {
  const port = await freePort();
  const limited = ["sh", "-c", `ulimit -n ${mostDescriptors}; exec "$@"`, "sh"];
  const process = startProcess([...limited, ...peer.serverCommand(port, clientLimit)]);
  await eventually("a server that listens", () => isListening(port), Boolean);
  return {
    port,
    process,
    fate: async () => {
      const code = await Promise.race([process.exited, Bun.sleep(500).then(() => null)]);
      if (code === null) return "survived";
      const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
      return signal === undefined ? `ended (exit ${code})` : `ended by ${signal}`;
    },
  };
}

/** Without a connection, which some would count. */
function isListening(port: number): boolean {
  return execute(["ss", "-tlnH", `sport = :${port}`]) !== "";
}

async function afterwards(peer: Peer, running: Running): Promise<string> {
  const result = (await serves(peer, running.port)) ? "passes" : await aMomentLater(peer, running);
  const fate = await running.fate();
  return `${fate}; a good test afterwards ${result}`;
}

/** A server of one client at a time may not know yet that the last one is gone. */
async function aMomentLater(peer: Peer, running: Running): Promise<string> {
  await Bun.sleep(RETRY_MS);
  return (await serves(peer, running.port)) ? `passes at the second attempt, ${RETRY_MS / 1000} s later` : "fails";
}

async function stop({ process }: Running): Promise<void> {
  process.kill("SIGKILL");
  await process.exited;
}

/** On a server of its own. */
async function on(peer: Peer, abuse: (running: Running) => Promise<string>, clientLimit = 0): Promise<string> {
  const running = await start(peer, { clientLimit });
  try {
    return await abuse(running);
  } finally {
    await stop(running);
  }
}

async function hugeSizes(peer: Peer): Promise<string> {
  const seen: string[] = [];
  for (const [index, say] of peer.hugeSizes.entries()) {
    const what = ["2^40 streams", "length 2^45"][index];
    seen.push(
      await on(peer, async (running) => {
        await say(running.port);
        return `${what}: ${await afterwards(peer, running)}`;
      }),
    );
  }
  return seen.join(". ");
}

async function noDescriptors(peer: Peer): Promise<string> {
  const running = await start(peer, { mostDescriptors: DESCRIPTORS });
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => RawClient.connect(running.port, HOST).catch(() => null)),
  );
  await Bun.sleep(2_000);
  const cpu = await cpuShareOf(running.process.pid, 2_000);
  for (const client of clients) client?.reset();
  await Bun.sleep(1_000);
  const seen = await afterwards(peer, running);
  await stop(running);
  return `${cpu === null ? "" : `${(cpu * 100).toFixed(0)} % CPU while they last; `}${seen}`;
}

/** Of one CPU; null when the process is gone. */
async function cpuShareOf(pid: number, forMs: number): Promise<number | null> {
  const ticks = async () => {
    const stat = await Bun.file(`/proc/${pid}/stat`)
      .text()
      .catch(() => null);
    const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
    // utime and stime, in hundredths of a second.
    return fields === undefined ? null : Number(fields[11]) + Number(fields[12]);
  };
  const before = await ticks();
  await Bun.sleep(forMs);
  const after = await ticks();
  return before === null || after === null ? null : (after - before) / 100 / (forMs / 1_000);
}

function wrongType(peer: Peer): Promise<string> {
  return on(peer, async (running) => {
    await peer.wrongType(running.port);
    return afterwards(peer, running);
  });
}

/** The link is cut on both sides in the middle of a reverse UDP test: until when the server sends. */
async function vanishing(peer: Peer, { left, right }: NamespacePair): Promise<string> {
  const port = 5_199;
  const server = right.start(peer.serverCommand(port, 0));
  await eventually(
    "a server that listens",
    () => right.run(["ss", "-tlnH", `sport = :${port}`]),
    ({ stdout }) => stdout !== "",
  );
  const client = left.start(peer.reverseUdpCommand(right.ipv4, port));
  await Bun.sleep(3_000);
  left.loadRules(`table inet gone {
    counter data {}
    chain arriving {
      type filter hook prerouting priority raw
      iif lo accept
      meta l4proto udp counter name data drop
      drop
    }
    chain leaving { type filter hook output priority raw; oif lo accept; drop; }
  }`);
  const cutMs = performance.now();
  client.kill("SIGKILL");
  let packets = 0;
  let lastMs = cutMs;
  while (performance.now() - cutMs < MOST_SENDING_MS) {
    await Bun.sleep(250);
    const now = left.counters()["data"] ?? 0;
    if (now > packets) lastMs = performance.now();
    else if (performance.now() - lastMs > 15_000) break;
    packets = now;
  }
  left.loadRules("");
  server.kill("SIGKILL");
  await server.exited;
  const seconds = (lastMs - cutMs) / 1_000;
  const time = seconds > MOST_SENDING_MS / 1_000 - 1 ? `> ${MOST_SENDING_MS / 1_000} s` : `${seconds.toFixed(1)} s`;
  return packets === 0 ? "no data came at all" : `sends for ${time} (${packets} packets)`;
}

function thirdParty(peer: Peer): Promise<string> {
  return on(peer, async ({ port }) => {
    const bytes = await peer.thirdParty(port, THIRD_PARTY_MS);
    return bytes === 0 ? "nothing is sent there" : `${bytes} bytes are sent there within ${THIRD_PARTY_MS / 1_000} s`;
  });
}

function oneByteConnections(peer: Peer): Promise<string> {
  return on(
    peer,
    async (running) => {
      const clients = await Promise.all([1, 2, 3].map(() => RawClient.connect(running.port, HOST)));
      for (const client of clients) client.sendBytes(Uint8Array.of(0));
      await Bun.sleep(500);
      const atOnce = await serves(peer, running.port);
      if (atOnce) return "a good test passes at once";
      await Bun.sleep(PATIENCE_MS);
      const later = await serves(peer, running.port);
      for (const client of clients) client.reset();
      return `a good test fails; ${PATIENCE_MS / 1_000} s later it ${later ? "passes" : "fails still"}`;
    },
    3,
  );
}

const ABUSES: readonly (readonly [name: string, run: (peer: Peer) => Promise<string>])[] = [
  ["`streams` 2^40; in reverse, `length` 2^45", hugeSizes],
  [`${CONNECTIONS} connections to a server that may open ${DESCRIPTORS} files`, noDescriptors],
  ["a message with a field of the wrong type", wrongType],
  [
    "a client of reverse UDP that vanishes",
    (peer) =>
      canUseNamespaces() ? withNamespaces((pair) => vanishing(peer, pair)) : Promise.resolve("not tried: needs root"),
  ],
  ["one datagram from another address before reverse UDP", thirdParty],
  ["three connections that send one byte (client limit 3)", oneByteConnections],
];

function programAt(variable: string, name: string): string | null {
  const path = process.env[variable] ?? `${ROOT}/../shared/peers/${name}`;
  const shared = [path, `/work/shared/peers/${name}`].find((candidate) => existsSync(candidate));
  if (shared === undefined) console.error(`without ${name}: ${variable} names no program`);
  return shared ?? null;
}

if (import.meta.main) {
  const [originalPath, iperf3Path] = [programAt("RPERF_REFERENCE", "rperf-0.1.8"), programAt("IPERF3", "iperf3-3.21")];
  const peers = [
    OURS,
    ...(originalPath === null ? [] : [original(originalPath)]),
    ...(iperf3Path === null ? [] : [iperf3(iperf3Path)]),
  ];
  const only = process.argv[2];
  const rows: string[] = [];
  for (const [name, abuse] of ABUSES) {
    if (only !== undefined && !name.includes(only)) continue;
    const cells: string[] = [];
    for (const peer of peers) {
      const seen = await abuse(peer).catch((error: unknown) => `not to be tried: ${String(error)}`);
      console.error(`${peer.name}: ${name}: ${seen}`);
      cells.push(seen);
    }
    rows.push(`| ${[name, ...cells].join(" | ")} |`);
  }
  console.log(`| ${["abuse", ...peers.map(({ name }) => name)].join(" | ")} |`);
  console.log(`| ${["---", ...peers.map(() => "---")].join(" | ")} |`);
  for (const row of rows) console.log(row);
  await stopEverything();
}
