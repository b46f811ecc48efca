import { descriptorOf } from "../../ffi/descriptor.ts";
import { PreambleMatcher } from "../protocol/tcp-data.ts";
import { unmapAddress } from "../protocol/address.ts";
import { bindFromPool } from "./bind-from-pool.ts";
import type { ConnectionSource, SourceEvents } from "./connection-source.ts";
import { applyPathToListener } from "./path.ts";
import type { ListenEndpoint, StreamSpec } from "./spec.ts";
import { type ConnectionOwner, connectionHandlers, type DataSocket } from "./tcp-connection.ts";

/** Connections that may wait for their first bytes at a time; the oldest makes room for one more. */
const MAX_CANDIDATES = 32;

/** Listens until a connection opens with the test id. */
export class ListenSource implements ConnectionSource {
  readonly #spec: StreamSpec;
  readonly #endpoint: ListenEndpoint;
  readonly #candidates = new Set<DataSocket>();
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
    for (const socket of this.#candidates) socket.terminate();
    this.#candidates.clear();
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
    this.#candidates.add(socket);
    const [oldest] = this.#candidates;
    if (this.#candidates.size <= MAX_CANDIDATES || oldest === undefined) return;
    this.#candidates.delete(oldest);
    oldest.terminate();
  }

  #admit(socket: DataSocket, seenBytes: number): void {
    this.#isAdmitted = true;
    this.#candidates.delete(socket);
    for (const other of this.#candidates) other.terminate();
    this.#candidates.clear();
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
