import { commandOf, HOST, parseJson, type TestFigures, type TestRequest, type Tool } from "./tool.ts";

interface Document {
  /** As the receiver counted them. */
  readonly bytes_total: number;
  readonly duration_ms: number;
  readonly streams: readonly { readonly bytes: number }[];
  readonly udp_stats?: {
    readonly packets_sent: number;
    readonly packets_received: number;
    readonly lost: number;
    readonly jitter_ms: number;
    readonly packet_size: number;
  };
}

export function xfr(path: string, version: string): Tool {
  return {
    name: "xfr",
    version,
    // Without --no-mdns it would announce itself on the network.
    serverCommand: ({ control }) => [path, "serve", "-p", `${control}`, "--no-mdns"],
    listensOn: () => "tcp",
    clientCommand: ({ control }, { family, seconds, streams, bitsPerSecond, lengthBytes, host = HOST }, flags) =>
      commandOf(
        [path, host, "-p", `${control}`, "--json", "--no-update-check", "-t", `${seconds}s`],
        ["-b", `${bitsPerSecond ?? 0}`],
        family === "udp" ? ["-u"] : [],
        streams === 1 ? [] : ["-P", `${streams}`],
        lengthBytes === null ? [] : ["-l", `${lengthBytes}`],
        flags,
      ),
    parse,
  };
}

function parse(stdout: string, { family }: TestRequest): TestFigures {
  const { bytes_total, duration_ms, streams, udp_stats } = parseJson(stdout) as Document;
  const common = {
    receivedBytes: bytes_total,
    receivedSeconds: duration_ms / 1000,
    streamBytes: streams.map(({ bytes }) => bytes),
  };
  if (family === "tcp") return { ...common, sentBytes: bytes_total, udp: null };
  if (udp_stats === undefined) throw new Error("no udp_stats in its document");
  const { packets_sent: sentPackets, packets_received: receivedPackets, lost: lostPackets } = udp_stats;
  return {
    ...common,
    sentBytes: sentPackets * udp_stats.packet_size,
    udp: { sentPackets, receivedPackets, lostPackets, jitterSeconds: udp_stats.jitter_ms / 1000 },
  };
}
