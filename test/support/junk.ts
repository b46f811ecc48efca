// Datagrams of no test, and the programs that send floods of them.
import { ROOT, type RunningProcess, startProcess } from "./process.ts";
import { newTestId, udpPacket } from "./raw-client.ts";

/** Of any size, or as large as the test's packets with another test's id; hellos of other tests, and what is like them. */
export type JunkKind = "data" | "hellos";

const MOST_BYTES = 1472;

/** One datagram of this kind, each another one. */
export function junkOf(kind: string): Uint8Array {
  switch (kind) {
    case "data":
      if (Math.random() < 0.5) return udpPacket(newTestId(), Math.floor(Math.random() * 2 ** 40));
      return crypto.getRandomValues(new Uint8Array(Math.floor(Math.random() * (MOST_BYTES + 1))));
    case "hellos": {
      const hello = Buffer.alloc(24);
      hello.set(newTestId());
      hello.set([0x52, 0x48, Math.random() < 0.9 ? 1 : 2, 0, 0, Math.floor(Math.random() * 4)], 16);
      return hello;
    }
    default:
      throw new Error(`no junk of kind ${kind}`);
  }
}

export interface Flood {
  /** How many a second left so far, on the average, by the sender's own clock. */
  stop(): Promise<number>;
}

/** Resolves once it runs. */
export async function flood(address: string, port: number, perSecond: number, kind: JunkKind): Promise<Flood> {
  const child: RunningProcess = startProcess([
    process.execPath,
    `${ROOT}/test/support/junk-child.ts`,
    address,
    `${port}`,
    `${perSecond}`,
    kind,
  ]);
  await child.waitForOutput(/\d+ \d+\n/);
  const last = () => /(\d+) (\d+)\n[^\n]*$/.exec(child.stdout)?.slice(1).map(Number) ?? [];
  const [sentBefore = NaN, msBefore = NaN] = last();
  return {
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
      const [sent = NaN, ms = NaN] = last();
      return ((sent - sentBefore) / (ms - msBefore)) * 1000;
    },
  };
}
