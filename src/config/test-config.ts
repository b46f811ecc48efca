import { isIP, isIPv6 } from "node:net";
import { RperfError } from "../errors.ts";
import { checkAffinity } from "./affinity.ts";
import { checkBoolean, checkKeys, checkNumber, isCongestionName, type NumberRule, refuse } from "./checks.ts";
import { DIAL_MODES, OFFLOAD_MODES } from "./choices.ts";
import * as defaults from "./defaults.ts";
import { checkDscp } from "./dscp.ts";
import { deepFreeze } from "./freeze.ts";
import { checkClientKey } from "./keys.ts";
import {
  MAX_BANDWIDTH_BYTES_PER_SECOND,
  MAX_BUFFERS_BYTES,
  MAX_BUFFER_BYTES,
  MAX_DURATION_SECONDS,
  MAX_INTERVAL_SECONDS,
  MAX_KERNEL_NAME_BYTES,
  MAX_OMIT_SECONDS,
  MAX_RESUME_TIMEOUT_SECONDS,
  MAX_SEGMENT_BYTES,
  MAX_STREAMS,
  MAX_TCP_LENGTH_BYTES,
  MAX_TITLE_CHARACTERS,
  MAX_UDP_LENGTH_BYTES,
  MAX_WAIT_SECONDS,
  MIN_INTERVAL_SECONDS,
  MIN_SEGMENT_BYTES,
  MIN_TCP_LENGTH_BYTES,
  MIN_UDP_LENGTH_BYTES,
  RECEIVER_SILENCE_SECONDS,
  UDP_HEADER_BYTES,
} from "./limits.ts";
import { checkClientPorts, checkDevice, checkLocalAddress } from "./local-end.ts";
import { checkPortPools, type PortPoolsOptions } from "./port-pool.ts";
import { checkTlsTrust } from "./tls.ts";
import type { DialMode, Family, OffloadMode, TestConfig } from "./types.ts";

/** Follow from what else is asked for. */
type Derived = "pacing" | "writeSize";
type Defaulted = Omit<TestConfig, "host" | "portPools" | Derived>;

/** What a caller asks of a test: the fields of `TestConfig`, with defaults for all but `host`. */
export type TestOptions = { readonly [Field in keyof Defaulted]?: Defaulted[Field] | undefined } & {
  /** Name or address of the server; an IPv6 address may stand in brackets. */
  readonly host: string;
  readonly portPools?: PortPoolsOptions | undefined;
};

/** The rules of a test's numbers, named as their flags. */
export const TEST_RULES = {
  port: { name: "--port", min: 1, max: 65_535, isWhole: true },
  bandwidthBytesPerSecond: { name: "--bandwidth", min: 0, max: MAX_BANDWIDTH_BYTES_PER_SECOND, isWhole: true },
  durationSeconds: { name: "--time", min: 0, max: MAX_DURATION_SECONDS, isWhole: false, isAboveMin: true },
  sendIntervalSeconds: { name: "--send-interval", min: 0, max: 1, isWhole: false, isAboveMin: true },
  tcpLengthBytes: { name: "--length", min: 0, max: MAX_TCP_LENGTH_BYTES, isWhole: true },
  udpLengthBytes: { name: "--length with --udp", min: 0, max: MAX_UDP_LENGTH_BYTES, isWhole: true },
  sendBufferBytes: { name: "--send-buffer", min: 0, max: MAX_BUFFER_BYTES, isWhole: true },
  receiveBufferBytes: { name: "--receive-buffer", min: 0, max: MAX_BUFFER_BYTES, isWhole: true },
  parallel: { name: "--parallel", min: 1, max: MAX_STREAMS, isWhole: true },
  omitSeconds: { name: "--omit", min: 0, max: MAX_OMIT_SECONDS, isWhole: true },
  resumeTimeoutSeconds: { name: "--resume-timeout", min: 0, max: MAX_RESUME_TIMEOUT_SECONDS, isWhole: false },
  waitSeconds: { name: "--wait", min: 0, max: MAX_WAIT_SECONDS, isWhole: false },
  maxSegmentBytes: { name: "--mss", min: MIN_SEGMENT_BYTES, max: MAX_SEGMENT_BYTES, isWhole: true },
  intervalSeconds: { name: "--interval", min: MIN_INTERVAL_SECONDS, max: MAX_INTERVAL_SECONDS, isWhole: false },
} as const satisfies Record<string, NumberRule>;

