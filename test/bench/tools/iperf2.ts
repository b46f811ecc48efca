import { commandOf, HOST, numberIn, type TestFigures, type Tool } from "./tool.ts";

/** It has no "unlimited" for UDP. */
const UNREACHABLE_BITS_PER_SECOND = 100e9;

/** "[  1] 0.0000-1.0012 sec  3232235580 Bytes …"; several streams have a "[SUM]" as well. */
const INTERVAL = /^\[ *(\d+|SUM)\] *([\d.]+)-([\d.]+) sec +(\d+) Bytes/gm;

export function iperf2(path: string, version: string): Tool {
  return {
    name: "iperf2",
    version,
    serverCommand: ({ control }, family) => [path, "-s", "-p", `${control}`, ...(family === "udp" ? ["-u"] : [])],
    listensOn: (family) => family,
    clientCommand: ({ control }, { family, seconds, streams, bitsPerSecond, lengthBytes, host = HOST }, flags) =>
      commandOf(
        [path, "-c", host, "-p", `${control}`, "-f", "b", "-t", `${seconds}`],
        family === "udp" ? ["-u", "-b", `${bitsPerSecond ?? UNREACHABLE_BITS_PER_SECOND}`] : [],
        family === "tcp" && bitsPerSecond !== null ? ["-b", `${bitsPerSecond}`] : [],
        streams === 1 ? [] : ["-P", `${streams}`],
        lengthBytes === null ? [] : ["-l", `${lengthBytes}`],
        flags,
      ),
    parse: (stdout, { family }) => (family === "udp" ? parseUdp(stdout) : parseTcp(stdout)),
  };
}

interface Line {
  readonly name: string;
  readonly seconds: number;
  readonly bytes: number;
}

function linesOf(text: string): Line[] {
  return [...text.matchAll(INTERVAL)].map(([, name = "", from, to, bytes]) => ({
    name,
    seconds: Number(to) - Number(from),
    bytes: Number(bytes),
  }));
}

/** The client's own lines: it waits for the server to have taken everything, so what it sent was received. */
function parseTcp(stdout: string): TestFigures {
  const lines = linesOf(stdout);
  const total = lines.find(({ name }) => name === "SUM") ?? lines[0];
  if (total === undefined) throw new Error(`no result in:\n${stdout}`);
  const streamBytes = lines.filter(({ name }) => name !== "SUM").map(({ bytes }) => bytes);
  const { bytes, seconds } = total;
  return { sentBytes: bytes, receivedBytes: bytes, receivedSeconds: seconds, streamBytes, udp: null };
}

/** One stream: the client's line, and the server's below "Server Report". */
function parseUdp(stdout: string): TestFigures {
  const [sent, received] = linesOf(stdout);
  const report = stdout.split("Server Report:")[1];
  if (sent === undefined || received === undefined || report === undefined) {
    throw new Error(`no report of its server in:\n${stdout}`);
  }
  const lostPackets = numberIn(report, /(\d+)\/ *\d+ \([\d.e+-]+%\)/);
  const sentPackets = numberIn(report, /\d+\/ *(\d+) \([\d.e+-]+%\)/);
  return {
    sentBytes: sent.bytes,
    receivedBytes: received.bytes,
    receivedSeconds: received.seconds,
    streamBytes: null,
    udp: {
      sentPackets,
      receivedPackets: sentPackets - lostPackets,
      lostPackets,
      jitterSeconds: numberIn(report, /([\d.]+) ms/) / 1000,
    },
  };
}
