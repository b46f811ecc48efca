import { descriptorOf } from "../../ffi/descriptor.ts";
import { duplicateDescriptor } from "../../ffi/duplicate.ts";
import { closeDescriptor } from "../../ffi/open-socket.ts";
import { bindToDevice } from "../../ffi/path-options.ts";
import type { TlsIdentity } from "../config/tls.ts";
import type { ServerConfig } from "../config/types.ts";
import { type ControlChannel, channelSocketHandlers } from "../control/channel.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { formatEndpoint } from "../protocol/address.ts";

export type ControlSocket = Bun.Socket<ControlChannel>;

type Listener = Bun.TCPSocketListener<ControlChannel>;

/** A socket that listens already, with which Bun goes on: its types only leave that out. */
interface ListeningSocket {
  readonly hostname: "";
  readonly port: 0;
  readonly fd: number;
}

type Where = Pick<Bun.TCPSocketListenOptions, "hostname" | "port" | "exclusive">;

const WHAT = "listening on with another certificate";

/** The control port, from the first connection to the last. */
export class ControlListener {
  readonly port: number;
  readonly #accept: (socket: ControlSocket) => void;
  #tls: TlsIdentity | null;
  #listener: Listener;

  /** Throws `port-in-use` or `bind-failed`. */
  constructor(config: ServerConfig, accept: (socket: ControlSocket) => void) {
    this.#accept = accept;
    this.#tls = config.tls;
    this.#listener = this.#open(config);
    this.port = this.#listener.port;
  }

  /**
   * Connections that come from now on see this certificate; those that are there, or wait to be taken, notice nothing. False on
   * a system where only a new server can. Throws `usage` where the port has no TLS, and `option-refused` where the system, or
   * TLS itself, does not let it: all stays as it was then.
   */
  showCertificate(tls: TlsIdentity): boolean {
    if (this.#tls === null) throw new RperfError("usage", "the control port has no TLS: that is for a new server");
    if (tls.cert === this.#tls.cert && tls.key === this.#tls.key) return true;
    const duplicate = duplicateDescriptor(descriptorOf(this.#listener) ?? -1, WHAT);
    if (!duplicate.ok && !duplicate.supported) return false;
    if (!duplicate.ok) throw new RperfError("option-refused", duplicate.message);
    const before = this.#listener;
    try {
      this.#listener = this.#listen({ hostname: "", port: 0, fd: duplicate.value }, tls);
    } catch (cause) {
      closeDescriptor(duplicate.value);
      throw new RperfError("option-refused", `${WHAT}: ${messageOf(cause)}`, { cause });
    }
    this.#tls = tls;
    before.stop(false);
    return true;
  }

  /** Takes no connection any more; those that were taken are the caller's to close. */
  stop(): void {
    this.#listener.stop(false);
  }

  #open(config: ServerConfig): Listener {
    const listener = this.#bind(config);
    const fd = config.device === null ? null : descriptorOf(listener);
    const bound = config.device === null || fd === null ? null : bindToDevice(fd, config.device);
    if (bound === null || bound.ok) return listener;
    listener.stop(true);
    throw new RperfError("bind-failed", bound.message);
  }

  #bind({ bindAddress, port, tls }: ServerConfig): Listener {
    try {
      return this.#listen({ hostname: bindAddress, port, exclusive: true }, tls);
    } catch (cause) {
      const where = formatEndpoint(bindAddress, port);
      if (systemCodeOf(cause) === "EADDRINUSE") {
        throw new RperfError("port-in-use", `port ${port} is in use: another server may run (${where})`, { cause });
      }
      throw new RperfError("bind-failed", `listening on ${where}: ${messageOf(cause)}`, { cause });
    }
  }

  #listen(where: ListeningSocket | Where, tls: TlsIdentity | null): Listener {
    return Bun.listen<ControlChannel>({
      ...where,
      ...(tls === null ? {} : { tls: tlsOptions(tls) }),
      socket: { ...channelSocketHandlers, open: (socket) => this.#accept(socket) },
    });
  }
}

/** Nothing before TLS 1.3 (RFC 8446, 4.1.2), which Bun's types do not know how to say. */
function tlsOptions({ cert, key }: TlsIdentity): Bun.TLSOptions & { readonly minVersion: number } {
  return { cert, key, minVersion: 0x0304 };
}
