// Two network namespaces joined by one link, for tests of loss, limits and broken links. Linux, root and iproute2 only;
// the packet rules need nftables as well. Traffic stays inside the namespaces.
//
//   left  10.77.0.1  fd00:77::1  ──veth──  right  10.77.0.2  fd00:77::2
import { testsUnless, printReason } from "./conditional.ts";
import {
  run,
  startProcess,
  type ProcessOptions,
  type RunningProcess,
  type RunOptions,
  type RunResult,
} from "./process.ts";

const PREFIX = "rperf";
/** `ip netns delete` and its kind take milliseconds; a stuck one must not stop the tests. */
const COMMAND_LIMIT_MS = 10_000;

const present = new Set<string>();
let serial = 0;

/** Runs one short command, as words or a line of them; throws what it says when it fails. */
export function execute(command: readonly string[] | string, stdin?: string): string {
  const words = typeof command === "string" ? command.split(" ") : [...command];
  const done = Bun.spawnSync(words, {
    stdin: stdin === undefined ? "ignore" : new TextEncoder().encode(stdin),
    stdout: "pipe",
    stderr: "pipe",
    timeout: COMMAND_LIMIT_MS,
  });
  if (!done.success) throw new Error(`${words.join(" ")}: ${done.stderr.toString().trim() || `exit ${done.exitCode}`}`);
  return done.stdout.toString();
}

/** Which UDP packets: all ports and lengths that are not narrowed down. */
export interface DataMatch {
  /** Where they go. */
  readonly port?: number;
  readonly minPayloadBytes?: number;
  readonly maxPayloadBytes?: number;
}

const UDP_HEADER_BYTES = 8;
const MAX_UDP_PAYLOAD_BYTES = 65_535 - UDP_HEADER_BYTES;

/** One end of a link. */
export class Namespace {
  readonly name: string;
  readonly device: string;
  readonly ipv4: string;
  readonly ipv6: string;

  constructor(name: string, ipv4: string, ipv6: string, device = "link0") {
    this.name = name;
    this.ipv4 = ipv4;
    this.ipv6 = ipv6;
    this.device = device;
  }

