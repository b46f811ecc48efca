import { parseAffinity } from "../config/affinity.ts";
import { type NumberRule, parseNumber } from "../config/checks.ts";
import { AUTH_MODES, OFFLOAD_MODES } from "../config/choices.ts";
import { DEFAULT_SELFTEST_SECONDS } from "../config/defaults.ts";
import { parseDscp } from "../config/dscp.ts";
import { isKeyId, KEY_VARIABLE } from "../config/keys.ts";
import { parseClientPorts } from "../config/local-end.ts";
import { parsePortPool, POOL_NAMES, type PortPoolsOptions } from "../config/port-pool.ts";
import { MAX_KEY_ID_CHARACTERS } from "../config/limits.ts";
import { makeServerConfig, SERVER_RULES, type ServerOptions } from "../config/server-config.ts";
import { makeTestConfig, TEST_RULES, type TestOptions } from "../config/test-config.ts";
import { parseFingerprint, type TlsTrust } from "../config/tls.ts";
import type { PortRange } from "../config/types.ts";
import { RperfError } from "../errors.ts";
import { parseBandwidth } from "../units.ts";
import { LOG_LEVELS, type LogLevel } from "../log.ts";
import { type ClientFormat, clientFormatOf, type Format, formatOf, LOG_FORMATS, type LogFormat } from "./format.ts";
import { operationOf, type ServerOperation } from "./operation.ts";
import { firstKey, readKeys, readText, readTlsIdentity, type TlsPaths } from "./security-files.ts";
import type { OptionSpec, ValuedName } from "./option-spec.ts";
import { type KEYGEN_OPTIONS, ROOT_OPTIONS, type SELFTEST_OPTIONS } from "./options.ts";
import type { ParsedOptions } from "./strict-parse.ts";

export type RootParsed = ParsedOptions<typeof ROOT_OPTIONS>;
type RootValuedName = ValuedName<typeof ROOT_OPTIONS>;

/** What `rperf` was asked to do, with every value checked. */
export type Invocation =
  | {
      readonly mode: "client";
      readonly options: TestOptions;
      readonly format: ClientFormat;
      readonly isDebug: boolean;
      readonly log: LogChoice;
    }
  | {
      readonly mode: "server";
      /** By the flags alone. */
      readonly options: ServerOptions;
      /** The policy file; null = none. */
      readonly policyPath: string | null;
      /** The file of --key-file, whose keys `options` has by now; null = none. */
      readonly keyPath: string | null;
      /** The files of --tls-cert and --tls-key, likewise. */
      readonly tlsPaths: TlsPaths | null;
      /** Only tells what it would do. */
      readonly isCheck: boolean;
      readonly operation: ServerOperation;
      readonly log: LogChoice;
    };

/** How stderr is written. */
export interface LogChoice {
  readonly level: LogLevel;
  readonly format: LogFormat;
}

export interface SelftestInvocation {
  readonly durationSeconds: number;
  readonly format: Format;
  readonly isDebug: boolean;
}

/** Turns parsed options into what to do; a value or a combination that cannot be throws with code `usage`. */
export function invocationOf(parsed: RootParsed): Invocation {
  const isServer = parsed.isOn("server");
  if (isServer && parsed.has("client")) {
    throw new RperfError(
      "usage",
      `${parsed.typed("server")} and ${parsed.typed("client")} exclude each other: serve or test, not both`,
    );
  }
  if (!isServer && !parsed.has("client")) {
    throw new RperfError("usage", "use -s to serve or -c HOST to test; see --help");
  }
  refuseOthersOptions(parsed, isServer ? "client" : "server");
  if (isServer) {
    const operation = operationOf(parsed);
    const options = serverOptions(parsed);
    const policyPath = parsed.value("config") ?? null;
    // With a file, whether they are good shows with what it says.
    if (policyPath === null) makeServerConfig(options);
    const keyPath = parsed.value("key-file") ?? null;
    const isCheck = parsed.isOn("check-config");
    const files = { policyPath, keyPath, tlsPaths: tlsPathsOf(parsed) };
    return { mode: "server", options, ...files, isCheck, operation, log: logChoice(parsed, "info") };
  }
  const options = testOptions(parsed);
  // Refused here, before anything is loaded; the library makes its own of them and tells the warnings.
  makeTestConfig(options);
  const format = clientFormatOf(parsed.value("format"), parsed.isOn("json-stream"));
  // What happens in good order is told by the results.
  return { mode: "client", options, format, isDebug: parsed.isOn("debug"), log: logChoice(parsed, "warn") };
}

