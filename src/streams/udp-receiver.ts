import type { DatagramReader, DatagramSource } from "../../ffi/datagram-reader.ts";
import { type DirectIo } from "../../ffi/direct-io.ts";
import { descriptorOf } from "../../ffi/descriptor.ts";
import { enableArrivalTimes, enableUdpReceiveOffload } from "../../ffi/sockopt.ts";
import { readUdpDrops } from "../../ffi/udp-drops.ts";
import type { Clock } from "../clock.ts";
import { UDP_HEADER_BYTES } from "../config/limits.ts";
import { messageOf, RperfError } from "../errors.ts";
import { UdpPacketReader } from "../protocol/udp-packet.ts";
import type { ReceiveInterval } from "../stats/interval.ts";
import { type Cut, overlapBeforeSeconds } from "../stats/interval-cutter.ts";
import { UdpReceiveStats } from "../stats/udp-receive.ts";
import { type AdoptedSocket, adoptDatagrams } from "./adopt-datagrams.ts";
import { ArrivalClock } from "./arrival-clock.ts";
import { bindFromPool } from "./bind-from-pool.ts";
import { grantOffload } from "./grant-offload.ts";
import { answerHello, type DatagramCalls, datagramCallsOf, isHelloOf, sayHello } from "./hello-exchange.ts";
import { applyPathToListener, boundTo } from "./path.ts";
import type { ReceiveEvents, ReceiveTransport } from "./receiver.ts";
import { spareCompiler } from "./spare-compiler.ts";
import { grantReceiveBuffer, raiseReceiveBuffer, readBuffer } from "./socket-facts.ts";
import type { SentTotals } from "../protocol/messages.ts";
import { NO_TOTALS } from "../results/types.ts";
import type { Emit, Handed, ListenEndpoint, ReceiverSpec, StartTerms, StreamReport } from "./spec.ts";
import type { StreamLoop } from "./stream-loop.ts";
import { openDatagrams, type OwnDatagramSocket } from "./udp-socket.ts";

/**
 * How long the port outlives the stream: end markers that still come must not be answered with "port unreachable",
 * which an original sender takes for a failure of its stream, and one of ours that still sends warns of.
 */
const LINGER_MS = 1000;
/**
 * Asked for where no buffer was: what a burst of the network's needs to wait for a reader that the system has put aside
 * for some milliseconds. The system grants what its administrator allows.
 */
const AUTO_BUFFER_BYTES = 4 * 1024 * 1024;
/** The kernel keeps a small packet in 12 times its size; and a burst is to find room too. */
const BUFFER_PER_WAITING_BYTE = 16;
/** Below this rate every packet is to have an arrival time of its own, and one read for each costs little. */
const OFFLOAD_FROM_BYTES_PER_SECOND = 100e6 / 8;

/** Where datagrams lie; `words` only where they begin on the bounds of words. */
interface Memory {
  readonly view: DataView;
  readonly words: Int32Array | null;
}

/** Counts the packets of one test on a UDP port; anything else that arrives there is warned about once. */
export class UdpReceiveTransport implements ReceiveTransport {
  readonly #spec: ReceiverSpec;
  readonly #clock: Clock;
  /** Null = datagrams come through Bun alone. */
  readonly #io: DirectIo | null;
  readonly #reader: DatagramReader | null;
  readonly #calls: DatagramCalls | null;
  readonly #emit: Emit;
  readonly #stats = new UdpReceiveStats();
  readonly #packets: UdpPacketReader;
  readonly #arrivals = new ArrivalClock();
  readonly #packet = { packetId: 0, sentSeconds: 0, receivedSeconds: 0, framedBytes: 0, isOmitted: false };
  /** Read past Bun, or by Bun; null until it is open. */
  #socket: AdoptedSocket | Bun.udp.Socket<"buffer"> | null = null;
  #isAdopted = false;
  #port = 0;
  /** As the system tells it: what packets and all that the kernel keeps of them may take. */
  #bufferBytes = 0;
  #events: ReceiveEvents | null = null;
  #hasArrivalTimes = false;
  #hasSeenForeign = false;
  #isOver = false;
  #isTaken = false;
  /** The sender is one of ours. */
  #isPatient: boolean;
  #sender: DatagramSource | null = null;
  #strangePackets = 0;
  #bufferDrops: number | null = null;
  /** When the first packet behind the omitted time came; until then all time is omitted. */
  #countedFromSeconds = Infinity;

