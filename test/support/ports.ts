// Free ports for tests.

/** Below the range (32768 and up on Linux) from which the system takes ports for outgoing connections. */
const FIRST = 12_000;
const LAST = 32_000;
const given = new Set<number>();

async function isFree(port: number): Promise<boolean> {
  for (const hostname of ["0.0.0.0", "::"]) {
    try {
      Bun.listen({ hostname, port, socket: { data() {} } }).stop(true);
      (await Bun.udpSocket({ hostname, port })).close();
    } catch (error) {
      const code = (error as { code?: string }).code;
      if (hostname === "::" && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL")) continue; // no IPv6 here
      return false;
    }
  }
  return true;
}

/** A port free for TCP and for UDP, over IPv4 and IPv6, when asked. Never the same one twice in one process. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port found between ${FIRST} and ${LAST}`);
}
