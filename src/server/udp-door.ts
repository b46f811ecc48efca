import { type DatagramReader, openDatagramReader } from "../../ffi/datagram-reader.ts";
import { NOT_NOW } from "../../ffi/direct-io.ts";
import { closeDescriptor, openSocket } from "../../ffi/open-socket.ts";
import { RperfError } from "../errors.ts";
import { formatEndpoint, ipVersionOf, unmapAddress } from "../protocol/address.ts";
import { decodeHello } from "../protocol/udp-hello.ts";
import type { Guarded } from "./guard.ts";
import type { TestRegistry } from "./test-registry.ts";

/**
 * How often the door is looked at, and how much is read then at most: whoever floods it takes no more of the thread that
 * serves all clients than these reads, and what does not fit is dropped by the system. A hello is said again.
 */
const LOOK_MS = 5;
const MOST_READS = 256;

/** Where the door is. */
interface DoorAddress {
  readonly bindAddress: string;
  /** The interface of the socket (SO_BINDTODEVICE); null = any. */
  readonly device: string | null;
}

/**
 * The control port's number of UDP: hellos come here, and each stream answers from a socket of its own on the same number,
 * which is connected to its client and so gets all that follows (udp(7): the best match gets a datagram).
 */
export class UdpDoor {
  readonly #address: DoorAddress;
  readonly #registry: TestRegistry;
  readonly #guarded: Guarded;
  #open: { readonly fd: number; readonly timer: Timer } | null = null;
  #reader: DatagramReader | null = null;
  /** Tests that want it open. */
  readonly #users = new Set<object>();

  constructor(address: DoorAddress, registry: TestRegistry, guarded: Guarded) {
    this.#address = address;
    this.#registry = registry;
    this.#guarded = guarded;
  }

  /**
   * Open until every user has left; nothing happens where it is open already. Throws `port-in-use` or `bind-failed`, and is
   * to be left all the same.
   */
  enter(port: number, user: object): void {
    this.#users.add(user);
    if (this.#open !== null) return;
    const fd = this.#bind(port);
    this.#open = { fd, timer: setInterval(() => this.#guarded.run(() => this.#look(fd)), LOOK_MS) };
  }

  leave(user: object): void {
    if (this.#users.delete(user) && this.#users.size === 0) this.close();
  }

  close(): void {
    if (this.#open === null) return;
    clearInterval(this.#open.timer);
    closeDescriptor(this.#open.fd);
    this.#open = null;
  }

  #bind(port: number): number {
    const { bindAddress, device } = this.#address;
    const opened = openSocket({
      transport: "udp",
      ipVersion: ipVersionOf(bindAddress),
      localAddress: bindAddress,
      localPort: port,
      device,
      reusePort: true,
    });
    if (opened.ok) return opened.value;
    const code = opened.code === "EADDRINUSE" ? "port-in-use" : "bind-failed";
    throw new RperfError(code, `UDP ${formatEndpoint(bindAddress, port)}: ${opened.message}`);
  }

  #look(fd: number): void {
    this.#reader ??= openDatagramReader();
    const reader = this.#reader;
    if (reader === null) return;
    for (let reads = 0; reads < MOST_READS; reads++) {
      const bytes = reader.read(fd);
      if (bytes === NOT_NOW) return;
      if (bytes > 0) this.#hello(reader.bytes.subarray(0, bytes), reader);
    }
  }

  #hello(datagram: Uint8Array, source: DatagramReader): void {
    const hello = decodeHello(datagram);
    if (hello === null || hello.kind !== "hello") return;
    const address = unmapAddress(source.address());
    this.#registry.taker(hello, "udp", address)?.({ family: "udp", address, port: source.port() });
  }
}