  constructor(spec: ReceiverSpec, clock: Clock, loop: StreamLoop, emit: Emit) {
    this.#spec = spec;
    this.#clock = clock;
    this.#io = loop.io;
    this.#reader = loop.datagrams;
    this.#calls = datagramCallsOf(loop);
    this.#emit = emit;
    this.#isPatient = spec.isPatient;
    this.#packets = new UdpPacketReader(spec.testId, spec.omitSeconds > 0);
    // oxlint-disable-next-line typescript/unbound-method -- named here, not called
    spareCompiler([this.#group, this.#count]);
  }

  async open(events: ReceiveEvents): Promise<number | null> {
    this.#events = events;
    const { endpoint, path } = this.#spec;
    switch (endpoint.type) {
      case "listen":
        await this.#listen(endpoint);
        return this.#port;
      case "dial": {
        const calls = this.#demandCalls();
        const own = await openDatagrams({ peer: endpoint, isPortShared: false, path });
        this.#own(own);
        await sayHello(calls, own.socket, this.#spec, endpoint);
        return null;
      }
      case "handed":
        return null;
      case "connect":
        throw new RperfError("internal", "a receiver does not connect");
    }
  }

  start({ isPatient }: StartTerms): void {
    this.#isPatient = isPatient;
  }

  take(handed: Handed): void {
    const { endpoint, path } = this.#spec;
    if (handed.family !== "udp" || endpoint.type !== "handed" || this.#isTaken) return;
    this.#isTaken = true;
    const calls = this.#demandCalls();
    openDatagrams({ peer: handed, isPortShared: true, path: boundTo(endpoint, path) }).then(
      (own) => {
        this.#own(own);
        if (this.#isOver) return this.close(false);
        answerHello(calls, own.fd, this.#spec);
        this.#events?.onSocket();
      },
      (error: unknown) => this.#events?.onWarning(messageOf(error)),
    );
  }

  interval(cut: Cut, timestampSeconds: number): ReceiveInterval {
    const omittedSeconds = this.#spec.omitSeconds > 0 ? overlapBeforeSeconds(cut, this.#countedFromSeconds) : null;
    return this.#stats.take(timestampSeconds, cut.endSeconds - cut.startSeconds, omittedSeconds);
  }

  hasAll({ packets }: SentTotals): boolean {
    return this.#stats.packetsUnique >= packets;
  }

  /** To be called while the socket is open: the system tells of its drops no longer. */
  report(sent: SentTotals | null): StreamReport {
    const books = this.#stats.books(sent?.packets ?? null, sent?.omittedPackets ?? 0);
    const withStrange = { ...books, packetsStray: books.packetsStray + this.#strangePackets };
    return { totals: { ...NO_TOTALS, books: withStrange, bufferDrops: this.#bufferDrops }, sent: null };
  }

  get directDescriptor(): number | null {
    return !this.#isAdopted || this.#socket === null || this.#isOver ? null : descriptorOf(this.#socket);
  }

  get mostWaitingBytes(): number {
    return this.#hasArrivalTimes ? this.#bufferBytes / BUFFER_PER_WAITING_BYTE : 0;
  }

  wake(nowSeconds: number): void {
    if (this.#reader !== null && this.#hasArrivalTimes) this.#arrivals.observe(this.#reader.wallSeconds(), nowSeconds);
  }

  drain(nowSeconds: number): number {
    const reader = this.#reader;
    const fd = this.directDescriptor;
    if (reader === null || fd === null) return 0;
    const bytes = reader.read(fd);
    if (bytes < 0) return 0;
    if (!this.#isSender(reader)) return this.#refuseSender(reader, bytes);
    const receivedSeconds = this.#arrivals.receivedSecondsOf(reader.arrivalWallSeconds, nowSeconds);
    this.#group(reader, bytes, reader.segmentBytes || bytes, receivedSeconds, () => reader.address());
    // An empty datagram was read too.
    return Math.max(1, bytes);
  }

  /** Between two of ours that listen and connect; elsewhere the socket is connected, or the peer is an original. */
  get #isLocked(): boolean {
    return this.#isPatient && this.#spec.endpoint.type === "listen";
  }

  /** The first data of the test tell where its sender is; in 0.1.8 that may change. */
  #isSender(reader: DatagramReader): boolean {
    return this.#sender === null || reader.isFrom(this.#sender);
  }

  /** Whoever else sends with the test id is counted, and nothing of it is. */
  #refuseSender(reader: DatagramReader, bytes: number): number {
    if (this.#packets.read(reader.view, 0, Math.min(bytes, reader.segmentBytes || bytes)) === "foreign") {
      this.#warnOfForeign(() => reader.address());
      return Math.max(1, bytes);
    }
    const packets = Math.ceil(bytes / (reader.segmentBytes || bytes));
    if (this.#strangePackets === 0) {
      this.#events?.onWarning(`a second sender of this stream, ${reader.address()} port ${reader.port()}, is refused`);
    }
    this.#strangePackets += packets;
    return Math.max(1, bytes);
  }

  close(isSenderDone: boolean): void {
    this.#bufferDrops = this.#readDrops();
    this.#isOver = true;
    const socket = this.#socket;
    if (isSenderDone) socket?.close();
    else setTimeout(() => socket?.close(), LINGER_MS);
  }

  async #listen(endpoint: ListenEndpoint): Promise<void> {
    const socket = await bindFromPool("udp", endpoint, (port) =>
      Bun.udpSocket({
        hostname: endpoint.bindAddress,
        port,
        socket: {
          data: (_socket, datagram, _port, address) => this.#fromBun(datagram, address),
          // Nothing is ever sent from here: what could fail is told by the silence that follows.
          error: () => {},
        },
      }),
    );
    this.#port = socket.port;
    const adopted = this.#io === null || this.#reader === null ? null : await adoptDatagrams(this.#io, socket);
    this.#isAdopted = adopted !== null;
    this.#socket = adopted ?? socket;
    const fd = descriptorOf(this.#socket);
    if (fd !== null) applyPathToListener(fd, this.#spec.path);
    this.#setUp(fd);
  }

  #own({ fd, socket, port }: OwnDatagramSocket): void {
    this.#port = port;
    this.#isAdopted = true;
    this.#socket = socket;
    this.#setUp(fd);
  }

  #setUp(fd: number | null): void {
    const offload = this.#askForOffload(fd);
    this.#hasArrivalTimes = fd !== null && this.#isAdopted && enableArrivalTimes(fd).ok;
    if (this.#spec.receiveBufferBytes === 0) raiseReceiveBuffer(fd, AUTO_BUFFER_BYTES, this.#emit);
    grantReceiveBuffer(fd, this.#spec, { offload, timestamps: this.#hasArrivalTimes ? "kernel" : "user" }, this.#emit);
    this.#bufferBytes = readBuffer(fd, "receive") ?? 0;
  }

  #readDrops(): number | null {
    const fd = this.#socket === null ? null : descriptorOf(this.#socket);
    const drops = fd === null ? null : readUdpDrops(fd);
    return drops !== null && drops.ok ? drops.value : null;
  }

  #demandCalls(): DatagramCalls {
    if (this.#calls === null) throw new RperfError("internal", "this system has no direct calls on sockets");
    return this.#calls;
  }

  #fromBun(datagram: Uint8Array, address: string): void {
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
    const bytes = datagram.length;
    this.#group({ view, words: null }, bytes, bytes, this.#clock.monotonicSeconds(), () => address);
  }

  /** What one read gave: packets of `segmentBytes`, the last of them perhaps shorter. */
  #group(memory: Memory, bytes: number, segmentBytes: number, receivedSeconds: number, addressOf: () => string): void {
    let at = 0;
    do {
      if (this.#isOver) return;
      const lengthBytes = Math.min(segmentBytes, bytes - at);
      const kind = this.#packets.read(memory.view, at, lengthBytes);
      if (kind === "end") return this.#events?.onEnd(receivedSeconds);
      if (kind === "foreign") return this.#foreign(memory.view, at, lengthBytes, addressOf);
      if (at === 0) this.#events?.onData(receivedSeconds);
      at += lengthBytes;
      const followers = this.#packets.followers(memory.view, memory.words, at, bytes, lengthBytes);
      at += followers * lengthBytes;
      this.#count(lengthBytes, followers, receivedSeconds);
    } while (at < bytes);
  }

  /** One packet and those that came with it. */
  #count(lengthBytes: number, followers: number, receivedSeconds: number): void {
    const { isOmitted, packetId, sentSeconds } = this.#packets;
    if (this.#sender === null && this.#isLocked) this.#sender = this.#reader?.source() ?? null;
    if (!isOmitted && this.#countedFromSeconds === Infinity) this.#countedFromSeconds = receivedSeconds;
    const packet = this.#packet;
    packet.packetId = packetId;
    packet.sentSeconds = sentSeconds;
    packet.receivedSeconds = receivedSeconds;
    packet.framedBytes = lengthBytes + UDP_HEADER_BYTES;
    packet.isOmitted = isOmitted;
    this.#stats.add(packet);
    if (followers > 0) this.#stats.addFollowers(packet, followers);
  }

  /** A hello whose answer was lost is answered again; all else is not ours. */
  #foreign(view: DataView, at: number, lengthBytes: number, addressOf: () => string): void {
    const fd = this.directDescriptor;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at, lengthBytes);
    const isOfPath = this.#spec.endpoint.type === "handed" || this.#spec.endpoint.type === "dial";
    if (!isOfPath) return this.#warnOfForeign(addressOf);
    if (this.#calls !== null && fd !== null && isHelloOf(bytes, this.#spec, "hello"))
      answerHello(this.#calls, fd, this.#spec);
  }

  #warnOfForeign(addressOf: () => string): void {
    if (this.#hasSeenForeign) return;
    this.#hasSeenForeign = true;
    const message = `datagrams of another origin arrive on port ${this.#port} (from ${addressOf()}); ignored`;
    this.#events?.onWarning(message);
  }

  /** Only where the reader can tell the packets apart, and where the rate may need it. */
  #askForOffload(fd: number | null): boolean {
    const { offload, bandwidthBytesPerSecond } = this.#spec;
    if (offload === "off" || fd === null || !this.#isAdopted) return false;
    const isSlow = bandwidthBytesPerSecond !== null && bandwidthBytesPerSecond !== 0;
    if (offload === "auto" && isSlow && bandwidthBytesPerSecond < OFFLOAD_FROM_BYTES_PER_SECOND) return false;
    return grantOffload(enableUdpReceiveOffload(fd), offload, this.#emit);
  }
}
