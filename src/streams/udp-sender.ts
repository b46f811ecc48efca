import { descriptorOf } from "../../ffi/descriptor.ts";
import { type Address, type DirectIo, NOT_NOW, offsetAddress, refusalName } from "../../ffi/direct-io.ts";
import type { Outcome } from "../../ffi/platform.ts";
import { setUdpSegmentation } from "../../ffi/sockopt.ts";
import { MAX_UDP_LENGTH_BYTES, UDP_HEADER_BYTES } from "../config/limits.ts";
import { withDeadline } from "../clock.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { END_MARKER_COPIES, UdpPackets } from "../protocol/udp-packet.ts";
import { unmapAddress } from "../protocol/address.ts";
import { bindFromPool } from "./bind-from-pool.ts";
import type { AdoptedSocket } from "./adopt-datagrams.ts";
import { grantOffload } from "./grant-offload.ts";
import { answerHello, type DatagramCalls, datagramCallsOf, HelloListener, sayHello } from "./hello-exchange.ts";
import type { PacingAbilities } from "./pace-plan.ts";
import { boundTo, checkPath, hasOwnName } from "./path.ts";
import type { SendEvents, SendProgress, SendTransport } from "./sender.ts";
import { spareCompiler } from "./spare-compiler.ts";
import { grantSendBuffer } from "./socket-facts.ts";
import type { Emit, Handed, ListenEndpoint, SenderSpec } from "./spec.ts";
import type { StreamLoop } from "./stream-loop.ts";
import { connectTo, openDatagrams, type OwnDatagramSocket } from "./udp-socket.ts";

/** Packets handed to the system in one call: what every kernel with UDP_SEGMENT takes (linux/udp.h before 6.9). */
const MAX_BATCH = 64;
/** How long a refused or blocked send waits; Bun tells of room again only where the socket was full, not refused. */
const RETRY_MS = 1;
/** How often the end markers are offered to a full socket. */
const END_ATTEMPTS = 200;
/**
 * Answers to a send that a later one may not get: the port is not there yet or any more (ICMP), the route or the
 * interface is gone for now, a firewall or a queue here dropped the packet.
 */
const PASSING_REFUSALS: ReadonlySet<string | null> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "EPERM",
  "ENOBUFS",
]);

/**
 * Answers to a batch for the kernel to split that say that it cannot: the route's packets are smaller, or encrypted; the
 * device has no checksums (udp(7), UDP_SEGMENT; net/ipv4/udp.c, udp_send_skb).
 */
const OFFLOAD_REFUSALS: ReadonlySet<string> = new Set(["EINVAL", "EIO", "EMSGSIZE", "EOPNOTSUPP"]);

/** A router's "fragmentation needed" for an earlier packet, which a socket tells once; the next send goes by it. */
const PENDING = "EMSGSIZE";

/** How long a sender that has started waits for the hello of the receiver. */
const PEER_TIMEOUT_MS = 5000;

/** Connected by Bun, or made past it: then packets are sent by direct calls alone. */
type UdpSocket = Bun.udp.ConnectedSocket<"buffer"> | AdoptedSocket;

const NOTHING = new Uint8Array(0);

/** Whom packets go to. */
interface Peer {
  readonly address: string;
  readonly port: number;
}

/** Sends numbered, stamped packets; only those that the system took are counted. */
export class UdpSendTransport implements SendTransport {
  readonly abilities: PacingAbilities;
  readonly #spec: SenderSpec;
  readonly #io: DirectIo | null;
  readonly #loop: StreamLoop;
  readonly #calls: DatagramCalls | null;
  readonly #emit: Emit;
  readonly #framedBytes: number;
  readonly #packets: UdpPackets;
  readonly #address: Address | null;
  readonly #batches: readonly (readonly Uint8Array[])[];
  #socket: UdpSocket | null = null;
  /** Of the socket, as long as it is open: asking it for each send takes longer than the rest. */
  #fd: number | null = null;
  /** The kernel splits what is sent at once. */
  #isOffloaded = false;
  #nextPacketId = 0;
  /** Whether the last call was answered with a passing refusal. */
  #wasRefused = false;
  #hasWarned = false;
  #onWritable = (): void => {};
  #peer: Peer | null = null;
  readonly #peerKnown = Promise.withResolvers<void>();
  #listener: HelloListener | null = null;
  #isClosed = false;

