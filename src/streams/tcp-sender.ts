import { descriptorOf } from "../../ffi/descriptor.ts";
import { limitUnsent } from "../../ffi/sockopt.ts";
import { DeadlineError, withDeadline } from "../clock.ts";
import { CONNECT_TIMEOUT_SECONDS } from "../config/limits.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { makeTcpBuffer, TEST_ID_BYTES } from "../protocol/tcp-data.ts";
import type { SendProgress, SendTransport } from "./sender.ts";
import { grantSendBuffer } from "./socket-facts.ts";
import type { Emit, SenderSpec } from "./spec.ts";

/**
 * What may wait in the socket beyond what is under way: on a slow link it must drain soon after the test's end, and
 * bytes count as sent only when they are about to be.
 */
const MAX_UNSENT_BYTES = 128 * 1024;

/** Writes whole buffers while the pace allows, and shorter ones where it allows less. */
export class TcpSendTransport implements SendTransport {
  readonly unitBytes = 1;
  readonly #spec: SenderSpec;
  readonly #emit: Emit;
  readonly #buffer: Uint8Array;
  #socket: Bun.Socket | null = null;
  #hasSentPreamble = false;

  constructor(spec: SenderSpec, emit: Emit) {
    this.#spec = spec;
    this.#emit = emit;
    this.#buffer = makeTcpBuffer(spec.testId, spec.lengthBytes);
  }

  async open(events: { onWritable: () => void; onLost: (message: string) => void }): Promise<void> {
    const { remoteAddress, remotePort } = this.#spec;
    const where = `${remoteAddress} port ${remotePort}`;
    const connecting = Bun.connect({
      hostname: remoteAddress,
      port: remotePort,
      socket: {
        data: () => {},
        drain: events.onWritable,
        // Bun also reports the close that `finish` asked for; the sender knows that it is over by then.
        close: () => events.onLost(`the receiver at ${where} closed the connection`),
        error: (_socket, error) => events.onLost(`sending to ${where}: ${messageOf(error)}`),
      },
    });
    const socket = await connected(connecting, where);
    this.#socket = socket;
    socket.setNoDelay(this.#spec.noDelay);
    const fd = descriptorOf(socket);
    // Without it (Windows) a slow link only takes longer to drain.
    if (fd !== null) limitUnsent(fd, MAX_UNSENT_BYTES);
    grantSendBuffer(fd, this.#spec, this.#emit);
  }

  leastBytes(): number {
    // The preamble goes first and at once, however slow the rate: it is what admits the connection.
    return this.#hasSentPreamble ? 1 : -Infinity;
  }

  send(dueBytes: number): SendProgress {
    const socket = this.#socket;
    if (socket === null) return { bytes: 0, packets: 0, isBlocked: true, isRefused: false };
    const wantedBytes = Math.max(dueBytes, this.#hasSentPreamble ? 1 : TEST_ID_BYTES);
    const offeredBytes = Math.min(wantedBytes, this.#buffer.length);
    const takenBytes = Math.max(0, socket.write(this.#buffer, 0, offeredBytes));
    this.#hasSentPreamble ||= takenBytes > 0;
    return { bytes: takenBytes, packets: 0, isBlocked: takenBytes < offeredBytes, isRefused: false };
  }

  async finish(): Promise<void> {
    this.#socket?.end();
  }
}

/** The socket; one that opens only after the deadline is closed. Throws `connect-timeout` or `stream-failed`. */
async function connected(connecting: Promise<Bun.Socket>, where: string): Promise<Bun.Socket> {
  try {
    return await withDeadline(connecting, CONNECT_TIMEOUT_SECONDS * 1000);
  } catch (cause) {
    connecting.then((socket) => socket.terminate()).catch(() => {});
    if (cause instanceof DeadlineError) {
      const message = `the receiver at ${where} did not answer within ${CONNECT_TIMEOUT_SECONDS} s`;
      throw new RperfError("connect-timeout", message, { cause });
    }
    const why = systemCodeOf(cause) ?? messageOf(cause);
    throw new RperfError("stream-failed", `no connection to the receiver at ${where}: ${why}`, { cause });
  }
}
