import type { PortRange } from "../config/types.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import type { ListenEndpoint } from "./spec.ts";

/** Any port the system gives. */
const ANY_PORT = 0;

/** Binds the first free port of the endpoint's pool. Throws `pool-exhausted` or `bind-failed`, naming what was tried. */
export async function bindFromPool<Socket>(
  family: "tcp" | "udp",
  endpoint: ListenEndpoint,
  bind: (port: number) => Socket | Promise<Socket>,
): Promise<Socket> {
  const { bindAddress, ports, firstChoice } = endpoint;
  for (const port of ports.length === 0 ? [ANY_PORT] : portsFrom(ports, firstChoice)) {
    try {
      return await bind(port);
    } catch (cause) {
      if (ports.length > 0 && isInUse(cause)) continue;
      const where = port === ANY_PORT ? "a port" : `port ${port}`;
      const message = `no ${family.toUpperCase()} receiver on ${where} of ${bindAddress}: ${messageOf(cause)}`;
      throw new RperfError("bind-failed", message, { cause });
    }
  }
  const pool = ports.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
  throw new RperfError("pool-exhausted", `every ${family.toUpperCase()} port of the pool ${pool} is in use`);
}

/** As Bun tells it, or as the cause of an error of ours. */
function isInUse(error: unknown): boolean {
  return systemCodeOf(error instanceof RperfError ? error.cause : error) === "EADDRINUSE";
}

/** Every port of the ranges once, beginning with number `firstChoice` of them and going round. */
export function* portsFrom(ranges: readonly PortRange[], firstChoice: number): Generator<number> {
  const total = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  for (let i = 0; i < total; i++) {
    let offset = (firstChoice + i) % total;
    for (const { first, last } of ranges) {
      const size = last - first + 1;
      if (offset < size) {
        yield first + offset;
        break;
      }
      offset -= size;
    }
  }
}
