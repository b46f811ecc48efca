import { descriptorOf } from "../../ffi/descriptor.ts";
import { peekWaitingBytes } from "../../ffi/waiting-bytes.ts";
import { PreambleMatcher, TEST_ID_BYTES } from "../protocol/tcp-data.ts";
import { unmapAddress } from "../protocol/address.ts";
import { bindFromPool } from "./bind-from-pool.ts";
import type { ConnectionSource, SourceEvents } from "./connection-source.ts";
import { applyPathToListener } from "./path.ts";
import type { ListenEndpoint, StreamSpec } from "./spec.ts";
import { type ConnectionOwner, connectionHandlers, type DataSocket } from "./tcp-connection.ts";

/**
 * Connections that may wait for their first bytes at a time; one of the address that has most makes room for one more. The
 * stream's own has them right behind the handshake, and a server reckons with the descriptors of as many strangers.
 */
export const MAX_CANDIDATES = 8;

/** Of a connection that is not admitted yet. */
interface Candidate {
  readonly address: string;
  readonly matcher: PreambleMatcher;
}

/** Listens until a connection opens with the test id. */
export class ListenSource implements ConnectionSource {
  readonly #spec: StreamSpec;
  readonly #endpoint: ListenEndpoint;
  /** The oldest first. */
  readonly #candidates = new Map<DataSocket, Candidate>();
  #listener: Bun.TCPSocketListener<ConnectionOwner> | null = null;
  #isAdmitted = false;
  #hasSeenForeign = false;
  #events: SourceEvents | null = null;

  constructor(spec: StreamSpec, endpoint: ListenEndpoint) {
    this.#spec = spec;
    this.#endpoint = endpoint;
  }

  async open(events: SourceEvents): Promise<number> {
    this.#events = events;
    this.#listener = await bindFromPool(this.#spec.family, this.#endpoint, (port) =>
      Bun.listen<ConnectionOwner>({
        hostname: this.#endpoint.bindAddress,
        port,
        // The pool promises its ports: another socket on the same one must be an error.
        exclusive: true,
        allowHalfOpen: true,
        socket: { ...connectionHandlers, open: (socket) => this.#accept(socket) },
      }),
    );
    const fd = descriptorOf(this.#listener);
    if (fd !== null) applyPathToListener(fd, this.#spec.path);
    return this.#listener.port;
  }

  /** Accepted sockets inherit its options, and with the buffer the window scale of the handshake (tcp(7)). */
  get descriptor(): number | null {
    return this.#listener === null ? null : descriptorOf(this.#listener);
  }

  async start(): Promise<void> {}

  take(): void {}

  close(): void {
    this.#listener?.stop(!this.#isAdmitted);
    this.#listener = null;
    this.#terminateCandidates();
  }

  #accept(socket: DataSocket): void {
    const { peerAddress } = this.#endpoint;
    const matcher = new PreambleMatcher(this.#spec.testId);
    let seenBytes = 0;
    socket.data = {
      data: (_, chunk) => {
        if (!this.#candidates.has(socket)) return;
        seenBytes += chunk.length;
        const verdict = matcher.push(chunk);
        if (verdict === "match") this.#admit(socket, seenBytes);
        else if (verdict === "mismatch") this.#reject(socket);
      },
      writable: () => {},
      ended: () => {
        this.#candidates.delete(socket);
        socket.terminate();
      },
      over: () => this.#candidates.delete(socket),
    };
    if (this.#isAdmitted) {
      socket.terminate();
      return;
    }
    if (peerAddress !== null && unmapAddress(socket.remoteAddress) !== peerAddress) return this.#reject(socket);
    this.#candidates.set(socket, { address: socket.remoteAddress, matcher });
    if (this.#candidates.size > MAX_CANDIDATES) this.#makeRoom();
  }

  /**
   * Whoever opens many gives way first, so that nobody's connections drive out those of others. Behind a stall of this thread
   * all are accepted before any is read: the stream's own may be the oldest by then.
   */
  #makeRoom(): void {
    const ofAddresses = Map.groupBy(this.#candidates, ([, { address }]) => address);
    const mostFirst = [...ofAddresses.values()].toSorted((one, other) => other.length - one.length).flat();
    const oldest = mostFirst.find(([socket, { matcher }]) => !isToBeAdmitted(socket, matcher));
    if (oldest === undefined) return;
    const [socket] = oldest;
    this.#candidates.delete(socket);
    socket.terminate();
  }

  #terminateCandidates(): void {
    for (const socket of this.#candidates.keys()) socket.terminate();
    this.#candidates.clear();
  }

  #admit(socket: DataSocket, seenBytes: number): void {
    this.#isAdmitted = true;
    this.#candidates.delete(socket);
    this.#terminateCandidates();
    this.#listener?.stop(false);
    this.#events?.onConnection(socket, seenBytes);
  }

  #reject(socket: DataSocket): void {
    this.#candidates.delete(socket);
    const address = socket.remoteAddress;
    socket.terminate();
    if (this.#hasSeenForeign) return;
    this.#hasSeenForeign = true;
    const port = this.#listener?.port;
    this.#events?.onWarning(`connections of another origin arrive on port ${port} (from ${address}); closed`);
  }
}

/** Whether it has said whose it is, and only waits to be read. */
function isToBeAdmitted(socket: DataSocket, matcher: PreambleMatcher): boolean {
  const fd = descriptorOf(socket);
  if (fd === null) return false;
  const memory = new Uint8Array(TEST_ID_BYTES);
  const waitingBytes = peekWaitingBytes(fd, memory);
  return waitingBytes !== null && matcher.wouldMatch(memory.subarray(0, waitingBytes));
}
