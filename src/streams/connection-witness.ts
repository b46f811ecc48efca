import { descriptorOf } from "../../ffi/descriptor.ts";
import type { DirectIo } from "../../ffi/direct-io.ts";
import { openSocket } from "../../ffi/open-socket.ts";
import { readSendQueueBytes } from "../../ffi/tcp-info.ts";
import { type AdoptedSocket, adoptDescriptor } from "./adopt-datagrams.ts";

/**
 * A second descriptor of a TCP connection, by which the kernel still tells of it once it broke: Bun closes its own at
 * that very moment. This one is Bun's too, so that it ends with its thread whatever happens, but Bun watches it for
 * nothing: it was a UDP socket's until the connection took its place.
 */
export class ConnectionWitness {
  readonly #io: DirectIo;
  readonly #fd: number;
  readonly #socket: AdoptedSocket;
  #isWatching = false;

  private constructor(io: DirectIo, fd: number, socket: AdoptedSocket) {
    this.#io = io;
    this.#fd = fd;
    this.#socket = socket;
  }

  /** Null where there is none: nothing is known then of what was under way. */
  static async open(io: DirectIo): Promise<ConnectionWitness | null> {
    const nowhere = { localAddress: null, localPort: 0, device: null, reusePort: false } as const;
    const opened = openSocket({ transport: "udp", ipVersion: 4, ...nowhere });
    return opened.ok ? new ConnectionWitness(io, opened.value, await adoptDescriptor(opened.value)) : null;
  }

  /** `fd` is the connection's. */
  watch(fd: number): void {
    // Were it closed, its number would be another socket's.
    const isOpen = descriptorOf(this.#socket) === this.#fd;
    this.#isWatching = isOpen && this.#io.duplicateOnto(fd, this.#fd) >= 0;
  }

  /** What the peer's system has not acknowledged, a FIN as one byte (tcp(7), SIOCOUTQ); null = not known. */
  unacknowledgedBytes(): number | null {
    if (!this.#isWatching) return null;
    const queued = readSendQueueBytes(this.#fd);
    return queued.ok ? queued.value : null;
  }

  close(): void {
    this.#isWatching = false;
    // Of Bun's calls this one alone does nothing to the connection but close(2).
    this.#socket.close();
  }
}
