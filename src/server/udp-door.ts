import type { Socket } from "node:dgram";
import { RperfError, systemCodeOf } from "../errors.ts";
import { formatEndpoint, unmapAddress } from "../protocol/address.ts";
import { decodeHello } from "../protocol/udp-hello.ts";
import type { TestRegistry } from "./test-registry.ts";

/**
 * The control port's number of UDP: hellos come here, and each stream answers from a socket of its own on the same number,
 * which is connected to its client and so gets all that follows (udp(7): the best match gets a datagram).
 */
export class UdpDoor {
  readonly #address: string;
  readonly #registry: TestRegistry;
  #opening: Promise<Socket> | null = null;
  /** Tests that want it open. */
  readonly #users = new Set<object>();

  constructor(address: string, registry: TestRegistry) {
    this.#address = address;
    this.#registry = registry;
  }

  /**
   * Open until every user has left; at once where it is open already. Rejects with `port-in-use` or `bind-failed`, and is to
   * be left all the same.
   */
  async enter(port: number, user: object): Promise<void> {
    this.#users.add(user);
    this.#opening ??= this.#bind(port);
    try {
      await this.#opening;
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }

  leave(user: object): void {
    if (this.#users.delete(user) && this.#users.size === 0) void this.close();
  }

  async close(): Promise<void> {
    const opening = this.#opening;
    this.#opening = null;
    const socket = await opening?.catch(() => null);
    socket?.close();
  }

  async #bind(port: number): Promise<Socket> {
    const address = this.#address;
    // Most servers never need it, and all of them start.
    const { createSocket } = await import("node:dgram");
    const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4", reusePort: true });
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    socket.on("message", (datagram, from) => this.#hello(datagram, unmapAddress(from.address), from.port));
    socket.once("listening", () => resolve(socket));
    // Also later: what one datagram does must not end the server.
    socket.on("error", (cause) => {
      const code = systemCodeOf(cause) === "EADDRINUSE" ? "port-in-use" : "bind-failed";
      reject(new RperfError(code, `UDP ${formatEndpoint(address, port)}: ${cause.message}`, { cause }));
    });
    socket.bind(port, address);
    return promise;
  }

  #hello(datagram: Uint8Array, address: string, port: number): void {
    const hello = decodeHello(datagram);
    if (hello === null || hello.kind !== "hello") return;
    this.#registry.taker(hello, "udp", address)?.({ family: "udp", address, port });
  }
}
