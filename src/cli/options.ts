import { OFFLOAD_MODES } from "../config/choices.ts";
import * as defaults from "../config/defaults.ts";
import { DEFAULT_FORMAT, FORMATS } from "./format.ts";

/** Which of the two modes an option has a meaning in; `mode` chooses between them. */
export type Audience = "mode" | "client" | "server" | "both";

/** One option: the strict parse, citty's definitions and the help are all made from this. */
export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** How the help names the value; without it the option is a switch. */
  readonly valueName?: string;
  /** All the values there are. */
  readonly choices?: readonly string[];
  /** Heading in the help. */
  readonly group: string;
  readonly audience: Audience;
  readonly help: string;
  /** As the help shows it. */
  readonly defaultText?: string;
}

const COMMON = [
  {
    name: "debug",
    short: "d",
    group: "Output",
    audience: "both",
    help: "log every step on stderr",
  },
  { name: "help", short: "h", group: "Output", audience: "both", help: "print this help" },
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
  {
    name: "client-limit",
    valueName: "N",
    group: "Server",
    audience: "server",
    help: "turn away clients beyond N at a time; 0 takes any number",
    defaultText: String(defaults.DEFAULT_CLIENT_LIMIT),
  },
  { name: "udp", short: "u", group: "Client", audience: "client", help: "send UDP packets instead of TCP streams" },
  {
    name: "reverse",
    short: "R",
    group: "Client",
    audience: "client",
    help: "let the server send and the client receive",
  },
  { name: "bidir", group: "Client", audience: "client", help: "test both directions at the same time" },
  {
    name: "time",
    short: "t",
    valueName: "SECONDS",
    group: "Client",
    audience: "client",
    help: "how long to send; fractions are allowed",
    defaultText: String(defaults.DEFAULT_DURATION_SECONDS),
  },
  {
    name: "bandwidth",
    short: "b",
    valueName: "RATE",
    group: "Client",
    audience: "client",
    help: "bytes per second for each stream; k m g count bits, K M G bytes; 0 is unlimited",
    defaultText: `${defaults.DEFAULT_BANDWIDTH_BYTES_PER_SECOND}, which is 1 Mb/s`,
  },
  {
    name: "parallel",
    short: "P",
    valueName: "N",
    group: "Client",
    audience: "client",
    help: "streams at the same time, 1 to 255",
    defaultText: String(defaults.DEFAULT_PARALLEL),
  },
  {
    name: "omit",
    short: "O",
    valueName: "SECONDS",
    group: "Client",
    audience: "client",
    help: "leave the first whole seconds out of the totals",
    defaultText: String(defaults.DEFAULT_OMIT_SECONDS),
  },
  {
    name: "interval",
    valueName: "SECONDS",
    group: "Client",
    audience: "client",
    help: "how often streams report, 0.1 to 60",
    defaultText: String(defaults.DEFAULT_INTERVAL_SECONDS),
  },
  {
    name: "length",
    short: "l",
    valueName: "BYTES",
    group: "Client",
    audience: "client",
    help: "size of one UDP packet, or the most of one TCP write, where 0 is what suits the link",
    defaultText: `0 for TCP, ${defaults.DEFAULT_UDP_LENGTH_BYTES} for UDP`,
  },
  {
    name: "send-interval",
    valueName: "SECONDS",
    group: "Client",
    audience: "client",
    help: "send in slices of so much time, above 0 and at most 1, as the original does, instead of packet by packet",
  },
  {
    name: "offload",
    valueName: "MODE",
    choices: OFFLOAD_MODES,
    group: "Client",
    audience: "client",
    help: "the kernel's segmentation offload for UDP: auto where it helps, on or the test fails, off",
    defaultText: "auto",
  },
  {
    name: "no-delay",
    short: "N",
    group: "Client",
    audience: "client",
    help: "send small TCP writes at once (no Nagle's algorithm)",
  },
  {
    name: "send-buffer",
    valueName: "BYTES",
    group: "Client",
    audience: "client",
    help: "socket buffer of the senders; 0 leaves the system's",
    defaultText: "0",
  },
  {
    name: "receive-buffer",
    valueName: "BYTES",
    group: "Client",
    audience: "client",
    help: "socket buffer of the receivers; 0 leaves TCP's to the system and raises UDP's as far as it allows",
    defaultText: "0",
  },
  {
    name: "congestion",
    valueName: "NAME",
    group: "Client",
    audience: "client",
    help: "TCP congestion control of the senders, such as cubic or bbr",
    defaultText: "the system's",
  },
  {
    name: "mss",
    valueName: "BYTES",
    group: "Client",
    audience: "client",
    help: "TCP maximum segment size (TCP_MAXSEG)",
    defaultText: "what the path gives",
  },
  {
    name: "dscp",
    valueName: "VALUE",
    group: "Client",
    audience: "client",
    help: "code point of the senders' packets: 0 to 63, 0x2e, or a name such as ef, af41, cs1, le",
    defaultText: "the system's",
  },
  {
    name: "single-port",
    group: "Client",
    audience: "client",
    help: "move all data over the number of the control port, so that one opened port is enough",
  },
  {
    name: "client-port",
    valueName: "PORTS",
    group: "Client",
    audience: "client",
    help: "source ports of the data, such as 7000-7003, one for each stream, and with --bidir two",
    defaultText: "any",
  },
  {
    name: "legacy-dial",
    group: "Client",
    audience: "client",
    help: "let the senders open the data connections as in the original, also those of the server",
  },
  {
    name: "resume-timeout",
    valueName: "SECONDS",
    group: "Client",
    audience: "client",
    help: "how long after the planned end to try to get the results when the control connection broke; 0 is not at all",
    defaultText: String(defaults.DEFAULT_RESUME_TIMEOUT_SECONDS),
  },
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

const KNOWN_TIME = "tests run for a known time (-t), so that totals compare and schedules of unattended devices hold";

/** What other testers have and rperf has not on purpose, as typed, and why. */
export const ABSENT_OPTIONS: ReadonlyMap<string, string> = new Map(
  ["-n", "--bytes", "--num", "-k", "--blockcount"].map((typed) => [typed, KNOWN_TIME]),
);

/** Names of a table's options that take a value. */
export type ValuedName<Specs extends readonly OptionSpec[]> = Extract<
  Specs[number],
  { readonly valueName: string }
>["name"];

/** Names of a table's switches. */
export type SwitchName<Specs extends readonly OptionSpec[]> = Exclude<Specs[number]["name"], ValuedName<Specs>>;