/** The id of the key to make. */
export function keyIdOf(parsed: ParsedOptions<typeof KEYGEN_OPTIONS>): string | null {
  const id = parsed.value("id") ?? null;
  if (id === null || isKeyId(id)) return id;
  throw new RperfError("usage", `--id must be 1 to ${MAX_KEY_ID_CHARACTERS} of A-Z a-z 0-9 . _ -, not "${id}"`);
}

export function selftestInvocationOf(parsed: ParsedOptions<typeof SELFTEST_OPTIONS>): SelftestInvocation {
  return {
    durationSeconds:
      mapped(parsed.value("time"), (text) => parseNumber(TEST_RULES.durationSeconds, text)) ?? DEFAULT_SELFTEST_SECONDS,
    format: formatOf(parsed.value("format")),
    isDebug: parsed.isOn("debug"),
  };
}

function refuseOthersOptions(parsed: RootParsed, other: "client" | "server"): void {
  const hint = other === "client" ? "is only for a client (-c HOST)" : "is only for a server (-s)";
  const specs: readonly (OptionSpec & (typeof ROOT_OPTIONS)[number])[] = ROOT_OPTIONS;
  const wrong = specs.find((spec) => spec.audience === other && parsed.has(spec.name));
  if (wrong !== undefined) throw new RperfError("usage", `${parsed.typed(wrong.name)} ${hint}`);
}

function serverOptions(parsed: RootParsed): ServerOptions {
  const number = numberReader(parsed);
  const tlsPaths = tlsPathsOf(parsed);
  return {
    bindAddress: parsed.value("bind"),
    ipv6: parsed.isOn("version6"),
    // Unlike the library, the command line has no use for "any free port".
    port: number("port", TEST_RULES.port),
    clientLimit: number("client-limit", SERVER_RULES.clientLimit),
    queueLimit: number("queue", SERVER_RULES.queueLimit),
    allowsLowPorts: parsed.isOn("allow-low-ports"),
    affinity: mapped(parsed.value("affinity"), parseAffinity),
    portPools: portPools(parsed),
    device: parsed.value("bind-dev"),
    // The strict parse took no other value.
    auth: AUTH_MODES.find((mode) => mode === parsed.value("auth")),
    keys: readKeys(parsed.value("key-file"), process.env[KEY_VARIABLE]),
    tls: tlsPaths && readTlsIdentity(tlsPaths),
    isPublic: parsed.isOn("public"),
    maxTimeSeconds: number("max-time", SERVER_RULES.maxTimeSeconds),
    maxBytesPerSecond: mapped(parsed.value("max-bandwidth"), (text) => parseBandwidth(text, "--max-bandwidth")),
    maxStreams: number("max-streams", SERVER_RULES.maxStreams),
    maxPerAddress: number("max-per-address", SERVER_RULES.maxPerAddress),
  };
}

function tlsPathsOf(parsed: RootParsed): TlsPaths | null {
  const [cert, key] = [parsed.value("tls-cert"), parsed.value("tls-key")];
  if (cert === undefined && key === undefined) return null;
  if (cert === undefined || key === undefined) {
    throw new RperfError("usage", "--tls-cert and --tls-key belong together: a certificate and its key");
  }
  return { cert, key };
}

/** Each way to trust a server asks for TLS by itself. */
function tlsTrust(parsed: RootParsed): TlsTrust | null {
  const ca = mapped(parsed.value("tls-ca"), (path) => readText("--tls-ca", path)) ?? null;
  const fingerprint = mapped(parsed.value("tls-fingerprint"), parseFingerprint) ?? null;
  return parsed.isOn("tls") || ca !== null || fingerprint !== null ? { ca, fingerprint } : null;
}

