// This checkout's rperf and the original: the same flags and the same document.
import { commandOf, HOST, parseJson, type TestFigures, type TestRequest, type Tool, type ToolName } from "./tool.ts";

/** What both have of the document. Durations are sums over the streams. */
interface Summary {
  readonly duration_receive: number;
  readonly bytes_sent: number;
  readonly bytes_received: number;
  readonly packets_sent?: number;
  readonly packets_received?: number;
  readonly packets_duplicated?: number;
  /** The original leaves it out when no packet came. */
  readonly jitter_average?: number | null;
}

interface Document {
  readonly success: boolean;
  readonly streams: readonly { readonly intervals: { readonly summary: Summary } }[];
  readonly summary: Summary;
}

export interface RperfLike {
  readonly name: ToolName;
  readonly version: string;
  /** The command that runs it with these arguments. */
  readonly command: (...args: string[]) => string[];
  /** What to ask for as the rate when there is to be no limit. */
  readonly unlimited: string;
}

export function rperfLike({ name, version, command, unlimited }: RperfLike): Tool {
  return {
    name,
    version,
    serverCommand: ({ control }) => command("-s", "-p", `${control}`),
    listensOn: () => "tcp",
    clientCommand: ({ control }, { family, seconds, streams, bitsPerSecond, lengthBytes, host = HOST }, flags) =>
      command(
        ...commandOf(
          ["-c", host, "-p", `${control}`, "-f", "json", "-t", `${seconds}`],
          ["-b", bitsPerSecond === null ? unlimited : `${bitsPerSecond / 8}`],
          family === "udp" ? ["-u"] : [],
          streams === 1 ? [] : ["-P", `${streams}`],
          lengthBytes === null ? [] : ["-l", `${lengthBytes}`],
          flags,
        ),
      ),
    parse,
  };
}

function parse(stdout: string, { family, streams }: TestRequest): TestFigures {
  const { success, streams: perStream, summary } = parseJson(stdout) as Document;
  if (!success) throw new Error(`not a complete test: ${JSON.stringify(summary)}`);
  return {
    sentBytes: summary.bytes_sent,
    receivedBytes: summary.bytes_received,
    receivedSeconds: summary.duration_receive / streams,
    streamBytes: perStream.map(({ intervals }) => intervals.summary.bytes_received),
    udp: family === "tcp" ? null : udpFigures(summary),
  };
}

function udpFigures({ packets_sent, packets_received, packets_duplicated, jitter_average }: Summary) {
  const sentPackets = packets_sent ?? 0;
  // The original's `packets_lost` counts a duplicate as one lost packet fewer.
  const receivedPackets = (packets_received ?? 0) - (packets_duplicated ?? 0);
  const lostPackets = sentPackets - receivedPackets;
  return { sentPackets, receivedPackets, lostPackets, jitterSeconds: jitter_average ?? null };
}
