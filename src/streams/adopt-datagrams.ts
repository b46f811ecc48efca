import { descriptorOf } from "../../ffi/descriptor.ts";
import type { DirectIo } from "../../ffi/direct-io.ts";
import { connectDescriptor } from "./connect-descriptor.ts";

/** What is left to Bun of a UDP socket that is read past it: to close it, also when its thread ends. */
export type AdoptedSocket = Bun.Socket<AdoptedState>;

/**
 * Bun closes it by itself where a datagram was refused (ECONNREFUSED, by ICMP), paused or not: its number is another's right
 * behind that, and whoever keeps it is to hear of it.
 */
export interface AdoptedState {
  onClosed: () => void;
}

/**
 * Takes the reading of a UDP socket away from Bun, which would copy each datagram as long as any come, and tell nothing
 * of when they came. The socket goes on as another of Bun's, paused for ever; the one given is closed. Null, and nothing
 * changed, where that cannot be.
 */
export async function adoptDatagrams(io: DirectIo, socket: Bun.udp.Socket<"buffer">): Promise<AdoptedSocket | null> {
  const fd = descriptorOf(socket);
  const duplicate = fd === null ? -1 : io.duplicate(fd);
  if (duplicate < 0) return null;
  const adopted = await adoptDescriptor(duplicate);
  socket.close();
  return adopted;
}

/** The same of a UDP socket that is nobody's yet. */
export async function adoptDescriptor(descriptor: number): Promise<AdoptedSocket> {
  return connectDescriptor<AdoptedState>({
    fd: descriptor,
    data: { onClosed: () => {} },
    socket: {
      open: (opened) => {
        opened.pause();
      },
      data: () => {},
      close: (closed) => closed.data.onClosed(),
    },
  });
}
