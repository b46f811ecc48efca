import { probeCpu } from "../../ffi/affinity.ts";
import type { Family, PortPools, PortRange } from "../config/types.ts";

/** Deals CPUs to streams in turn. */
export class CpuDealer {
  readonly #cpus: readonly number[] = [];
  #dealt = 0;

  /** Each CPU is tried once; one that cannot be had is warned about and left out. */
  constructor(cpus: readonly number[], warn: (message: string) => void) {
    const usable: number[] = [];
    for (const cpu of cpus) {
      const outcome = probeCpu(cpu);
      if (outcome.ok) {
        usable.push(cpu);
      } else if (outcome.supported) {
        warn(`CPU ${cpu} is not available here; it is left out of the affinity`);
      } else {
        warn(`${outcome.message}; streams run where the system puts them`);
        break;
      }
    }
    this.#cpus = usable;
  }

  /** How many CPUs are dealt; 0 = streams run anywhere. */
  get size(): number {
    return this.#cpus.length;
  }

  /** The next stream's CPU; null = anywhere. */
  next(): number | null {
    return this.#cpus.length === 0 ? null : (this.#cpus[this.#dealt++ % this.#cpus.length] ?? null);
  }
}

/** The pool that a receiver may choose from, and where to begin. */
export interface PortChoice {
  readonly ports: readonly PortRange[];
  readonly firstChoice: number;
}

/** Deals the ports of each pool to receivers in turn. */
export class PortDealer {
  readonly #pools: PortPools;
  readonly #dealt: Record<keyof PortPools, number> = { tcp4: 0, tcp6: 0, udp4: 0, udp6: 0 };

  constructor(pools: PortPools) {
    this.#pools = pools;
  }

  next(family: Family, ipVersion: 4 | 6): PortChoice {
    const pool = `${family}${ipVersion}` as const;
    return { ports: this.#pools[pool], firstChoice: this.#dealt[pool]++ };
  }
}
