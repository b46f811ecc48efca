import type { DatagramReader } from "../../ffi/datagram-reader.ts";
import { descriptorOf } from "../../ffi/descriptor.ts";
import { type DirectIo, NOT_NOW } from "../../ffi/direct-io.ts";
import { RperfError } from "../errors.ts";
import type { TestId } from "../protocol/messages.ts";
import { isSameTest } from "../protocol/tcp-data.ts";
import { decodeHello, encodeHello, type HelloKind } from "../protocol/udp-hello.ts";
import type { AdoptedSocket } from "./adopt-datagrams.ts";
import type { LoopTask, Readiness, StreamLoop } from "./stream-loop.ts";

/** How long a hello is said again and again before the path counts as blocked. */
const HELLO_TIMEOUT_MS = 5000;
const FIRST_WAIT_MS = 20;
const MOST_WAIT_MS = 100;
const POLL_MS = 2;
/** What one wake-up reads at most: others of the thread have their turn. */
const MOST_READS = 64;

/** Which stream a hello is for. */
export interface HelloStream {
  readonly testId: TestId;
  readonly streamIndex: number;
}

/** Direct calls, on a thread that has them. */
export interface DatagramCalls {
  readonly io: DirectIo;
  readonly reader: DatagramReader;
}

/** Null where streams are driven through Bun's sockets alone. */
export function datagramCallsOf({ io, datagrams }: StreamLoop): DatagramCalls | null {
  return io === null || datagrams === null ? null : { io, reader: datagrams };
}

/**
 * Says hello on a connected socket until it is answered: the way there and back is open then, through the firewalls and
 * translators on it. Throws `stream-failed`.
 */
export async function sayHello(
  { io, reader }: DatagramCalls,
  socket: AdoptedSocket,
  stream: HelloStream,
  peer: { readonly address: string; readonly port: number },
): Promise<void> {
  const hello = encodeHello({ kind: "hello", ...stream });
  const givenUpAtMs = performance.now() + HELLO_TIMEOUT_MS;
  for (let waitMs = FIRST_WAIT_MS; performance.now() < givenUpAtMs; waitMs = Math.min(2 * waitMs, MOST_WAIT_MS)) {
    const nextAtMs = performance.now() + waitMs;
    for (let isSaid = false; performance.now() < nextAtMs; await Bun.sleep(POLL_MS)) {
      // Asked each time: Bun closes it where nobody listens.
      const fd = descriptorOf(socket);
      if (fd === null)
        throw new RperfError("stream-failed", `nobody listens at UDP port ${peer.port} of ${peer.address}`);
      // A refusal that passes: the next one is as good.
      if (!isSaid) io.send(fd, hello, hello.length);
      isSaid = true;
      if (hears(reader, fd, stream, "answer")) return;
    }
  }
  const message = `UDP port ${peer.port} of ${peer.address} does not answer for ${HELLO_TIMEOUT_MS / 1000} s: is it blocked on the way?`;
  throw new RperfError("stream-failed", message);
}

/** Answers on a connected socket. */
export function answerHello({ io }: DatagramCalls, fd: number, stream: HelloStream): void {
  const answer = encodeHello({ kind: "answer", ...stream });
  io.send(fd, answer, answer.length);
}

/** Whether a datagram is a hello of this kind for this stream. */
export function isHelloOf(datagram: Uint8Array, { testId, streamIndex }: HelloStream, kind: HelloKind): boolean {
  const hello = decodeHello(datagram);
  return hello !== null && hello.kind === kind && hello.streamIndex === streamIndex && isSameTest(testId, hello.testId);
}

/** Reads what is there, up to a hello of this kind. */
function hears(reader: DatagramReader, fd: number, stream: HelloStream, kind: HelloKind): boolean {
  for (let reads = 0; reads < MOST_READS; reads++) {
    const bytes = reader.read(fd);
    if (bytes === NOT_NOW) return false;
    if (bytes > 0 && isHelloOf(reader.bytes.subarray(0, bytes), stream, kind)) return true;
  }
  return false;
}

/** Tells of each hello that comes to a sender's socket, until it is removed from the loop: answers may be lost. */
export class HelloListener implements LoopTask {
  readonly readiness: Readiness = "readable";
  readonly leadSeconds = 0;
  readonly dueSeconds = Infinity;
  readonly descriptor: number;
  readonly #calls: DatagramCalls;
  readonly #stream: HelloStream;
  readonly #onHello: (address: string, port: number) => void;

  constructor(
    calls: DatagramCalls,
    descriptor: number,
    stream: HelloStream,
    onHello: (address: string, port: number) => void,
  ) {
    this.#calls = calls;
    this.descriptor = descriptor;
    this.#stream = stream;
    this.#onHello = onHello;
  }

  run(): boolean {
    const { reader } = this.#calls;
    const isHeard = hears(reader, this.descriptor, this.#stream, "hello");
    if (isHeard) this.#onHello(reader.address(), reader.port());
    return isHeard;
  }

  broken(): void {}
}
