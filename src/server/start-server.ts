import { descriptorOf } from "../../ffi/descriptor.ts";
import { bindToDevice } from "../../ffi/path-options.ts";
import type { ServerConfig } from "../config/types.ts";
import { formatEndpoint } from "../protocol/address.ts";
import { channelSocketHandlers, type ControlChannel } from "../control/channel.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { CpuDealer, PortDealer } from "../workers/dealers.ts";
import type { StreamWorkerPool } from "../workers/stream-worker-pool.ts";
import { ClientSession } from "./client-session.ts";
import type { SessionContext } from "./context.ts";
import type { ServerEvent } from "./events.ts";
import type { ServerTest } from "./server-test.ts";
import { TestRegistry } from "./test-registry.ts";
import { UdpDoor } from "./udp-door.ts";

/** How long `stop` waits for the clients to read their reason. */
const STOP_DEADLINE_MS = 3000;
const STOP_POLL_MS = 10;

/** A listening server. */
export interface RperfServer {
  readonly address: string;
  readonly port: number;
  /** Clients with a control connection now, or with a test that goes on without one. */
  readonly clients: number;
  /** Refuses new clients, tells `reason` to those that are there, frees everything and resolves. */
  stop(reason: string): Promise<void>;
}

/** Listens for clients and serves each on its own. Throws `port-in-use` or `bind-failed`. */
export function listen(
  config: ServerConfig,
  pool: StreamWorkerPool,
  emit: (event: ServerEvent) => void,
  registry = new TestRegistry(),
): RperfServer {
  const sessions = new Set<ClientSession>();
  const tests = new Set<ServerTest>();
  const admitted = new Set<ServerTest>();
  const door = new UdpDoor(config.bindAddress, registry);
  const context: SessionContext = {
    pool,
    cpus: new CpuDealer(config.affinity, (message) => emit({ type: "warning", client: null, message })),
    ports: new PortDealer(config.portPools),
    registry,
    device: config.device,
    emit,
    controlPort: () => listener.port,
    enterUdpDoor: (test) => door.enter(listener.port, test),
    leaveUdpDoor: (test) => door.leave(test),
    admit(test) {
      if (config.clientLimit > 0 && admitted.size >= config.clientLimit) return false;
      admitted.add(test);
      tests.add(test);
      return true;
    },
    release: (test) => void admitted.delete(test),
    onTestOver: (test) => void tests.delete(test),
  };
  const accept = (socket: Bun.Socket<ControlChannel>): void => {
    sessions.add(new ClientSession(socket, context, (session) => sessions.delete(session)));
  };
  const listener = openListener(config, accept);
  const { port } = listener;
  emit({ type: "listening", address: config.bindAddress, port });
  return {
    address: config.bindAddress,
    port,
    get clients() {
      // A test that waits for its client has no connection to be counted by.
      return sessions.size + [...tests].filter((test) => test.isDetached).length;
    },
    async stop(reason) {
      listener.stop(false);
      for (const session of sessions) session.refuse(reason);
      for (const test of tests) test.refuse(reason);
      registry.clear();
      await door.close();
      const givenUpAtMs = performance.now() + STOP_DEADLINE_MS;
      while (sessions.size > 0 && performance.now() < givenUpAtMs) await Bun.sleep(STOP_POLL_MS);
      listener.stop(true);
    },
  };
}

function openListener(config: ServerConfig, accept: (socket: Bun.Socket<ControlChannel>) => void) {
  const listener = listenAt(config, accept);
  const fd = config.device === null ? null : descriptorOf(listener);
  const bound = config.device === null || fd === null ? null : bindToDevice(fd, config.device);
  if (bound === null || bound.ok) return listener;
  listener.stop(true);
  throw new RperfError("bind-failed", bound.message);
}

function listenAt({ bindAddress, port }: ServerConfig, accept: (socket: Bun.Socket<ControlChannel>) => void) {
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
