import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { DeadlineError, withDeadline } from "../clock.ts";
import { CONNECT_TIMEOUT_SECONDS } from "../config/limits.ts";
import type { TestConfig } from "../config/types.ts";
import { formatEndpoint, ipVersionOf } from "../protocol/address.ts";
import { type ChannelEvents, channelSocketHandlers, ControlChannel } from "../control/channel.ts";
import { type ErrorCode, messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { hasOwnSockets } from "../streams/abilities.ts";
import { openConnection } from "../streams/tcp-connection.ts";
import { type Handshake, handshakeOf, tlsOptions, verifyServer } from "./tls.ts";

const RESOLVE_TIMEOUT_MS = 5000;
/** How long addresses that do not answer are tried; each try takes CONNECT_TIMEOUT_SECONDS. */
const CONNECT_PATIENCE_SECONDS = 8;

/**
 * Every address of `host`, or those of IPv6 or of the local address's version alone, in the order in which the system
 * prefers them. Throws `resolve-failed`.
 */
export async function resolveHost(
  host: string,
  ipv6Only: boolean,
  localAddress: string | null = null,
): Promise<readonly string[]> {
  const version = ipv6Only ? 6 : localAddress === null ? null : ipVersionOf(localAddress);
  const addresses = await lookUp(host);
  const usable = version === null ? addresses : addresses.filter((address) => ipVersionOf(address) === version);
  if (usable.length > 0) return usable;
  throw new RperfError("resolve-failed", `the name ${host} has no ${version === null ? "" : `IPv${version} `}address`);
}

async function lookUp(host: string): Promise<readonly string[]> {
  if (isIP(host.split("%")[0] ?? "") !== 0) return [host];
  try {
    const found = await withDeadline(lookup(host, { all: true }), RESOLVE_TIMEOUT_MS);
    return [...new Set(found.map(({ address }) => address))];
  } catch (cause) {
    if (cause instanceof DeadlineError) {
      throw new RperfError("resolve-failed", `the name ${host} was not resolved within ${RESOLVE_TIMEOUT_MS / 1000} s`);
    }
    throw new RperfError(
      "resolve-failed",
      `the name ${host} does not resolve (${systemCodeOf(cause) ?? messageOf(cause)})`,
      {
        cause,
      },
    );
  }
}

/** What the control connection's socket is bound to, and whom it is to reach. */
export type ControlPath = Pick<TestConfig, "localAddress" | "device" | "host" | "tls">;

/** Where the control connection was made to. */
export interface ControlConnection<Events extends ChannelEvents> {
  readonly channel: ControlChannel;
  readonly address: string;
  readonly inbox: Events;
}

/**
 * Tries each address in turn, and all of them again where none answers in time: a link may lose much. Throws what the last
 * one answered: `connect-refused`, `-timeout`, `-failed` or `tls-failed`.
 */
export async function connectControl<Events extends ChannelEvents>(
  addresses: readonly string[],
  port: number,
  path: ControlPath,
  newEvents: () => Events,
): Promise<ControlConnection<Events>> {
  const givenUpAtMs = performance.now() + CONNECT_PATIENCE_SECONDS * 1000;
  for (;;) {
    let failure = new RperfError("connect-failed", "there is no address to connect to");
    for (const address of addresses) {
      const inbox = newEvents();
      try {
        return { channel: await connectOnce(address, port, path, inbox), address, inbox };
      } catch (error) {
        failure = error instanceof RperfError ? error : new RperfError("internal", messageOf(error));
      }
    }
    if (failure.code !== "connect-timeout" || performance.now() >= givenUpAtMs) throw failure;
  }
}

/** One attempt at one address. Throws `connect-refused`, `-timeout`, `-failed`, `bind-failed` or `tls-failed`. */
export async function connectOnce(
  address: string,
  port: number,
  path: ControlPath,
  events: ChannelEvents,
): Promise<ControlChannel> {
  try {
    return await connectTo(address, port, path, events);
  } catch (cause) {
    throw describeFailure(cause, formatEndpoint(address, port));
  }
}

const NO_EVENTS: ChannelEvents = { onBody: () => {}, onError: () => {}, onClosed: () => {} };

async function connectTo(
  address: string,
  port: number,
  path: ControlPath,
  events: ChannelEvents,
): Promise<ControlChannel> {
  let isGivenUp = false;
  const { tls, host } = path;
  const shaken = Promise.withResolvers<Handshake>();
  const target = await targetOf(address, port, path);
  const connecting = Bun.connect<ControlChannel>({
    ...target,
    ...(tls === null ? {} : { tls: tlsOptions(tls, host) }),
    socket: {
      ...channelSocketHandlers,
      handshake: (socket, isGood, error) => {
        const handshake = handshakeOf(socket, isGood, error);
        shaken.resolve(handshake);
        socket.data.handshaken(handshake.isDone, error);
      },
      open: (socket) => {
        // One that opens after all must not speak for the one that took its place.
        const channel = new ControlChannel(socket, isGivenUp ? NO_EVENTS : events, tls !== null);
        if (isGivenUp) channel.close();
      },
    },
  });
  try {
    const socket = await withDeadline(connecting, CONNECT_TIMEOUT_SECONDS * 1000);
    if (tls !== null) await verifyServer(socket, shaken.promise, { trust: tls, where: formatEndpoint(address, port) });
    return socket.data;
  } catch (error) {
    isGivenUp = true;
    // Whatever the connection comes to now, nobody waits for it.
    connecting.catch(() => {});
    throw error;
  }
}

/** Bun goes on with a connection of ours: its own cannot be bound, and calls a network that is gone a refusal. */
async function targetOf(address: string, port: number, { localAddress, device }: ControlPath) {
  if (localAddress === null && device === null && !hasOwnSockets()) return { hostname: address, port };
  const path = { localAddress, device, localPort: 0, congestion: null, dscp: null, maxSegmentBytes: null };
  // Bun takes a descriptor here (FdSocketOptions), its types only leave it out of this call.
  const target: { hostname: string; port: number; fd?: number } = { hostname: "", port: 0 };
  target.fd = await openConnection(address, port, path);
  return target;
}

function describeFailure(cause: unknown, where: string): RperfError {
  const fail = (code: ErrorCode, message: string) => new RperfError(code, message, { cause });
  if (cause instanceof DeadlineError) {
    return fail("connect-timeout", `no answer from ${where} within ${CONNECT_TIMEOUT_SECONDS} s`);
  }
  if (cause instanceof RperfError) return cause;
  const systemCode = systemCodeOf(cause);
  if (systemCode === "ECONNREFUSED")
    return fail("connect-refused", `no server listens on ${where} (connection refused)`);
  return fail("connect-failed", `connecting to ${where}: ${systemCode ?? messageOf(cause)}`);
}
