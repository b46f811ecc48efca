import { commandOf, HOST, numberIn, type TestFigures, type TestRequest, type Tool } from "./tool.ts";

const MEBIBYTE = 2 ** 20;

export function nuttcp(path: string, version: string): Tool {
  return {
    name: "nuttcp",
    version,
    // In the foreground: as a daemon it would outlive us.
    serverCommand: ({ control }) => [path, "-S", "--nofork", "-P", `${control}`],
    listensOn: () => "tcp",
    clientCommand: ({ control, data }, { family, seconds, streams, bitsPerSecond, lengthBytes, host = HOST }, flags) =>
      commandOf(
        [path, "-fparse", "-P", `${control}`, "-p", `${data}`, `-T${seconds}`],
        family === "udp" ? ["-u"] : [],
        rateFlags(family, bitsPerSecond),
        streams === 1 ? [] : [`-N${streams}`],
        lengthBytes === null ? [] : [`-l${lengthBytes}`],
        flags,
        [host],
      ),
    parse,
  };
}

/** It counts in thousands of bits per second; its UDP is limited to 1 Mb/s unless told. */
function rateFlags(family: TestRequest["family"], bitsPerSecond: number | null): string[] {
  if (bitsPerSecond !== null) return [`-R${bitsPerSecond / 1000}`];
  return family === "udp" ? ["-Ru"] : [];
}

/** One line of "key=value", the receiver's; its "pkt" counts the lost packets too. */
function parse(stdout: string, { family, lengthBytes }: TestRequest): TestFigures {
  const receivedBytes = numberIn(stdout, /\bmegabytes=([\d.]+)/) * MEBIBYTE;
  const receivedSeconds = receivedBytes / ((numberIn(stdout, /\brate_Mbps=([\d.]+)/) * 1e6) / 8);
  if (family === "tcp")
    return { sentBytes: receivedBytes, receivedBytes, receivedSeconds, streamBytes: null, udp: null };
  const sentPackets = numberIn(stdout, /\bpkt=(\d+)/);
  const lostPackets = numberIn(stdout, /\bdrop=(-?\d+)/);
  return {
    sentBytes: sentPackets * (lengthBytes ?? 0),
    receivedBytes,
    receivedSeconds,
    streamBytes: null,
    udp: { sentPackets, receivedPackets: sentPackets - lostPackets, lostPackets, jitterSeconds: null },
  };
}
