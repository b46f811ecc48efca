import { descriptorOf } from "./descriptor.ts";
import { duplicateDescriptor } from "./duplicate.ts";
import type { Outcome } from "./platform.ts";

const WHAT = "taking a connection from Bun";

/**
 * Takes a connection from Bun on this thread, so that another thread may go on with it: its new descriptor, which any
 * thread of the process may adopt (`Bun.connect({ fd })`), and which is to be closed by whoever gets it. The peer notices
 * nothing. What Bun has handed over until then, in the `data` of this very moment too, is the caller's to pass on; what
 * comes later waits for the next reader. The `close` of the socket given is called before this returns.
 */
export function detachConnection<Data>(socket: Bun.Socket<Data>): Outcome<number> {
  const duplicate = duplicateDescriptor(descriptorOf(socket) ?? -1, WHAT);
  if (!duplicate.ok) return duplicate;
  // Of Bun's calls `close` alone leaves the connection as it is, by close(2) of the one descriptor and no more:
  // `shutdown` ends it, and `terminate` sets SO_LINGER, which resets it at the last close, whoever makes that.
  socket.close();
  return duplicate;
}
