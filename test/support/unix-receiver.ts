// A unix datagram socket as a service manager has one. Linux only.
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";

import { directIoCalls, ptr, rawSocketCalls } from "../../ffi/libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const DONT_WAIT = 0x40;
const POLL_MS = 10;

export interface UnixReceiver {
  /** As NOTIFY_SOCKET names it. */
  readonly address: string;
  /** The datagrams so far. */
  readonly received: readonly string[];
  close(): void;
}

let opened = 0;

export function openReceiver(kind: "path" | "abstract"): UnixReceiver {
  const sockets = rawSocketCalls();
  const io = directIoCalls();
  if (sockets === null || io === null) throw new Error("no unix sockets here");
  const name = `rperf-notify-${process.pid}-${opened++}`;
  const path = `${tmpdir()}/${name}`;
  const address = kind === "path" ? path : `@${name}`;
  const bytes = new Uint8Array(new TextEncoder().encode(`..${kind === "path" ? `${path}\0` : `\0${name}`}`));
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  const fd = sockets.calls.socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0 || sockets.calls.bind(fd, ptr(bytes), bytes.length) !== 0) throw new Error(`no socket at ${address}`);
  const received: string[] = [];
  const buffer = new Uint8Array(new ArrayBuffer(4096));
  const read = (): void => {
    for (;;) {
      const length = io.calls.recv(fd, ptr(buffer), buffer.length, DONT_WAIT);
      if (length < 0) return;
      received.push(new TextDecoder().decode(buffer.subarray(0, length)));
    }
  };
  const timer = setInterval(read, POLL_MS);
  return {
    address,
    received,
    close() {
      clearInterval(timer);
      sockets.calls.close(fd);
      rmSync(path, { force: true });
    },
  };
}
