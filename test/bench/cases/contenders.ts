// Who takes part in what.
import type { Contender } from "../case.ts";

export const OURS: Contender = { tool: "rperf" };
export const ORIGINAL: Contender = { tool: "original" };
export const IPERF3: Contender = { tool: "iperf3" };
export const XFR: Contender = { tool: "xfr" };

/** iperf3's ways to the most TCP throughput: the second saves copies on both sides. */
export const IPERF3_LONG_WRITES: Contender = { tool: "iperf3", flags: ["-l", "1M"] };
export const IPERF3_NO_COPIES: Contender = { tool: "iperf3", flags: ["-Z", "--skip-rx-copy", "-l", "1M"] };
/** With segmentation offload, as ours. */
export const IPERF3_OFFLOAD: Contender = { tool: "iperf3", flags: ["--gsro"] };

/** Every peer as it comes. */
export const PEERS: readonly Contender[] = [ORIGINAL, IPERF3, XFR, { tool: "iperf2" }, { tool: "nuttcp" }];
export const ALL: readonly Contender[] = [OURS, ...PEERS];
