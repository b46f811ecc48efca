import { expect, test } from "bun:test";
import manifest from "../../../package.json" with { type: "json" };
import { rperf, run } from "../../support/process.ts";

const C = ["-c", "192.0.2.1"] as const;

/** What is typed, and what the one line on stderr says after "rperf: ". */
const WRONG: readonly (readonly [args: readonly string[], line: RegExp])[] = [
  [[], /^use -s to serve or -c HOST to test; see --help$/],
  [["-u", "-t", "3"], /^use -s to serve or -c HOST/],
  [["-s", "-c", "h"], /^-s and -c exclude each other/],
  [["--client=h", "--server"], /^--server and --client exclude each other/],
  // Values that are missing, superfluous or repeated.
  [["-c"], /^-c needs a value: HOST$/],
  [["--client"], /^--client needs a value: HOST$/],
  [["-c", ""], /^-c needs a value/],
  [["--client="], /^--client needs a value/],
  [["-c", "-u"], /^-c needs a value: HOST, not "-u"$/],
  [[...C, "-t", "-5"], /^-t needs a value: SECONDS, not "-5"$/],
  [[...C, "-P"], /^-P needs a value: N$/],
  [[...C, "-f"], /^-f needs a value: json, megabit, megabyte$/],
  [[...C, "-u", "--offload"], /^--offload needs a value: auto, on, off$/],
  [[...C, "--offload", "-u"], /^--offload needs a value: auto, on, off, not "-u"$/],
  [[...C, "-u", "--offload", "on", "--offload", "on"], /^--offload is given twice/],
  [[...C, "--udp=yes"], /^--udp takes no value, not even "yes"$/],
  [[...C, "--no-delay=1"], /^--no-delay takes no value/],
  [[...C, "-t", "1", "--time=2"], /^--time is given twice/],
  [[...C, "-c", "other"], /^-c is given twice/],
  // Options that do not exist.
  [[...C, "--tiem", "3"], /^unknown option --tiem; did you mean --time\?$/],
  [[...C, "--no-udp"], /^unknown option --no-udp; see --help$/],
  [[...C, "--delay"], /^unknown option --delay;/],
  [[...C, "-x"], /^unknown option -x; see --help$/],
  [[...C, "-uxR"], /^unknown option -x;/],
  [[...C, "-u=1"], /^unknown option -=;/],
  [["--frobnicate"], /^unknown option --frobnicate; see --help$/],
  [["--Server"], /^unknown option --Server; did you mean --server\?$/],
  [["--a\u001b[2J\rb"], /^unknown option --a\\x1b\[2J\\x0db; see --help$/],
  // What others have and rperf has not, on purpose.
  [[...C, "-n", "10M"], /^there is no -n: tests run for a known time \(-t\), so that totals compare and schedules/],
  [[...C, "--bytes", "10M"], /^there is no --bytes: tests run for a known time \(-t\)/],
  [[...C, "--num=10"], /^there is no --num: /],
  [[...C, "-k", "100"], /^there is no -k: /],
  [[...C, "-uk100"], /^there is no -k: /],
  [[...C, "--blockcount=100"], /^there is no --blockcount: /],
  // Words that belong to nothing.
  [["host"], /^unexpected argument "host"/],
  [[...C, "5201"], /^unexpected argument "5201"/],
  [["-s", "--", "-u"], /^unexpected argument "-u"/],
  [["selftset"], /^unexpected argument "selftset": the command selftest comes first$/],
  [["-d", "selftest"], /^unexpected argument "selftest": the command selftest comes first$/],
  // Options of the other side.
  [["-s", "-u"], /^-u is only for a client \(-c HOST\)$/],
  [["-s", "--time", "5"], /^--time is only for a client/],
  [["-sR"], /^-R is only for a client/],
  [["-s", "--no-delay"], /^--no-delay is only for a client/],
  [["-s", "-f", "json"], /^-f is only for a client/],
  [["-s", "--offload", "on"], /^--offload is only for a client/],
  [["-s", "--bidir"], /^--bidir is only for a client/],
  [["-s", "--single-port"], /^--single-port is only for a client/],
  [["-s", "--legacy-dial"], /^--legacy-dial is only for a client/],
  [["-s", "--client-port", "7"], /^--client-port is only for a client/],
  [["-s", "--resume-timeout", "3"], /^--resume-timeout is only for a client/],
  [["-s", "--congestion", "bbr"], /^--congestion is only for a client/],
  [["-s", "--dscp", "ef"], /^--dscp is only for a client/],
  [["-s", "--mss", "1400"], /^--mss is only for a client/],
  [["-s", "--interval", "1"], /^--interval is only for a client/],
  [["-s", "--title", "x"], /^--title is only for a client/],
  [["-s", "--json-stream"], /^--json-stream is only for a client/],
  [[...C, "--client-limit", "3"], /^--client-limit is only for a server/],
  // Values out of range, or none at all.
  [[...C, "-p", "0"], /^--port must be a whole number from 1 to 65535, not "0"$/],
  [["-s", "-p", "0"], /^--port must be a whole number from 1 to 65535, not "0"$/],
  [["-s", "-p", "65536"], /^--port .* not "65536"$/],
  [["-s", "-p", "http"], /^--port .* not "http"$/],
  [["-s", "--client-limit", "many"], /^--client-limit must be a whole number, at least 0, not "many"$/],
  [["-s", "-A", "0,x"], /^--affinity .* not "0,x"$/],
  [[...C, "-P", "300"], /^--parallel must be a whole number from 1 to 255, not "300"$/],
  [[...C, "-P", "0"], /^--parallel /],
  [[...C, "-P", "1.5"], /^--parallel .* not "1.5"$/],
  [[...C, "-P4x"], /^--parallel .* not "4x"$/],
  [[...C, "-t", "0"], /^--time must be a number above 0/],
  [[...C, "--time=-1"], /^--time .* not "-1"$/],
  [[...C, "-t", "1e3"], /^--time .* not "1e3"$/],
  [[...C, "-t", "ten"], /^--time .* not "ten"$/],
  [[...C, "-O", "10"], /^--omit must be less than --time \(10 s\), not "10"$/],
  [[...C, "-O", "0.5"], /^--omit must be a whole number/],
  [[...C, "--send-interval", "0"], /^--send-interval must be a number above 0 and at most 1, not "0"$/],
  [[...C, "--send-interval", "1.5"], /^--send-interval /],
  [[...C, "-b", "1e6"], /^--bandwidth must be a number of bytes\/s, .* not "1e6"$/],
  [[...C, "-b", "1mb"], /^--bandwidth .* not "1mb"$/],
  [[...C, "-b", "0.01"], /^--bandwidth must be 0 \(unlimited\) or at least 1 byte\/s/],
  [[...C, "-b", "99999999G"], /^--bandwidth /],
  [[...C, "-u", "--offload", "yes"], /^--offload must be one of auto, on, off, not "yes"$/],
  [[...C, "-u", "--offload=On"], /^--offload must be one of auto, on, off, not "On"$/],
  [[...C, "--offload", "on"], /^--offload on is only for UDP \(--udp\)$/],
  [[...C, "--offload", "off"], /^--offload off is only for UDP \(--udp\)$/],
  [[...C, "-u", "-b", "100"], /^--bandwidth must be at least 826 .* gives up after 3 s without data$/],
  [[...C, "-l", "x"], /^--length /],
  [[...C, "-ul", "65508"], /^--length with --udp must be a whole number from 0 to 65507, not "65508"$/],
  [[...C, "-l", "999999999999"], /^--length /],
  [[...C, "--send-buffer", "3G"], /^--send-buffer /],
  [[...C, "--receive-buffer", "2147483648"], /^--receive-buffer .* 2147483647/],
  [[...C, "-f", "xml"], /^--format must be one of json, megabit, megabyte, not "xml"$/],
  [[...C, "--tcp-port-pool", "10-1"], /--tcp-port-pool .* lower port first/],
  [[...C, "--udp6-port-pool", "1,,2"], /^--udp6-port-pool .* not "1,,2"$/],
  [["-s", "--udp-port-pool", "0-5"], /--udp-port-pool .* not "0"$/],
  [["-c", "host:5199"], /^--client .* the port in --port, not "host:5199"$/],
  [["-c", "a b"], /^--client /],
  [[...C, "--bidir", "-R"], /^--bidir and --reverse exclude each other/],
  [[...C, "--single-port", "--legacy-dial"], /^--single-port and --legacy-dial exclude each other/],
  [[...C, "--client-port", "7-6"], /^--client-port must be given with its lower port first, not "7-6"$/],
  [[...C, "--client-port", "any"], /^--client-port must be a port or a range of them, such as "7000-7003", not "any"$/],
  [[...C, "--client-port", "7", "-P", "2"], /^--client-port must give a port to each of 2 data sockets, not "7-7"$/],
  [[...C, "--client-port", "7-8", "-P", "2", "--bidir"], /^--client-port must give a port to each of 4 data sockets/],
  [[...C, "--resume-timeout", "601"], /^--resume-timeout must be a number from 0 to 600, not "601"$/],
  [[...C, "--bind", "eth0"], /^--bind must be an IP address, not "eth0"$/],
  [[...C, "--bind", "::1"], /^--bind ::1 and --client 192\.0\.2\.1 are of different IP versions$/],
  [["-s", "--bind", "localhost"], /^--bind must be an IP address, not "localhost"$/],
  [["-s6", "--bind", "127.0.0.1"], /^--bind with --version6 must be an IPv6 address, not "127\.0\.0\.1"$/],
  [["-s", "--bind-dev", "no/dev"], /^--bind-dev must be an interface's name, .* not "no\/dev"$/],
  [[...C, "--congestion", "Cubic"], /^--congestion must be a name such as "cubic" .* not "Cubic"$/],
  [[...C, "-u", "--congestion", "cubic"], /^--congestion is only for TCP \(without --udp\)$/],
  [[...C, "--dscp", "64"], /^--dscp must be a number from 0 to 63, .* not "64"$/],
  [[...C, "--dscp", "best"], /^--dscp .* not "best"$/],
  [[...C, "--mss", "87"], /^--mss must be a whole number from 88 to 32767, not "87"$/],
  [[...C, "-u", "--mss", "1400"], /^--mss is only for TCP \(without --udp\)$/],
  [[...C, "--interval", "0.05"], /^--interval must be a number from 0\.1 to 60, not "0\.05"$/],
  [[...C, "--title", "a\tb"], /^--title must be 1 to 200 characters, none of them a control character, not "a\\x09b"$/],
  [[...C, "--json-stream", "-f", "megabit"], /^--json-stream and --format megabit exclude each other$/],
  // The self-test.
  [["selftest", "-c", "h"], /^unknown option -c;/],
  [["selftest", "-t", "0"], /^--time /],
  [["selftest", "-f", "csv"], /^--format /],
  [["selftest", "now"], /^unexpected argument "now"/],
];

test.each(WRONG)("%j is refused in one line", async (args, line) => {
  const { code, stdout, stderr } = await run(rperf(...args));
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^rperf: [^\n]+\n$/);
  expect(stderr.slice("rperf: ".length, -1)).toMatch(line);
});

test.each([
  [["--help"], /^rperf measures /],
  [["-h"], /^rperf measures /],
  [["-s", "-c", "h", "-dh"], /^rperf measures /],
  [["selftest", "--help"], /^rperf selftest measures /],
  [["selftest", "-h"], /^rperf selftest measures /],
  [["-V"], new RegExp(`^rperf ${manifest.version}\n$`)],
  [["--version"], new RegExp(`^rperf ${manifest.version}\n$`)],
])("%j prints and ends well, without colour", async (args, text) => {
  const { code, stdout, stderr } = await run(rperf(...args));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(text);
  expect(stdout).not.toContain("\x1b");
});
