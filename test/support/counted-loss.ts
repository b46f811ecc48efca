// Random loss of UDP packets whose rules count, packet by packet, what became of rperf's: the truth for its own figures.
import { execute, type Namespace } from "./netns.ts";

export interface Fate {
  readonly lost: number;
  readonly passed: number;
}

export interface LossTruth {
  /** Data packets that count. */
  readonly data: Fate;
  /** Data packets within the time of `--omit`. */
  readonly omitted: Fate;
  /** Hellos, their answers and end markers. */
  readonly small: Fate;
  /** As how many the data packets that count came to the rules. */
  readonly segments: number;
}

/** Test id, packet id and time; nothing smaller is data. */
const LEAST_DATA_BYTES = 36;
const UDP_HEADER_BYTES = 8;
const IP_HEADER_BYTES = { 4: 20, 6: 40 } as const;
/** The omit mark is the top bit of the nanoseconds, 32 bytes into the payload (src/protocol/udp-packet.ts). */
const OMIT_MARK_BIT = (UDP_HEADER_BYTES + 32) * 8;

const FATES = ["lost", "passed"] as const;
const KINDS = ["data", "omitted", "small"] as const;

/** Drops UDP packets that arrive here, of any kind and each by itself. Replaces this end's earlier rules and counts. */
export function loseArriving(end: Namespace, perMille: number): void {
  const counters = KINDS.flatMap((kind) => FATES.map((fate) => `counter ${kind}_${fate} {}`));
  const chains = KINDS.map(
    (kind) => `chain ${kind} {
      numgen random mod 1000 < ${perMille} counter name ${kind}_lost drop
      counter name ${kind}_passed accept
    }`,
  );
  end.loadRules(`table inet truth {
    ${counters.join("\n")}
    ${chains.join("\n")}
    chain arriving {
      type filter hook prerouting priority raw
      meta l4proto != udp accept
      udp length < ${LEAST_DATA_BYTES + UDP_HEADER_BYTES} goto small
      @th,${OMIT_MARK_BIT},1 1 goto omitted
      goto data
    }
  }`);
}

interface Counter {
  readonly name: string;
  readonly packets: number;
  readonly bytes: number;
}

function countersOf(end: Namespace): Counter[] {
  const listed = JSON.parse(execute(end.command(["nft", "-j", "list", "counters"]))) as {
    nftables: { counter?: Counter }[];
  };
  return listed.nftables.flatMap(({ counter }) => counter ?? []);
}

/**
 * What the rules of `loseArriving` have seen. A sender's offload hands them many packets of `lengthBytes` as one, which
 * then live or die together; their bytes tell how many they were.
 */
export function lossTruthOf(end: Namespace, lengthBytes = 1024, ipVersion: 4 | 6 = 4): LossTruth {
  const counters = countersOf(end);
  const headerBytes = IP_HEADER_BYTES[ipVersion] + UDP_HEADER_BYTES;
  const count = (kind: (typeof KINDS)[number], fate: (typeof FATES)[number]) => {
    const counter = counters.find(({ name }) => name === `${kind}_${fate}`);
    if (counter === undefined) throw new Error(`${end.name} has no rules of loseArriving`);
    return kind === "small" ? counter.packets : (counter.bytes - headerBytes * counter.packets) / lengthBytes;
  };
  const fateOf = (kind: (typeof KINDS)[number]) => ({ lost: count(kind, "lost"), passed: count(kind, "passed") });
  const segments = counters
    .filter(({ name }) => name.startsWith("data_"))
    .reduce((sum, { packets }) => sum + packets, 0);
  return { data: fateOf("data"), omitted: fateOf("omitted"), small: fateOf("small"), segments };
}