/** Data rarer than this leaves a receiver too little margin before it gives up. */
const MAX_GAP_SECONDS = RECEIVER_SILENCE_SECONDS - 0.5;

/** Keyed by field, so that the compiler tells when one is missing. */
const FIELDS: Record<keyof TestOptions, true> = {
  host: true,
  port: true,
  ipv6Only: true,
  family: true,
  reverse: true,
  bidir: true,
  bandwidthBytesPerSecond: true,
  durationSeconds: true,
  sendIntervalSeconds: true,
  offload: true,
  lengthBytes: true,
  sendBufferBytes: true,
  receiveBufferBytes: true,
  parallel: true,
  omitSeconds: true,
  noDelay: true,
  affinity: true,
  portPools: true,
  dial: true,
  singlePort: true,
  clientPorts: true,
  resumeTimeoutSeconds: true,
  waitSeconds: true,
  localAddress: true,
  device: true,
  congestion: true,
  dscp: true,
  maxSegmentBytes: true,
  intervalSeconds: true,
  title: true,
  key: true,
  tls: true,
};

/**
 * Checks every field, type included, and fills in what is left out. `warnings` tell what was changed on the way.
 * Throws an `RperfError` of code `usage` that names the flag and what it may be.
 */
export function makeTestConfig(options: TestOptions): { config: TestConfig; warnings: readonly string[] } {
  checkKeys("options", options, Object.keys(FIELDS));
  const warnings: string[] = [];
  const family = checkFamily(options.family ?? "tcp");
  const lengthBytes = chooseLength(family, options.lengthBytes ?? 0, warnings);
  const buffer = (rule: NumberRule, bytes: number | undefined): number =>
    chooseBuffer(rule, bytes ?? 0, lengthBytes, warnings);
  const ipv6Only = checkBoolean("--version6", options.ipv6Only ?? false);
  const bidir = checkBoolean("--bidir", options.bidir ?? false);
  const parallel = checkNumber(TEST_RULES.parallel, options.parallel ?? defaults.DEFAULT_PARALLEL);
  const config: TestConfig = {
    host: checkHost(options.host),
    port: checkNumber(TEST_RULES.port, options.port ?? defaults.DEFAULT_PORT),
    ipv6Only,
    family,
    reverse: checkBoolean("--reverse", options.reverse ?? false),
    bidir,
    bandwidthBytesPerSecond: checkNumber(
      TEST_RULES.bandwidthBytesPerSecond,
      options.bandwidthBytesPerSecond ?? defaults.DEFAULT_BANDWIDTH_BYTES_PER_SECOND,
    ),
    durationSeconds: checkNumber(
      TEST_RULES.durationSeconds,
      options.durationSeconds ?? defaults.DEFAULT_DURATION_SECONDS,
    ),
    sendIntervalSeconds: checkNumber(
      TEST_RULES.sendIntervalSeconds,
      options.sendIntervalSeconds ?? defaults.DEFAULT_SEND_INTERVAL_SECONDS,
    ),
    pacing: typeof options.sendIntervalSeconds === "number" ? "slices" : "even",
    offload: checkOffload(options.offload ?? "auto"),
    lengthBytes,
    writeSize: family === "tcp" && (options.lengthBytes ?? 0) === 0 ? "auto" : "length",
    sendBufferBytes: buffer(TEST_RULES.sendBufferBytes, options.sendBufferBytes),
    receiveBufferBytes: buffer(TEST_RULES.receiveBufferBytes, options.receiveBufferBytes),
    parallel,
    omitSeconds: checkNumber(TEST_RULES.omitSeconds, options.omitSeconds ?? defaults.DEFAULT_OMIT_SECONDS),
    noDelay: checkBoolean("--no-delay", options.noDelay ?? false),
    affinity: checkAffinity(options.affinity),
    portPools: checkPortPools(options.portPools ?? {}),
    dial: checkDial(options.dial ?? "client"),
    singlePort: checkBoolean("--single-port", options.singlePort ?? false),
    clientPorts: checkClientPorts(options.clientPorts, bidir ? 2 * parallel : parallel),
    resumeTimeoutSeconds: checkNumber(
      TEST_RULES.resumeTimeoutSeconds,
      options.resumeTimeoutSeconds ?? defaults.DEFAULT_RESUME_TIMEOUT_SECONDS,
    ),
    waitSeconds: checkNumber(TEST_RULES.waitSeconds, options.waitSeconds ?? defaults.DEFAULT_WAIT_SECONDS),
    localAddress: checkLocalAddress(options.localAddress, ipv6Only),
    device: checkDevice(options.device),
    congestion: checkCongestion(options.congestion ?? null),
    dscp: checkDscp(options.dscp),
    maxSegmentBytes: numberOrNull(TEST_RULES.maxSegmentBytes, options.maxSegmentBytes),
    intervalSeconds: checkNumber(
      TEST_RULES.intervalSeconds,
      options.intervalSeconds ?? defaults.DEFAULT_INTERVAL_SECONDS,
    ),
    title: checkTitle(options.title ?? null),
    key: checkClientKey(options.key),
    tls: checkTlsTrust(options.tls),
  };
  checkTogether(config);
  return { config: deepFreeze(config), warnings };
}