function testOptions(parsed: RootParsed): TestOptions {
  const number = numberReader(parsed);
  const isUdp = parsed.isOn("udp");
  const lengthRule = isUdp ? TEST_RULES.udpLengthBytes : TEST_RULES.tcpLengthBytes;
  return {
    host: parsed.value("client") ?? "",
    port: number("port", TEST_RULES.port),
    ipv6Only: parsed.isOn("version6"),
    family: isUdp ? "udp" : "tcp",
    reverse: parsed.isOn("reverse"),
    bidir: parsed.isOn("bidir"),
    bandwidthBytesPerSecond: mapped(parsed.value("bandwidth"), parseBandwidth),
    durationSeconds: number("time", TEST_RULES.durationSeconds),
    sendIntervalSeconds: number("send-interval", TEST_RULES.sendIntervalSeconds),
    // The strict parse took no other value.
    offload: OFFLOAD_MODES.find((mode) => mode === parsed.value("offload")),
    lengthBytes: number("length", lengthRule),
    sendBufferBytes: number("send-buffer", TEST_RULES.sendBufferBytes),
    receiveBufferBytes: number("receive-buffer", TEST_RULES.receiveBufferBytes),
    parallel: number("parallel", TEST_RULES.parallel),
    omitSeconds: number("omit", TEST_RULES.omitSeconds),
    noDelay: parsed.isOn("no-delay"),
    affinity: mapped(parsed.value("affinity"), parseAffinity),
    portPools: portPools(parsed),
    dial: parsed.isOn("legacy-dial") ? "legacy" : "client",
    singlePort: parsed.isOn("single-port"),
    clientPorts: mapped(parsed.value("client-port"), parseClientPorts),
    resumeTimeoutSeconds: number("resume-timeout", TEST_RULES.resumeTimeoutSeconds),
    waitSeconds: number("wait", TEST_RULES.waitSeconds),
    localAddress: parsed.value("bind"),
    device: parsed.value("bind-dev"),
    congestion: parsed.value("congestion"),
    dscp: mapped(parsed.value("dscp"), parseDscp),
    maxSegmentBytes: number("mss", TEST_RULES.maxSegmentBytes),
    intervalSeconds: number("interval", TEST_RULES.intervalSeconds),
    title: parsed.value("title"),
    key: firstKey(readKeys(parsed.value("key-file"), process.env[KEY_VARIABLE])),
    tls: tlsTrust(parsed),
  };
}

function logChoice(parsed: RootParsed, usual: LogLevel): LogChoice {
  const asked = LOG_LEVELS.find((level) => level === parsed.value("log-level"));
  if (parsed.isOn("debug") && asked !== undefined && asked !== "debug") {
    throw new RperfError("usage", `${parsed.typed("debug")} and --log-level ${asked} exclude each other`);
  }
  return {
    level: parsed.isOn("debug") ? "debug" : (asked ?? usual),
    format: LOG_FORMATS.find((format) => format === parsed.value("log-format")) ?? "text",
  };
}

function portPools(parsed: RootParsed): PortPoolsOptions {
  const pool = (name: string, text: string | undefined): PortRange[] | undefined =>
    mapped(text, (ports) => parsePortPool(name, ports));
  return {
    tcp4: pool(POOL_NAMES.tcp4, parsed.value("tcp-port-pool")),
    tcp6: pool(POOL_NAMES.tcp6, parsed.value("tcp6-port-pool")),
    udp4: pool(POOL_NAMES.udp4, parsed.value("udp-port-pool")),
    udp6: pool(POOL_NAMES.udp6, parsed.value("udp6-port-pool")),
  };
}

function numberReader(parsed: RootParsed): (name: RootValuedName, rule: NumberRule) => number | undefined {
  return (name, rule) => mapped(parsed.value(name), (text) => parseNumber(rule, text));
}

function mapped<T>(text: string | undefined, read: (text: string) => T): T | undefined {
  return text === undefined ? undefined : read(text);
}
