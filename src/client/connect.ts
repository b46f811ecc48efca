import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { DeadlineError, withDeadline } from "../clock.ts";
import { CONNECT_TIMEOUT_SECONDS } from "../config/limits.ts";
import { formatEndpoint, ipVersionOf } from "../control/address.ts";
import { type ChannelEvents, channelSocketHandlers, ControlChannel } from "../control/channel.ts";
import { type ErrorCode, messageOf, RperfError, systemCodeOf } from "../errors.ts";

const RESOLVE_TIMEOUT_MS = 5000;

/**
 * Every address of `host`, or those of IPv6 alone, in the order in which the system prefers them. Throws
 * `resolve-failed`.
 */
export async function resolveHost(host: string, ipv6Only: boolean): Promise<readonly string[]> {
  const addresses = await lookUp(host);
  const usable = ipv6Only ? addresses.filter((address) => ipVersionOf(address) === 6) : addresses;
  if (usable.length > 0) return usable;
  throw new RperfError("resolve-failed", `the name ${host} has no ${ipv6Only ? "IPv6 " : ""}address`);
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

/** Where the control connection was made to. */
export interface ControlConnection {
  readonly channel: ControlChannel;
  readonly address: string;
}

/** Tries each address in turn. Throws what the last one answered: `connect-refused`, `-timeout` or `-failed`. */
export async function connectControl(
  addresses: readonly string[],
  port: number,
  events: ChannelEvents,
): Promise<ControlConnection> {
  let failure = new RperfError("connect-failed", "there is no address to connect to");
  for (const address of addresses) {
    try {
      return { channel: await connectTo(address, port, events), address };
    } catch (cause) {
      failure = describeFailure(cause, formatEndpoint(address, port));
    }
  }
  throw failure;
}

const NO_EVENTS: ChannelEvents = { onBody: () => {}, onError: () => {}, onClosed: () => {} };

async function connectTo(address: string, port: number, events: ChannelEvents): Promise<ControlChannel> {
  let isGivenUp = false;
  const connecting = Bun.connect<ControlChannel>({
    hostname: address,
    port,
    socket: {
      ...channelSocketHandlers,
      open: (socket) => {
        // One that opens after all must not speak for the one that took its place.
        const channel = new ControlChannel(socket, isGivenUp ? NO_EVENTS : events);
        if (isGivenUp) channel.close();
      },
    },
  });
  try {
    const socket = await withDeadline(connecting, CONNECT_TIMEOUT_SECONDS * 1000);
    return socket.data;
  } catch (error) {
    isGivenUp = true;
    // Whatever the connection comes to now, nobody waits for it.
    connecting.catch(() => {});
    throw error;
  }
}

function describeFailure(cause: unknown, where: string): RperfError {
  const fail = (code: ErrorCode, message: string) => new RperfError(code, message, { cause });
  if (cause instanceof DeadlineError) {
    return fail("connect-timeout", `no answer from ${where} within ${CONNECT_TIMEOUT_SECONDS} s`);
  }
  const systemCode = systemCodeOf(cause);
  if (systemCode === "ECONNREFUSED")
    return fail("connect-refused", `no server listens on ${where} (connection refused)`);
  return fail("connect-failed", `connecting to ${where}: ${systemCode ?? messageOf(cause)}`);
}