function checkFamily(family: unknown): Family {
  return family === "tcp" || family === "udp" ? family : refuse("family", '"tcp" or "udp"', family);
}

function checkOffload(mode: unknown): OffloadMode {
  const known = OFFLOAD_MODES.find((candidate) => candidate === mode);
  return known ?? refuse("--offload", `one of ${OFFLOAD_MODES.join(", ")}`, mode);
}

function checkDial(mode: unknown): DialMode {
  const known = DIAL_MODES.find((candidate) => candidate === mode);
  return known ?? refuse("dial", `one of ${DIAL_MODES.join(", ")}`, mode);
}

function numberOrNull(rule: NumberRule, value: number | null | undefined): number | null {
  return value === undefined || value === null ? null : checkNumber(rule, value);
}

function checkCongestion(name: unknown): string | null {
  if (name === null) return null;
  const allowed = `a name such as "cubic" or "bbr", at most ${MAX_KERNEL_NAME_BYTES} of a-z, 0-9, _ and -`;
  return typeof name === "string" && isCongestionName(name) ? name : refuse("--congestion", allowed, name);
}

function checkTitle(text: unknown): string | null {
  if (text === null) return null;
  const isTitle = typeof text === "string" && text !== "" && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text);
  const allowed = `1 to ${MAX_TITLE_CHARACTERS} characters, none of them a control character`;
  return isTitle && text.length <= MAX_TITLE_CHARACTERS ? text : refuse("--title", allowed, text);
}

function checkHost(value: unknown): string {
  const allowed = "a host name or an address";
  if (typeof value !== "string") return refuse("--client", allowed, value);
  const host = /^\[(.*)\]$/.exec(value)?.[1] ?? value;
  // 253 is the longest DNS name (RFC 1035 §2.3.4, less the outer length bytes).
  if (host === "" || host.length > 253 || !/^[^\s\p{Cc}[\]/]+$/u.test(host)) return refuse("--client", allowed, value);
  if (host.includes(":") && !isIPv6(host)) return refuse("--client", `${allowed}, the port in --port`, value);
  return host;
}

/** 0 stands for the usual length; one too short for what each packet or stream starts with is raised. */
function chooseLength(family: Family, askedBytes: number, warnings: string[]): number {
  const isUdp = family === "udp";
  const bytes = checkNumber(isUdp ? TEST_RULES.udpLengthBytes : TEST_RULES.tcpLengthBytes, askedBytes);
  if (bytes === 0) return isUdp ? defaults.DEFAULT_UDP_LENGTH_BYTES : defaults.DEFAULT_TCP_LENGTH_BYTES;
  const leastBytes = isUdp ? MIN_UDP_LENGTH_BYTES : MIN_TCP_LENGTH_BYTES;
  if (bytes >= leastBytes) return bytes;
  warnings.push(`--length ${bytes} is too short for ${family.toUpperCase()}: using ${leastBytes}`);
  return leastBytes;
}

