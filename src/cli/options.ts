import * as defaults from "../config/defaults.ts";
import { MAX_KEY_ID_CHARACTERS } from "../config/limits.ts";
import { LOG_LEVELS } from "../log.ts";
import { CLIENT_OPTIONS } from "./client-options.ts";
import { DEFAULT_FORMAT, FORMATS, LOG_FORMATS } from "./format.ts";
import type { OptionSpec } from "./option-spec.ts";
import { SECURITY_OPTIONS } from "./security-options.ts";
import { SERVER_OPTIONS } from "./server-options.ts";

const HELP = {
  name: "help",
  short: "h",
  group: "Output",
  audience: "both",
  help: "print this help",
} as const satisfies OptionSpec;

const COMMON = [
  {
    name: "debug",
    short: "d",
    group: "Output",
    audience: "both",
    help: "log every step on stderr, as --log-level debug",
  },
  HELP,
] as const satisfies readonly OptionSpec[];

const FORMAT = {
  name: "format",
  short: "f",
  valueName: "FORMAT",
  choices: FORMATS,
  group: "Output",
  audience: "client",
  help: `one of ${FORMATS.join(", ")}`,
  defaultText: DEFAULT_FORMAT,
} as const satisfies OptionSpec;

const POOL_HELP = "such as 1-10,19,21";

/** Options of `rperf`, in the order of its help. */
export const ROOT_OPTIONS = [
  { name: "server", short: "s", group: "Mode", audience: "mode", help: "serve tests until interrupted" },
  {
    name: "client",
    short: "c",
    valueName: "HOST",
    group: "Mode",
    audience: "mode",
    help: "test against the server HOST",
  },
  {
    name: "port",
    short: "p",
    valueName: "PORT",
    group: "Both modes",
    audience: "both",
    help: "control port",
    defaultText: String(defaults.DEFAULT_PORT),
  },
  {
    name: "affinity",
    short: "A",
    valueName: "CPUS",
    group: "Both modes",
    audience: "both",
    help: "logical CPUs dealt to the streams in turn, such as 0,1",
  },
  {
    name: "bind",
    valueName: "ADDRESS",
    group: "Both modes",
    audience: "both",
    help: "server: IP address to listen on; client: the one to test from",
    defaultText: "any",
  },
  {
    name: "bind-dev",
    valueName: "INTERFACE",
    group: "Both modes",
    audience: "both",
    help: "use this network interface alone (SO_BINDTODEVICE)",
    defaultText: "any",
  },
  {
    name: "tcp-port-pool",
    valueName: "PORTS",
    group: "Both modes",
    audience: "both",
    help: `ports of TCP receivers over IPv4, ${POOL_HELP}`,
    defaultText: "any",
  },
  {
    name: "tcp6-port-pool",
    valueName: "PORTS",
    group: "Both modes",
    audience: "both",
    help: "the same over IPv6",
    defaultText: "any",
  },
  {
    name: "udp-port-pool",
    valueName: "PORTS",
    group: "Both modes",
    audience: "both",
    help: `ports of UDP receivers over IPv4, ${POOL_HELP}`,
    defaultText: "any",
  },
  {
    name: "udp6-port-pool",
    valueName: "PORTS",
    group: "Both modes",
    audience: "both",
    help: "the same over IPv6",
    defaultText: "any",
  },
  {
    name: "version6",
    short: "6",
    group: "Both modes",
    audience: "both",
    help: "server: listen on IPv6, and on IPv4 too where the host allows it; client: use IPv6 addresses alone",
  },
  ...SERVER_OPTIONS,
  ...CLIENT_OPTIONS,
  ...SECURITY_OPTIONS,
  FORMAT,
  {
    name: "json-stream",
    group: "Output",
    audience: "client",
    help: "one JSON object a line as things happen, and the whole document in the last",
  },
  {
    name: "title",
    valueName: "TEXT",
    group: "Output",
    audience: "client",
    help: "a text to know the results by",
  },
  {
    name: "log-level",
    valueName: "LEVEL",
    choices: LOG_LEVELS,
    group: "Output",
    audience: "both",
    help: `what stderr is told, one of ${LOG_LEVELS.join(", ")}`,
    defaultText: "info for a server, warn for a client",
  },
  {
    name: "log-format",
    valueName: "FORMAT",
    choices: LOG_FORMATS,
    group: "Output",
    audience: "both",
    help: "text, or json for one JSON object a line",
    defaultText: "text",
  },
  ...COMMON,
  { name: "version", short: "V", group: "Output", audience: "both", help: "print the version" },
] as const satisfies readonly OptionSpec[];

/** Options of `rperf selftest`. */
export const SELFTEST_OPTIONS = [
  {
    name: "time",
    short: "t",
    valueName: "SECONDS",
    group: "Test",
    audience: "both",
    help: "how long each of the four tests sends",
    defaultText: String(defaults.DEFAULT_SELFTEST_SECONDS),
  },
  FORMAT,
  ...COMMON,
] as const satisfies readonly OptionSpec[];

/** Options of `rperf print systemd`. */
export const PRINT_OPTIONS = [HELP] as const satisfies readonly OptionSpec[];

/** Options of `rperf keygen`. */
export const KEYGEN_OPTIONS = [
  {
    name: "id",
    valueName: "NAME",
    group: "Key",
    audience: "both",
    help: `what both ends call the key: up to ${MAX_KEY_ID_CHARACTERS} of A-Z a-z 0-9 . _ -`,
    defaultText: "eight random digits",
  },
  HELP,
] as const satisfies readonly OptionSpec[];

const KNOWN_TIME = "tests run for a known time (-t), so that totals compare and schedules of unattended devices hold";

/** What other testers have and rperf has not on purpose, as typed, and why. */
export const ABSENT_OPTIONS: ReadonlyMap<string, string> = new Map(
  ["-n", "--bytes", "--num", "-k", "--blockcount"].map((typed) => [typed, KNOWN_TIME]),
);
