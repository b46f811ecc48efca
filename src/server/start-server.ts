import type { ServerConfig } from "../config/types.ts";
import { formatEndpoint } from "../control/address.ts";
import { channelSocketHandlers, type ControlChannel } from "../control/channel.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { CpuDealer, PortDealer } from "../workers/dealers.ts";
import type { StreamWorkerPool } from "../workers/stream-worker-pool.ts";
import { ClientSession, type SessionContext } from "./client-session.ts";
import type { ServerEvent } from "./events.ts";

/** How long `stop` waits for the clients to read their reason. */
const STOP_DEADLINE_MS = 3000;
const STOP_POLL_MS = 10;

/** A listening server. */
export interface RperfServer {
  readonly address: string;
  readonly port: number;
  /** Clients with a control connection now. */
  readonly clients: number;
  /** Refuses new clients, tells `reason` to those that are there, frees everything and resolves. */
  stop(reason: string): Promise<void>;
}

/** Listens for clients and serves each on its own. Throws `port-in-use` or `bind-failed`. */
export function listen(config: ServerConfig, pool: StreamWorkerPool, emit: (event: ServerEvent) => void): RperfServer {
  const sessions = new Set<ClientSession>();
  const admitted = new Set<ClientSession>();
  const context: SessionContext = {
    pool,
    cpus: new CpuDealer(config.affinity, (message) => emit({ type: "warning", client: null, message })),
    ports: new PortDealer(config.portPools),
    emit,
    admit(session) {
      if (config.clientLimit > 0 && admitted.size >= config.clientLimit) return false;
      admitted.add(session);
      return true;
    },
    onClosed(session) {
      sessions.delete(session);
      admitted.delete(session);
    },
  };
  const listener = openListener(config, (socket) => sessions.add(new ClientSession(socket, context)));
  const { port } = listener;
  emit({ type: "listening", address: config.bindAddress, port });
  return {
    address: config.bindAddress,
    port,
    get clients() {
      return sessions.size;
    },
    async stop(reason) {
      listener.stop(false);
      for (const session of sessions) session.refuse(reason);
      const givenUpAtMs = performance.now() + STOP_DEADLINE_MS;
      while (sessions.size > 0 && performance.now() < givenUpAtMs) await Bun.sleep(STOP_POLL_MS);
      listener.stop(true);
    },
  };
}

function openListener(config: ServerConfig, accept: (socket: Bun.Socket<ControlChannel>) => void) {
  const { bindAddress, port } = config;
  try {
    return Bun.listen<ControlChannel>({
      hostname: bindAddress,
      port,
      exclusive: true,
      socket: { ...channelSocketHandlers, open: accept },
    });
  } catch (cause) {
    const where = formatEndpoint(bindAddress, port);
    if (systemCodeOf(cause) === "EADDRINUSE") {
      throw new RperfError("port-in-use", `port ${port} is in use: another server may run (${where})`, { cause });
    }
    throw new RperfError("bind-failed", `listening on ${where}: ${messageOf(cause)}`, { cause });
  }
}
