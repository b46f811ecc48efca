// Two network namespaces joined by a relay that sees every packet: it delays, drops, copies and reorders them as told, and
// keeps the truth of it. Linux, root, iproute2, nftables and /dev/net/tun only. Traffic stays inside the namespaces.
//
//   left  10.78.0.1  fd00:78::1  ──TUN──  relay-child.ts  ──TUN──  right  10.78.0.2  fd00:78::2
import { existsSync } from "node:fs";

import { arrivalOrderOf, type ArrivalOrder } from "./arrival-order.ts";
import { testsUnless } from "./conditional.ts";
import { eventually, within } from "./eventually.ts";
import { execute, Namespace, type NamespacePair, reasonOnce, setUp, withNames } from "./netns.ts";
import { internals, ROOT } from "./process.ts";
import {
  type Command,
  DATA_PACKETS,
  type FlowLog,
  type Match,
  type RelayLog,
  type RelaySettings,
  type Side,
  SIDES,
} from "./relay/settings.ts";

const DEVICE = "link0";
/** Packets that wait in the kernel while the relay is not on the processor. */
const QUEUE_PACKETS = 10_000;

export interface RelayOptions extends RelaySettings {
  /** The packets whose flows are logged and that rules without a `match` mean; rperf's UDP data packets unless told. */
  readonly data?: Match;
  /** 32 bits that decide all that is left to chance; a new one each time unless told. Printed when `use` fails. */
  readonly seed?: number;
}

export interface FlowTruth extends FlowLog {
  /** What a perfect receiver finds; of the order in which packets came to the relay. */
  readonly order: ArrivalOrder;
  /** rperf's packet ids as they left the relay. */
  readonly arrivedIds: readonly number[];
}

type LinkTruth = Omit<RelayLog[Side], "flows"> & { readonly flows: readonly FlowTruth[] };
export type RelayTruth = Readonly<Record<Side, LinkTruth>>;

export interface RelayPair extends NamespacePair {
  readonly relay: Relay;
}

/** The process that is the link. Commands are in force once they resolve. */
class Relay {
  readonly seed: number;
  readonly #pair: NamespacePair;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #said = new internals.Transcript();
  readonly #complaints = new internals.Transcript();
  readonly #waiting: ((line: string) => void)[] = [];
  /** How much of what it said was handed out. */
  #readChars = 0;

  constructor(pair: NamespacePair, data: Match, seed: number) {
    this.#pair = pair;
    this.seed = seed;
    const start = { device: DEVICE, left: pair.left.name, right: pair.right.name, seed, data };
    this.#child = Bun.spawn([process.execPath, `${ROOT}/test/support/relay-child.ts`, JSON.stringify(start)], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    internals.running.add(this.#child);
    this.#said.onChange(() => this.#handOut());
    void internals.collect(this.#child.stdout, this.#said);
    void internals.collect(this.#child.stderr, this.#complaints);
  }

  /** Resolves once both devices are its own. */
  async isReady(): Promise<void> {
    await this.#nextLine();
  }

  /** Replaces the settings of the directions that are named. */
  async set(settings: RelaySettings): Promise<void> {
    await this.#ask({ kind: "set", settings });
  }

  /** Lets nothing through from now on, or again what the settings let through. */
  async blackHole(on: boolean, sides: readonly Side[] = SIDES): Promise<void> {
    for (const side of sides) await this.#ask({ kind: "black-hole", side, on });
  }

  /**
   * What became of every packet so far, once none waits any more: stop the traffic first. Rejects when the relay lost
   * packets of its own accord: then there is no truth.
   */
  async truth(): Promise<RelayTruth> {
    const log = await eventually(
      "nothing waits in the relay",
      async () => JSON.parse(await this.#ask({ kind: "truth" })) as RelayLog,
      ({ waiting }) => waiting === 0,
      20_000,
    );
    const { toRight, toLeft } = log;
    const queueLost = queueLossOf(this.#pair.left) + queueLossOf(this.#pair.right);
    if (toRight.refused + toLeft.refused + queueLost > 0) {
      throw new Error(
        `the relay lost packets itself: ${queueLost} in front of it, ${toRight.refused + toLeft.refused} behind it`,
      );
    }
    return { toRight: truthOf(toRight), toLeft: truthOf(toLeft) };
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    internals.running.delete(this.#child);
  }

  #ask(command: Command): Promise<string> {
    const line = this.#nextLine();
    void this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    void this.#child.stdin.flush();
    return line;
  }

  async #nextLine(): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.#waiting.push(resolve);
    const ended = this.#child.exited.then((code) => {
      throw new Error(`the relay ended with ${code}:\n${this.#complaints.text}`);
    });
    return within("an answer of the relay", Promise.race([promise, ended]));
  }

  #handOut(): void {
    const { text } = this.#said;
    for (;;) {
      const end = text.indexOf("\n", this.#readChars);
      if (end < 0) return;
      this.#waiting.shift()?.(text.slice(this.#readChars, end));
      this.#readChars = end + 1;
    }
  }
}

function truthOf(log: RelayLog[Side]): LinkTruth {
  const flows = log.flows.map((flow) => ({
    ...flow,
    order: arrivalOrderOf(flow.passed, flow.ids.length),
    arrivedIds: flow.passed.map((position) => flow.ids[position] ?? Number.NaN),
  }));
  return { ...log, flows };
}

/** Packets that found the queue in front of the relay full, or that the namespace did not take from it. */
function queueLossOf({ name, device }: Namespace): number {
  const [link] = JSON.parse(execute(`ip -n ${name} -j -s link show ${device}`)) as {
    stats64: Record<"rx" | "tx", { dropped: number; errors: number }>;
  }[];
  if (link === undefined) throw new Error(`no ${device} in ${name}`);
  const { rx, tx } = link.stats64;
  return rx.dropped + rx.errors + tx.dropped + tx.errors;
}

/** As `withNamespaces`, with the relay in between. */
export function withRelay<Result>(options: RelayOptions, use: (pair: RelayPair) => Promise<Result>): Promise<Result> {
  const { data = DATA_PACKETS, seed = Math.floor(Math.random() * 2 ** 32), ...settings } = options;
  return withNames(["left", "right"] as const, async ([leftName, rightName]) => {
    const left = new Namespace(leftName, "10.78.0.1", "fd00:78::1", DEVICE);
    const right = new Namespace(rightName, "10.78.0.2", "fd00:78::2", DEVICE);
    for (const { name } of [left, right]) {
      execute(`ip -n ${name} tuntap add dev ${DEVICE} mode tun`);
      execute(`ip -n ${name} link set ${DEVICE} mtu 1500 txqueuelen ${QUEUE_PACKETS}`);
    }
    const relay = new Relay({ left, right }, data, seed);
    try {
      // Before the devices are up: what enters one that nobody holds is lost.
      await relay.isReady();
      setUp(left);
      setUp(right);
      await relay.set(settings);
      return await use({ left, right, relay });
    } catch (error) {
      console.error(`the relay's seed was ${seed}`);
      throw error;
    } finally {
      await relay.stop();
    }
  });
}

function whyNoRelay(): string | null {
  return reasonOnce() ?? (existsSync("/dev/net/tun") ? null : "a relay needs /dev/net/tun");
}

/** A test and a group of tests that need the relay. */
export const { test: testWithRelay, describe: describeWithRelay } = testsUnless(whyNoRelay());
