// What the tests of streams share: specs, streams whose events are kept, and pairs of them. All run on this thread.
import { expect } from "bun:test";
import { systemClock } from "../../../src/clock.ts";
import { createStream } from "../../../src/streams/create-stream.ts";
import type {
  Endpoint,
  ListenEndpoint,
  PathSpec,
  ReceiverSpec,
  SenderSpec,
  Stream,
  StreamEvent,
  StreamReport,
  StreamSpec,
} from "../../../src/streams/spec.ts";
import { StreamLoop } from "../../../src/streams/stream-loop.ts";
import type { SocketFacts } from "../../../src/results/types.ts";
import type { Interval, ReceiveInterval, SendInterval, UdpReceiveInterval } from "../../../src/stats/interval.ts";

export const FAMILIES = ["tcp", "udp"] as const;
export const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => 0xc0 + index);
export const FOREIGN = Uint8Array.from({ length: 64 }, () => 0x55);
export const UDP_LENGTH = 1024;
/** What a packet of that length counts. */
export const FRAMED = UDP_LENGTH + 8;

export const NO_PATH: PathSpec = {
  localAddress: null,
  localPort: 0,
  device: null,
  congestion: null,
  dscp: null,
  maxSegmentBytes: null,
};

const clock = systemClock();
const loop = new StreamLoop(clock);

export function listenAt(changes: Partial<ListenEndpoint> = {}): ListenEndpoint {
  return { type: "listen", bindAddress: "127.0.0.1", ports: [], firstChoice: 0, peerAddress: null, ...changes };
}

export function connectTo(port: number, address = "127.0.0.1"): Endpoint {
  return { type: "connect", address, port };
}

export function receiverSpec(family: "tcp" | "udp", changes: Partial<ReceiverSpec> = {}): ReceiverSpec {
  return {
    role: "receiver",
    family,
    streamIndex: 0,
    testId: TEST_ID,
    lengthBytes: UDP_LENGTH,
    intervalSeconds: 1,
    omitSeconds: 0,
    affinityCpu: null,
    endpoint: listenAt(),
    path: NO_PATH,
    offload: "auto",
    bandwidthBytesPerSecond: null,
    receiveBufferBytes: 0,
    isPatient: false,
    ...changes,
  };
}

export function senderSpec(family: "tcp" | "udp", remotePort: number, changes: Partial<SenderSpec> = {}): SenderSpec {
  return {
    role: "sender",
    family,
    streamIndex: 0,
    testId: TEST_ID,
    lengthBytes: UDP_LENGTH,
    intervalSeconds: 1,
    omitSeconds: 0,
    affinityCpu: null,
    endpoint: connectTo(remotePort),
    path: NO_PATH,
    bandwidthBytesPerSecond: 500_000,
    durationSeconds: 1,
    offload: "auto",
    pacing: "even",
    sendIntervalSeconds: 0.05,
    writeSize: "length",
    sendBufferBytes: 0,
    noDelay: false,
    ...changes,
  };
}

/** A stream and everything that it told. */
export class Recorder {
  readonly stream: Stream;
  readonly events: StreamEvent[] = [];
  readonly over: Promise<void>;

  constructor(spec: StreamSpec) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.stream = createStream(spec, clock, loop, (event) => {
      this.events.push(event);
      if (event.type === "ended" || event.type === "failed") resolve();
    });
  }

  static async prepared(spec: StreamSpec): Promise<Recorder> {
    const recorder = new Recorder(spec);
    await recorder.stream.prepare();
    return recorder;
  }

  all<Type extends StreamEvent["type"]>(type: Type): Extract<StreamEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<StreamEvent, { type: Type }> => event.type === type);
  }

  get port(): number {
    return this.all("prepared")[0]?.port ?? 0;
  }

  get intervals(): Interval[] {
    return this.all("interval").map(({ interval }) => interval);
  }

  get sends(): SendInterval[] {
    return this.intervals.filter((interval) => interval.kind === "send");
  }

  get receives(): ReceiveInterval[] {
    return this.intervals.filter((interval) => interval.kind === "receive");
  }

  get udpReceives(): UdpReceiveInterval[] {
    return this.receives.filter((interval) => interval.family === "udp");
  }

  /** What the system granted; the last word counts. */
  get facts(): SocketFacts | undefined {
    return this.all("socket").at(-1)?.facts;
  }

  /** What it told in the end; undefined until then. */
  get report(): StreamReport | null | undefined {
    const end = this.events.at(-1);
    return end?.type === "ended" || end?.type === "failed" ? end.report : undefined;
  }

  get bytes(): number {
    return this.intervals.reduce((sum, one) => sum + (one.kind === "send" ? one.bytesSent : one.bytesReceived), 0);
  }

  /** Ended in good order: `ended` came once, and last. */
  expectEnded(): void {
    expect(this.all("failed")).toEqual([]);
    expect(this.events.at(-1)).toMatchObject({ type: "ended" });
    expect(this.all("ended")).toHaveLength(1);
  }

  expectFailed(code: string): void {
    expect(this.events.at(-1)).toMatchObject({ type: "failed", code });
    expect(this.all("failed")).toHaveLength(1);
    expect(this.all("ended")).toEqual([]);
  }
}

export interface Pair {
  readonly sender: Recorder;
  readonly receiver: Recorder;
}

export async function startPair(
  family: "tcp" | "udp",
  senderChanges: Partial<SenderSpec> = {},
  receiverChanges: Partial<ReceiverSpec> = {},
): Promise<Pair> {
  const spec = receiverSpec(family, receiverChanges);
  const receiver = await Recorder.prepared(spec);
  const address = spec.endpoint.type === "listen" ? spec.endpoint.bindAddress : "127.0.0.1";
  const endpoint = connectTo(receiver.port, address);
  const sender = await Recorder.prepared(senderSpec(family, receiver.port, { endpoint, ...senderChanges }));
  receiver.stream.start(null);
  sender.stream.start(null);
  return { sender, receiver };
}

export async function runPair(...args: Parameters<typeof startPair>): Promise<Pair> {
  const pair = await startPair(...args);
  await Promise.all([pair.sender.over, pair.receiver.over]);
  return pair;
}

/** Waits for its sender's count, as between two of ours. */
export function patientSpec(changes: Partial<ReceiverSpec> = {}): ReceiverSpec {
  return receiverSpec("udp", { isPatient: true, ...changes });
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    if (isTrue()) return;
    await Bun.sleep(5);
  }
  throw new Error(`waited in vain for ${what}`);
}
