import { closeDescriptor, connectSocket, localEndpoint, openSocket } from "../../ffi/open-socket.ts";
import { RperfError } from "../errors.ts";
import { ipVersionOf } from "../protocol/address.ts";
import { type AdoptedSocket, adoptDescriptor } from "./adopt-datagrams.ts";
import { applyPath } from "./path.ts";
import type { PathSpec } from "./spec.ts";

/** A UDP socket made past Bun; Bun only closes it, also when its thread ends. */
export interface OwnDatagramSocket {
  readonly fd: number;
  readonly port: number;
  readonly socket: AdoptedSocket;
}

interface UdpRequest {
  /** Decides the IP version, and is connected to; null = `bindAddress` decides. */
  readonly peer: { readonly address: string; readonly port: number } | null;
  /** Of others too, each connected to its own peer. */
  readonly isPortShared: boolean;
  readonly path: PathSpec;
}

/** Throws `bind-failed`, `stream-failed` or `option-refused`. */
export async function openDatagrams({ peer, isPortShared, path }: UdpRequest): Promise<OwnDatagramSocket> {
  const { localAddress, localPort, device } = path;
  const ipVersion = ipVersionOf(peer?.address ?? localAddress ?? "");
  const opened = openSocket({ transport: "udp", ipVersion, localAddress, localPort, device, reusePort: isPortShared });
  if (!opened.ok) throw new RperfError("bind-failed", opened.message, { cause: { code: opened.code } });
  const fd = opened.value;
  try {
    if (peer !== null) connectTo(fd, peer);
    applyPath(fd, "udp", peer?.address ?? localAddress ?? "", path);
    const local = localEndpoint(fd);
    return { fd, port: local.ok ? local.value.port : localPort, socket: await adoptDescriptor(fd) };
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** Only this peer's datagrams come from then on. Throws `stream-failed`. */
export function connectTo(fd: number, { address, port }: { readonly address: string; readonly port: number }): void {
  const connected = connectSocket(fd, address, port);
  if (!connected.ok) throw new RperfError("stream-failed", connected.message);
}