  /** The command that runs `command` inside. */
  command(command: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.name, ...command];
  }

  run(command: readonly string[], options?: RunOptions): Promise<RunResult> {
    return run(this.command(command), options);
  }

  start(command: readonly string[], options?: ProcessOptions): RunningProcess {
    return startProcess(this.command(command), options);
  }

  /** Limits what leaves this end (tbf); null lifts the limit. The queue holds `latencyMs` worth of packets. */
  setRate(bitsPerSecond: number | null, latencyMs = 50): void {
    if (bitsPerSecond === null) {
      execute(`tc -n ${this.name} qdisc del dev ${this.device} root`);
      return;
    }
    // A bucket of 4 ms at least, and never below one 64 KiB offloaded packet, which tbf would drop whole.
    const burstBytes = Math.max(65_536 + 1_514, Math.ceil(bitsPerSecond / 8 / 250));
    const bucket = `rate ${bitsPerSecond}bit burst ${burstBytes}b latency ${latencyMs}ms`;
    execute(`tc -n ${this.name} qdisc replace dev ${this.device} root tbf ${bucket}`);
  }

  /** The largest packet that leaves this end whole. Below 1,280 bytes the system turns IPv6 off here. */
  setMtu(bytes: number): void {
    execute(`ip -n ${this.name} link set ${this.device} mtu ${bytes}`);
  }

  /** Replaces this end's nftables rules by the ruleset given; "" removes them all. */
  loadRules(ruleset: string): void {
    execute(this.command(["nft", "-f", "-"]), `flush ruleset\n${ruleset}\n`);
  }

  /**
   * Drops arriving packets at random, `perMille` of every 1,000. `match` narrows it in nftables' words, as "meta l4proto
   * udp" (the default) or "tcp dport 5199". Replaces earlier rules.
   */
  dropArriving(perMille: number, match = "meta l4proto udp"): void {
    this.loadRules(`table inet rperf {
      chain arriving {
        type filter hook input priority 0
        ${match} numgen random mod 1000 < ${perMille} counter drop
      }
    }`);
  }

  /**
   * Drops arriving UDP packets at random, each one for itself, and counts exactly those: `counters()` then tells `dropped`
   * and `passed`. Packets of other ports, or with less to carry than `minPayloadBytes` (36 unless told: rperf's hello and
   * end marker have less, its data packets have not), pass uncounted. What passes through to another namespace counts as
   * well. Other rules stay; those of an earlier call go, with their counts.
   */
  dropData(
    perMille: number,
    { port, minPayloadBytes = 36, maxPayloadBytes = MAX_UDP_PAYLOAD_BYTES }: DataMatch = {},
  ): void {
    const lengths = `${minPayloadBytes + UDP_HEADER_BYTES}-${maxPayloadBytes + UDP_HEADER_BYTES}`;
    const match = `${port === undefined ? "" : `udp dport ${port} `}udp length ${lengths}`;
    // "< 1000" would be refused as out of range.
    const chance = perMille >= 1000 ? "" : `numgen random mod 1000 < ${perMille}`;
    // Ahead of connection tracking, as on a link: who is dropped opens no way back.
    this.#replaceTable(
      "loss",
      `counter dropped {}
      counter passed {}
      chain arriving {
        type filter hook prerouting priority raw
        ${match} ${chance} counter name dropped drop
        ${match} counter name passed
      }`,
    );
  }

  /** A stateful firewall: what arrives unasked is dropped, unless it is for one of these ports, TCP or UDP. Other rules stay. */
  firewall(openPorts: readonly number[]): void {
    const open = openPorts.length === 0 ? "" : `meta l4proto { tcp, udp } th dport { ${openPorts.join(", ")} } accept`;
    this.#replaceTable(
      "firewall",
      `chain arriving {
        type filter hook input priority filter; policy drop
        iif lo accept
        ct state established,related accept
        meta l4proto { icmp, ipv6-icmp } accept
        ${open}
      }`,
    );
  }

  /**
   * From now until `mend` nothing arrives here that matches, or nothing at all; `verdict` may refuse it instead: "reject
   * with tcp reset". Other rules stay.
   */
  cut(match = "", verdict = "drop"): void {
    // A refusal needs the hook behind the routing; a link drops before anything sees the packet.
    const hook = verdict === "drop" ? "prerouting priority raw" : "input priority filter";
    this.#replaceTable("outage", `chain arriving {\ntype filter hook ${hook}\niif lo accept\n${match} ${verdict}\n}`);
  }

  mend(): void {
    this.#replaceTable("outage", "");
  }

  /** Packets that the named counters of this end's rules have seen. */
  counters(): Readonly<Record<string, number>> {
    const listed = JSON.parse(execute(this.command(["nft", "-j", "list", "counters"]))) as {
      nftables: { counter?: { name: string; packets: number } }[];
    };
    return Object.fromEntries(
      listed.nftables.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])),
    );
  }

  #replaceTable(name: string, body: string): void {
    // Deleting needs one that exists.
    const rules = `table inet ${name}\ndelete table inet ${name}\ntable inet ${name} {\n${body}\n}\n`;
    execute(this.command(["nft", "-f", "-"]), rules);
  }

  /** How many packets the counters without a name of this end's rules have seen. */
  countedPackets(): number {
    const rules = execute(this.command(["nft", "list", "ruleset"]));
    return [...rules.matchAll(/counter packets (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  }

  /** Takes this end's device up or down; addresses stay. */
  setLink(state: "up" | "down"): void {
    execute(`ip -n ${this.name} link set ${this.device} ${state}`);
  }
}

export interface NamespacePair {
  readonly left: Namespace;
  readonly right: Namespace;
}

/** Joins the devices of two namespaces, which do not exist yet. */
export function join(near: Namespace, far: Namespace): void {
  execute(`ip link add ${near.device} netns ${near.name} type veth peer name ${far.device} netns ${far.name}`);
  setUp(near);
  setUp(far);
  // The end that comes up last hears no multicast for a second, so that a first look for its IPv6 address takes that long.
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    const [link] = JSON.parse(execute(`ip -n ${other.name} -j link show ${other.device}`)) as { address: string }[];
    const hardware = `lladdr ${link?.address} dev ${one.device} nud permanent`;
    execute(`ip -n ${one.name} neighbour replace ${other.ipv6} ${hardware}`);
  }
}

/** Gives the device of a namespace its addresses and takes it up. */
export function setUp(namespace: Namespace): void {
  const { name, device, ipv4, ipv6 } = namespace;
  execute(`ip -n ${name} link set lo up`);
  const conf = `/proc/sys/net/ipv6/conf/${device}`;
  // No duplicate address detection: the addresses are usable at once. And they survive `setLink("down")`.
  execute(namespace.command(["sh", "-c", `echo 0 > ${conf}/accept_dad; echo 1 > ${conf}/keep_addr_on_down`]));
  execute(`ip -n ${name} address add ${ipv4}/24 dev ${device}`);
  execute(`ip -n ${name} address add ${ipv6}/64 dev ${device} nodad`);
  execute(`ip -n ${name} link set ${device} up`);
}

function remove(name: string): void {
  if (!present.delete(name)) return;
  Bun.spawnSync(["ip", "netns", "delete", name], { timeout: COMMAND_LIMIT_MS }); // its end of the link goes with it
}

/** Removes namespaces that a killed test process left behind: their names hold its process id. */
function removeStale(): void {
  for (const [, name = "", pid] of execute("ip netns list").matchAll(new RegExp(`^(${PREFIX}-(\\d+)-\\S+)`, "gm"))) {
    try {
      process.kill(Number(pid), 0);
    } catch {
      Bun.spawnSync(["ip", "netns", "delete", name], { timeout: COMMAND_LIMIT_MS });
    }
  }
}

function whyNoNamespaces(): string | null {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  for (const [program, debianPackage] of [
    ["ip", "iproute2"],
    ["tc", "iproute2"],
    ["nft", "nftables"],
  ] as const) {
    if (Bun.which(program) === null) return `network namespaces need ${program} (Debian: ${debianPackage})`;
  }
  const probe = `${PREFIX}-${process.pid}-probe`;
  try {
    removeStale();
    execute(`ip netns add ${probe}`);
    present.add(probe);
    execute(`ip -n ${probe} link add probe0 type veth peer name probe1`);
    return null;
  } catch (error) {
    return `network namespaces do not work here: ${(error as Error).message}`;
  } finally {
    remove(probe);
  }
}

let reason: string | null | undefined;

/** Why there are no namespaces here; null when there are. Tried for real, once. */
export function reasonOnce(): string | null {
  if (reason === undefined) reason = whyNoNamespaces();
  return reason;
}

/** Whether `withNamespaces` works here; prints why not. */
export function canUseNamespaces(): boolean {
  const why = reasonOnce();
  if (why !== null) printReason(why);
  return why === null;
}

/**
 * Adds namespaces that hold nothing yet, by names made of those given, hands the full names to `use` and removes them
 * whatever happens: other set-ups than the pair begin here (relay.ts, nat.ts).
 */
export async function withNames<Roles extends readonly string[], Result>(
  roles: Roles,
  use: (names: { readonly [Index in keyof Roles]: string }) => Promise<Result>,
): Promise<Result> {
  serial += 1;
  const base = `${PREFIX}-${process.pid}-${serial}`;
  const names = roles.map((role) => `${base}-${role}`);
  const removeAll = () => names.forEach(remove);
  process.once("exit", removeAll);
  try {
    for (const name of names) {
      execute(`ip netns add ${name}`);
      present.add(name);
    }
    return await use(names as { [Index in keyof Roles]: string });
  } finally {
    removeAll();
    process.off("exit", removeAll);
  }
}

/**
 * Makes the pair, hands it to `use` and removes it whatever happens. Processes that `use` started inside are its own to end,
 * or end with the test file.
 */
export function withNamespaces<Result>(use: (pair: NamespacePair) => Promise<Result>): Promise<Result> {
  return withNames(["left", "right"] as const, ([leftName, rightName]) => {
    const left = new Namespace(leftName, "10.77.0.1", "fd00:77::1");
    const right = new Namespace(rightName, "10.77.0.2", "fd00:77::2");
    join(left, right);
    return use({ left, right });
  });
}

/** A test and a group of tests that need namespaces. */
export const { test: testWithNamespaces, describe: describeWithNamespaces } = testsUnless(reasonOnce());
