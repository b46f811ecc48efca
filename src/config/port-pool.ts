import { checkKeys, checkNumber, type NumberRule, refuse } from "./checks.ts";
import type { PortPools, PortRange } from "./types.ts";

const ALLOWED = 'ports from 1 to 65535 and ranges of them, such as "1-10,19,21"';

/** Names of the flags behind each pool. */
export const POOL_NAMES = {
  tcp4: "--tcp-port-pool",
  tcp6: "--tcp6-port-pool",
  udp4: "--udp-port-pool",
  udp6: "--udp6-port-pool",
} as const satisfies Record<keyof PortPools, string>;

/** Pools as a caller gives them; one left out means any port the system gives. */
export type PortPoolsOptions = { readonly [Pool in keyof PortPools]?: PortPools[Pool] | undefined };

/** Reads `1-10,19,21`; `name` is the flag to blame. The ranges stay in the order given. */
export function parsePortPool(name: string, text: string): PortRange[] {
  return text.split(",").map((item) => {
    const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(item.trim()) ?? [];
    if (first === undefined) return refuse(name, ALLOWED, text);
    return checkRange(name, { first: Number(first), last: Number(last ?? first) });
  });
}

/** Checks every range, from whatever a caller of the library gives. */
export function checkPortPools(pools: PortPoolsOptions): PortPools {
  checkKeys("portPools", pools, Object.keys(POOL_NAMES));
  return {
    tcp4: checkRanges(POOL_NAMES.tcp4, pools.tcp4),
    tcp6: checkRanges(POOL_NAMES.tcp6, pools.tcp6),
    udp4: checkRanges(POOL_NAMES.udp4, pools.udp4),
    udp6: checkRanges(POOL_NAMES.udp6, pools.udp6),
  };
}

function checkRanges(name: string, ranges: readonly PortRange[] | undefined): readonly PortRange[] {
  if (ranges === undefined) return [];
  if (!Array.isArray(ranges)) refuse(name, "a list of port ranges", ranges);
  return ranges.map((range) => {
    checkKeys(`a range of ${name}`, range, ["first", "last"]);
    return checkRange(name, range);
  });
}

function checkRange(name: string, range: PortRange): PortRange {
  const rule: NumberRule = { name: `each port of ${name}`, min: 1, max: 65_535, isWhole: true };
  const first = checkNumber(rule, range.first);
  const last = checkNumber(rule, range.last);
  if (first > last) refuse(`a range of ${name}`, "given with its lower port first", `${first}-${last}`);
  return { first, last };
}
