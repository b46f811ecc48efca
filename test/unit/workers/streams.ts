// What the tests of the Workers share: specs, and the events of a stream under way.
import type { PortRange } from "../../../src/config/types.ts";
import type { ReceiverSpec, SenderSpec, StreamEvent, StreamSpec } from "../../../src/streams/spec.ts";
import type { WorkerRequest } from "../../../src/workers/stream-worker-pool.ts";
import type { StreamWorker } from "../../../src/workers/worker-thread.ts";

const TEST_ID = Uint8Array.from({ length: 16 }, (_, index) => 100 + index);

const COMMON = {
  family: "tcp",
  streamIndex: 0,
  testId: TEST_ID,
  lengthBytes: 1024,
  intervalSeconds: 1,
  omitSeconds: 0,
  affinityCpu: null,
  offload: "auto",
  path: {
    localAddress: null,
    localPort: 0,
    device: null,
    congestion: null,
    dscp: null,
    maxSegmentBytes: null,
  },
} as const;

const ANY_PORT = { type: "listen", bindAddress: "127.0.0.1", ports: [], firstChoice: 0, peerAddress: null } as const;

export const RECEIVER: ReceiverSpec = {
  ...COMMON,
  role: "receiver",
  endpoint: ANY_PORT,
  bandwidthBytesPerSecond: null,
  receiveBufferBytes: 0,
  isPatient: false,
};

/** A receiver on a port of these alone. */
export function receiverOn(ports: readonly PortRange[], changes: Partial<ReceiverSpec> = {}): ReceiverSpec {
  return { ...RECEIVER, endpoint: { ...ANY_PORT, ports }, ...changes };
}

/** One that no system has the address for. */
export const ELSEWHERE: ReceiverSpec = { ...RECEIVER, endpoint: { ...ANY_PORT, bindAddress: "192.0.2.1" } };

export function senderTo(remotePort: number, changes: Partial<SenderSpec> = {}): SenderSpec {
  return {
    ...COMMON,
    role: "sender",
    endpoint: { type: "connect", address: "127.0.0.1", port: remotePort },
    bandwidthBytesPerSecond: 500_000,
    durationSeconds: 0.3,
    pacing: "slices",
    sendIntervalSeconds: 0.05,
    writeSize: "length",
    sendBufferBytes: 0,
    noDelay: false,
    ...changes,
  };
}

/** Streams of a rate that is not known. */
export function anyRate(streams: number): WorkerRequest {
  return { streams, cpus: 0, streamBytesPerSecond: null };
}

/** What `promise` rejects with. bun's own `rejects` blocks the thread, and no message of a Worker comes in meanwhile. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

/** Prepares a stream and gathers its events as they come; `over` resolves with the last one. */
export function prepare(worker: StreamWorker, spec: StreamSpec) {
  const events: StreamEvent[] = [];
  const over = Promise.withResolvers<StreamEvent>();
  const prepared = Promise.withResolvers<number | null>();
  worker.prepare(spec, (event) => {
    events.push(event);
    if (event.type === "prepared") prepared.resolve(event.port);
    if (event.type === "ended" || event.type === "failed") over.resolve(event);
  });
  return { events, over: over.promise, prepared: prepared.promise };
}

/** What a stream's intervals counted, together. */
export function countedBytes(events: readonly StreamEvent[]): number {
  return events
    .flatMap((event) => (event.type === "interval" ? [event.interval] : []))
    .reduce((sum, interval) => sum + (interval.kind === "send" ? interval.bytesSent : interval.bytesReceived), 0);
}
