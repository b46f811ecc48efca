import { directIoCalls, notSupported, refused } from "./libc.ts";
import { type Outcome, platform } from "./platform.ts";

/** A second descriptor of the same socket, which no child process inherits, to be closed by whoever gets it. */
export function duplicateDescriptor(fd: number, what: string): Outcome<number> {
  const options = platform.directIo;
  const libc = directIoCalls();
  if (options === null || libc === null) return notSupported(what);
  const duplicate = libc.calls.fcntl(fd, options.duplicate, 0);
  return duplicate < 0 ? refused(what, libc.errno()) : { ok: true, value: duplicate };
}
