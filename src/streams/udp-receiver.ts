import { descriptorOf } from "../../ffi/descriptor.ts";
import { UDP_HEADER_BYTES } from "../config/limits.ts";
import { classifyDatagram, UdpHeaderReader } from "../protocol/udp-packet.ts";
import type { ReceiveInterval } from "../stats/interval.ts";
import { type Cut, overlapBeforeSeconds } from "../stats/interval-cutter.ts";
import { UdpReceiveStats } from "../stats/udp-receive.ts";
import { bindFromPool } from "./bind-from-pool.ts";
import type { ReceiveEvents, ReceiveTransport } from "./receiver.ts";
import { grantReceiveBuffer } from "./socket-facts.ts";
import type { Emit, ReceiverSpec } from "./spec.ts";

/**
 * How long the port outlives the stream: end markers that still come must not be answered with "port unreachable",
 * which an original sender takes for a failure of its stream.
 */
const LINGER_MS = 1000;

/** Counts the packets of one test on a UDP port; anything else that arrives there is warned about once. */
export class UdpReceiveTransport implements ReceiveTransport {
  readonly #spec: ReceiverSpec;
  readonly #emit: Emit;
  readonly #stats = new UdpReceiveStats();
  readonly #header: UdpHeaderReader;
  #socket: Bun.udp.Socket<"buffer"> | null = null;
  #hasSeenForeign = false;
  #isOver = false;
  /** When the first packet behind the omitted time came; until then all time is omitted. */
  #countedFromSeconds = Infinity;

  constructor(spec: ReceiverSpec, emit: Emit) {
    this.#spec = spec;
    this.#emit = emit;
    this.#header = new UdpHeaderReader(spec.omitSeconds > 0);
  }

  async open(events: ReceiveEvents): Promise<number> {
    this.#socket = await bindFromPool(this.#spec, (port) =>
      Bun.udpSocket({
        hostname: this.#spec.bindAddress,
        port,
        socket: {
          data: (_socket, datagram, _port, address) => this.#datagram(datagram, address, events),
          // Nothing is ever sent from here: what could fail is told by the silence that follows.
          error: () => {},
        },
      }),
    );
    grantReceiveBuffer(descriptorOf(this.#socket), this.#spec, this.#emit);
    return this.#socket.port;
  }

  take(cut: Cut, timestampSeconds: number): ReceiveInterval {
    const omittedSeconds = this.#spec.omitSeconds > 0 ? overlapBeforeSeconds(cut, this.#countedFromSeconds) : null;
    return this.#stats.take(timestampSeconds, cut.endSeconds - cut.startSeconds, omittedSeconds);
  }

  close(): void {
    this.#isOver = true;
    setTimeout(() => this.#socket?.close(), LINGER_MS);
  }

  #datagram(datagram: Uint8Array, address: string, events: ReceiveEvents): void {
    if (this.#isOver) return;
    switch (classifyDatagram(datagram, this.#spec.testId)) {
      case "data":
        return this.#count(datagram, events.onData());
      case "end":
        return events.onEnd();
      case "foreign":
        if (this.#hasSeenForeign) return;
        this.#hasSeenForeign = true;
        events.onWarning(`datagrams of another origin arrive on port ${this.#socket?.port} (from ${address}); ignored`);
    }
  }

  #count(datagram: Uint8Array, receivedSeconds: number): void {
    const header = this.#header;
    header.read(datagram);
    if (!header.isOmitted && this.#countedFromSeconds === Infinity) this.#countedFromSeconds = receivedSeconds;
    this.#stats.add({
      packetId: header.packetId,
      sentSeconds: header.sentSeconds,
      receivedSeconds,
      framedBytes: datagram.length + UDP_HEADER_BYTES,
      isOmitted: header.isOmitted,
    });
  }
}