  constructor(spec: SenderSpec, loop: StreamLoop, emit: Emit) {
    const { io } = loop;
    this.#spec = spec;
    this.#io = io;
    this.#loop = loop;
    this.#calls = datagramCallsOf(loop);
    this.#emit = emit;
    this.#framedBytes = spec.lengthBytes + UDP_HEADER_BYTES;
    const mostBatchPackets = Math.max(1, Math.min(MAX_BATCH, Math.floor(MAX_UDP_LENGTH_BYTES / spec.lengthBytes)));
    this.abilities = { mostBatchPackets, isPacedByKernel: false };
    // oxlint-disable-next-line typescript/unbound-method -- named here, not called
    spareCompiler([this.#offer, this.#sendEach]);
    this.#packets = new UdpPackets(spec.testId, spec.lengthBytes, mostBatchPackets);
    this.#address = io?.addressOf(this.#packets.bytes.buffer) ?? null;
    this.#batches = this.#packets.each.map((_, last) => this.#packets.each.slice(0, last + 1));
  }

  async prepare(events: SendEvents): Promise<number | null> {
    const { endpoint, path } = this.#spec;
    this.#onWritable = () => events.onWritable();
    await this.#check();
    checkPath(this.#spec);
    switch (endpoint.type) {
      case "connect":
      case "handed":
        return null;
      case "dial": {
        const calls = this.#demandCalls();
        const own = await openDatagrams({ peer: endpoint, isPortShared: false, path });
        this.#own(own);
        await sayHello(calls, own.socket, this.#spec, endpoint);
        this.#peer = endpoint;
        return null;
      }
      case "listen":
        return this.#listen(endpoint);
    }
  }

  take(handed: Handed): void {
    const { endpoint, path } = this.#spec;
    if (handed.family !== "udp" || endpoint.type !== "handed" || this.#peer !== null) return;
    this.#peer = handed;
    openDatagrams({ peer: handed, isPortShared: true, path: boundTo(endpoint, path) }).then(
      (own) => {
        this.#own(own);
        if (this.#isClosed) this.close();
        else this.#answerOn(own.fd);
      },
      (error: unknown) => this.#emit({ type: "warning", message: messageOf(error) }),
    );
  }

  async open(): Promise<void> {
    const { endpoint } = this.#spec;
    if (endpoint.type === "connect") await this.#connect(endpoint);
    else if (this.#peer === null || this.#fd === null) await this.#awaitPeer();
    // What comes from the receiver from now on needs no answer: data is one.
    if (this.#listener !== null) this.#loop.remove(this.#listener);
    this.#askForOffload();
    this.#tellFacts();
  }

  get awaitedDescriptor(): number | null {
    return this.#io === null || this.#wasRefused ? null : this.#fd;
  }

  leastBytes(): number {
    return this.#framedBytes;
  }

  send(dueBytes: number, sentWallSeconds: number, isOmitted: boolean): SendProgress {
    const wanted = Math.min(Math.floor(dueBytes / this.#framedBytes), this.abilities.mostBatchPackets);
    this.#packets.stamp(wanted, this.#nextPacketId, sentWallSeconds, isOmitted);
    this.#wasRefused = false;
    const taken = this.#offer(wanted);
    this.#nextPacketId += taken;
    const isBlocked = taken < wanted;
    if (isBlocked && this.awaitedDescriptor === null) setTimeout(this.#onWritable, RETRY_MS);
    return { bytes: taken * this.#framedBytes, packets: taken, isBlocked, isRefused: isBlocked && this.#wasRefused };
  }

  async finish(): Promise<void> {
    const marker = this.#spec.testId;
    let left = END_MARKER_COPIES;
    for (let attempt = 0; left > 0 && attempt < END_ATTEMPTS; attempt++) {
      // Whoever is gone needs none.
      if (this.#fd === null) break;
      left -= this.#offerEach(Array.from({ length: left }, () => marker));
      if (left > 0) await Bun.sleep(RETRY_MS);
    }
    this.close();
  }

  readonly undeliveredBytes = null;

  close(): void {
    this.#isClosed = true;
    if (this.#listener !== null) this.#loop.remove(this.#listener);
    this.#socket?.close();
    this.#socket = null;
    this.#fd = null;
  }

  async #check(): Promise<void> {
    if (this.#spec.offload !== "on") return;
    const probe = await Bun.udpSocket({});
    const fd = descriptorOf(probe);
    const granted: Outcome<null> =
      fd === null
        ? { ok: false, supported: true, message: "the socket has no descriptor" }
        : setUdpSegmentation(fd, this.#spec.lengthBytes);
    probe.close();
    grantOffload(granted, "on", this.#emit);
  }

  async #connect(peer: Peer): Promise<void> {
    const { path } = this.#spec;
    this.#peer = peer;
    if (hasOwnName(path) || path.dscp !== null) {
      this.#own(await openDatagrams({ peer, isPortShared: false, path }));
      return;
    }
    this.#socket = await Bun.udpSocket({
      hostname: localAddressFor(peer),
      connect: { hostname: peer.address, port: peer.port },
      socket: {
        data: () => {},
        // ICMP answers to a receiver that is gone, or not yet there; the control connection tells which.
        error: () => {},
      },
    });
    this.#fd = descriptorOf(this.#socket);
  }

  /** Binds; the first hello from the client's address tells where the packets go, and to nowhere else. */
  async #listen(endpoint: ListenEndpoint): Promise<number> {
    const { path } = this.#spec;
    const own = await bindFromPool("udp", endpoint, (localPort) =>
      openDatagrams({
        peer: null,
        isPortShared: false,
        path: { ...path, localAddress: endpoint.bindAddress, localPort },
      }),
    );
    this.#own(own);
    this.#answerOn(own.fd, (address, port) => {
      if (this.#peer !== null || unmapAddress(address) !== endpoint.peerAddress) return;
      connectTo(own.fd, { address, port });
      this.#peer = { address, port };
    });
    return own.port;
  }

  #answerOn(fd: number, onHello: (address: string, port: number) => void = () => {}): void {
    const calls = this.#demandCalls();
    this.#listener = new HelloListener(calls, fd, this.#spec, (address, port) => {
      onHello(address, port);
      if (this.#peer === null) return;
      answerHello(calls, fd, this.#spec);
      this.#peerKnown.resolve();
    });
    this.#loop.add(this.#listener);
    if (this.#peer === null) return;
    answerHello(calls, fd, this.#spec);
    this.#peerKnown.resolve();
  }

  async #awaitPeer(): Promise<void> {
    await withDeadline(this.#peerKnown.promise, PEER_TIMEOUT_MS).catch(() => {
      throw new RperfError("stream-failed", `no hello of the receiver came within ${PEER_TIMEOUT_MS / 1000} s`);
    });
  }

  #own({ fd, socket }: OwnDatagramSocket): void {
    this.#socket = socket;
    this.#fd = descriptorOf(socket) === fd ? fd : null;
    socket.data.onClosed = () => this.#gone();
  }

  /** The number is another socket's from now on. */
  #gone(): void {
    this.#fd = null;
    if (this.#listener !== null) this.#loop.remove(this.#listener);
  }

  #demandCalls(): DatagramCalls {
    if (this.#calls === null) throw new RperfError("internal", "this system has no direct calls on sockets");
    return this.#calls;
  }

  /** How many of the stamped packets the system took, from the first on. */
  #offer(count: number): number {
    const fd = this.#fd;
    if (this.#io === null || this.#address === null || fd === null) {
      return this.#offerEach(this.#batches[count - 1] ?? []);
    }
    if (count > 1 && !this.#isOffloaded) return this.#offerAll(count);
    const bytes = count * this.#spec.lengthBytes;
    let taken = this.#io.send(fd, this.#address, bytes);
    if (!this.#isOffloaded && taken < NOT_NOW && refusalName(taken) === PENDING) {
      taken = this.#io.send(fd, this.#address, bytes);
    }
    // The kernel takes such a batch whole, or not at all.
    if (taken >= 0) return count;
    if (taken === NOT_NOW) return 0;
    const refusal = refusalName(taken);
    if (this.#isOffloaded && OFFLOAD_REFUSALS.has(refusal)) {
      this.#fallBack(fd, refusal);
      return this.#offerAll(count);
    }
    return this.#refused(refusal, refusal);
  }

  /** The same of several that the kernel does not split. */
  #offerAll(count: number): number {
    const { lengthBytes } = this.#spec;
    const first = this.#address;
    if (first === null || this.#isBuns()) return this.#offerEach(this.#batches[count - 1] ?? []);
    return this.#sendEach(count, (index) => offsetAddress(first, index * lengthBytes), lengthBytes);
  }

  /** The same through Bun, packet by packet. */
  #offerEach(packets: readonly Uint8Array[], isAgain = false): number {
    const socket = this.#socket;
    if (socket === null || !("sendMany" in socket)) {
      return this.#sendEach(packets.length, (index) => packets[index] ?? NOTHING, packets[0]?.length ?? 0);
    }
    try {
      return socket.sendMany(packets);
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === PENDING && !isAgain) return this.#offerEach(packets, true);
      return this.#refused(code, messageOf(error), error);
    }
  }

  /** The same past Bun. */
  #sendEach(count: number, memoryAt: (index: number) => Uint8Array | Address, bytes: number): number {
    const fd = this.#fd;
    if (this.#io === null) return 0;
    if (fd === null) return this.#refused("ECONNREFUSED", "nobody is there any more (ECONNREFUSED)");
    for (let index = 0; index < count; index++) {
      const memory = memoryAt(index);
      let taken = this.#io.send(fd, memory, bytes);
      if (taken < NOT_NOW && refusalName(taken) === PENDING) taken = this.#io.send(fd, memory, bytes);
      if (taken >= 0) continue;
      if (taken !== NOT_NOW && index === 0) return this.#refused(refusalName(taken), refusalName(taken));
      return index;
    }
    return count;
  }

  /** Whether Bun sends for it: many packets in one call. */
  #isBuns(): boolean {
    return this.#socket !== null && "sendMany" in this.#socket;
  }

  /** Nothing was taken: a passing refusal is warned about once, any other ends the stream. */
  #refused(code: string | null, message: string, cause?: unknown): 0 {
    const address = this.#peer?.address ?? "nowhere";
    if (!PASSING_REFUSALS.has(code)) throw new Error(`sending to ${address}: ${message}`, { cause });
    this.#wasRefused = true;
    if (!this.#hasWarned) {
      this.#hasWarned = true;
      const told = `the system refuses packets to ${address} port ${this.#peer?.port} (${code}); none of these counts as sent`;
      this.#emit({ type: "warning", message: told });
    }
    return 0;
  }

  #askForOffload(): void {
    const { offload, lengthBytes } = this.#spec;
    const fd = this.#fd;
    if (offload === "off" || fd === null) return;
    this.#isOffloaded = grantOffload(setUdpSegmentation(fd, lengthBytes), offload, this.#emit);
  }

  /** In mid-test: what the batch held leaves packet by packet, as all that follows. */
  #fallBack(fd: number, refusal: string): void {
    this.#isOffloaded = false;
    setUdpSegmentation(fd, 0);
    const message = `the system would not split packets of ${this.#spec.lengthBytes} bytes (${refusal}); sending each by itself`;
    this.#emit({ type: this.#spec.offload === "on" ? "warning" : "debug", message });
    this.#tellFacts();
  }

  #tellFacts(): void {
    grantSendBuffer(this.#fd, this.#spec, { offload: this.#isOffloaded }, this.#emit);
  }
}

/** Bun makes an IPv4 socket unless told otherwise (bun-findings). */
function localAddressFor({ address }: Peer): string {
  return address.includes(":") ? "::" : "0.0.0.0";
}
