import { commandOf, HOST, parseJson, type TestFigures, type TestRequest, type Tool } from "./tool.ts";

interface Sum {
  readonly seconds: number;
  readonly bytes: number;
  /** UDP: of the sender's numbering, whether they came or not. */
  readonly packets?: number;
  readonly lost_packets?: number;
  readonly jitter_ms?: number;
}

interface Document {
  readonly error?: string;
  readonly end: {
    readonly streams: readonly { readonly receiver?: { readonly bytes: number } }[];
    readonly sum_sent: Sum;
    readonly sum_received: Sum;
  };
}

export function iperf3(path: string, version: string): Tool {
  return {
    name: "iperf3",
    version,
    serverCommand: ({ control }) => [path, "-s", "-p", `${control}`],
    listensOn: () => "tcp",
    clientCommand: ({ control }, { family, seconds, streams, bitsPerSecond, lengthBytes, host = HOST }, flags) =>
      commandOf(
        [path, "-c", host, "-p", `${control}`, "-J", "-t", `${seconds}`, "-b", `${bitsPerSecond ?? 0}`],
        family === "udp" ? ["-u"] : [],
        streams === 1 ? [] : ["-P", `${streams}`],
        lengthBytes === null ? [] : ["-l", `${lengthBytes}`],
        flags,
      ),
    parse,
  };
}

function parse(stdout: string, { family }: TestRequest): TestFigures {
  const { error, end } = parseJson(stdout) as Document;
  if (error !== undefined) throw new Error(error);
  const { sum_sent: sent, sum_received: received, streams } = end;
  const common = { sentBytes: sent.bytes, receivedBytes: received.bytes, receivedSeconds: received.seconds };
  if (family === "tcp")
    return { ...common, streamBytes: streams.map(({ receiver }) => receiver?.bytes ?? 0), udp: null };
  const lostPackets = received.lost_packets ?? 0;
  return {
    ...common,
    streamBytes: null,
    udp: {
      sentPackets: sent.packets ?? 0,
      receivedPackets: (received.packets ?? 0) - lostPackets,
      lostPackets,
      jitterSeconds: received.jitter_ms === undefined ? null : received.jitter_ms / 1000,
    },
  };
}