/** A socket buffer has to hold what is written at once, and more. */
function chooseBuffer(rule: NumberRule, askedBytes: number, lengthBytes: number, warnings: string[]): number {
  const bytes = checkNumber(rule, askedBytes);
  if (bytes === 0 || bytes >= lengthBytes) return bytes;
  const raisedBytes = 2 * lengthBytes;
  warnings.push(`${rule.name} ${bytes} is below --length ${lengthBytes}: asking for ${raisedBytes}`);
  return raisedBytes;
}

function checkTogether(config: TestConfig): void {
  checkTcpOnly(config);
  checkPaths(config);
  if (config.family === "tcp" && config.offload !== "auto") {
    throw new RperfError("usage", `--offload ${config.offload} is only for UDP (--udp)`);
  }
  if (config.omitSeconds >= config.durationSeconds) {
    throw new RperfError(
      "usage",
      `--omit must be less than --time (${config.durationSeconds} s), not "${config.omitSeconds}"`,
    );
  }
  if (config.lengthBytes * config.parallel > MAX_BUFFERS_BYTES) {
    throw new RperfError(
      "usage",
      `--length must be at most ${Math.floor(MAX_BUFFERS_BYTES / config.parallel)} with --parallel ${config.parallel}, ` +
        `not "${config.lengthBytes}"`,
    );
  }
  checkRate(config);
}

function checkTcpOnly({ family, congestion, maxSegmentBytes }: TestConfig): void {
  if (family === "tcp") return;
  if (congestion !== null) throw new RperfError("usage", "--congestion is only for TCP (without --udp)");
  if (maxSegmentBytes !== null) throw new RperfError("usage", "--mss is only for TCP (without --udp)");
}

/** Who sends, who dials and between which addresses. */
function checkPaths({ reverse, bidir, singlePort, dial, host, localAddress }: TestConfig): void {
  if (bidir && reverse) throw new RperfError("usage", "--bidir and --reverse exclude each other: both ways or one");
  if (singlePort && dial === "legacy") {
    throw new RperfError("usage", "--single-port and --legacy-dial exclude each other: over one port the client dials");
  }
  if (localAddress !== null && isIP(host) !== 0 && isIP(host) !== isIP(localAddress)) {
    throw new RperfError("usage", `--bind ${localAddress} and --client ${host} are of different IP versions`);
  }
}

/** Refuses rates at which a receiver would give up between two packets, or a test would not send a single one. */
function checkRate(config: TestConfig): void {
  const { family, bandwidthBytesPerSecond, durationSeconds, lengthBytes } = config;
  if (bandwidthBytesPerSecond === 0) return;
  // The test id that opens a TCP stream is sent ahead of the plan.
  const unitBytes = family === "udp" ? lengthBytes + UDP_HEADER_BYTES : MIN_TCP_LENGTH_BYTES;
  // Paced in slices, a packet leaves with the slice in which it becomes due; evenly, it leaves at the start of its
  // time: behind the last one there may be its own and most of that of one more, which does not fit any more.
  const isEven = config.pacing === "even";
  const sliceSeconds = isEven ? 0 : config.sendIntervalSeconds;
  const gapUnits = isEven && family === "udp" ? 2 : 1;
  const leastBytesPerSecond = Math.ceil((gapUnits * unitBytes) / (MAX_GAP_SECONDS - sliceSeconds));
  const what = family === "udp" ? `UDP with --length ${lengthBytes}` : "TCP";
  if (bandwidthBytesPerSecond < leastBytesPerSecond) {
    throw new RperfError(
      "usage",
      `--bandwidth must be at least ${leastBytesPerSecond} (bytes/s) for ${what}: ` +
        `a receiver gives up after ${RECEIVER_SILENCE_SECONDS} s without data`,
    );
  }
  if (family === "udp" && bandwidthBytesPerSecond * durationSeconds < unitBytes) {
    throw new RperfError(
      "usage",
      `--bandwidth times --time must be at least one packet, ${unitBytes} bytes for ${what}, ` +
        `not "${bandwidthBytesPerSecond * durationSeconds}"`,
    );
  }
}
