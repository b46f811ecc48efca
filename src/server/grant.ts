import { isLinkLocal } from "../protocol/address.ts";
import { type Configuration, EXTENSION_VERSION, type Extensions, type ResumeGrant } from "../protocol/messages.ts";
import { hasOwnSockets } from "../streams/abilities.ts";

const TOKEN_BYTES = 16;
/** As long as a client waits for what is under way. One that may come back later finds what there was by then. */
const MOST_DRAIN_SECONDS = 30;

/** What a server of ours grants of what was offered; an original client gets nothing. */
export interface Grant {
  readonly accounting: boolean;
  readonly singlePort: boolean;
  readonly clientDials: boolean;
  /** Seconds behind the planned end in which the client may come back; null = it may not. */
  readonly resumeTimeoutSeconds: number | null;
}

/** Of a client that the server knows this of. */
interface Grantee {
  readonly remoteAddress: string;
  /** Null without TLS. */
  readonly keyingMaterial: Uint8Array | null;
}

export function grantOf(configuration: Configuration, { remoteAddress, keyingMaterial }: Grantee): Grant {
  const { role, family, extensions } = configuration;
  // Nor can a UDP socket of its own be connected to an address whose interface is not known.
  const isAble = hasOwnSockets() && !(family === "udp" && isLinkLocal(remoteAddress));
  // No Worker can go on with a connection to the control port that has begun with TLS.
  const takesData = isAble && !(family === "tcp" && keyingMaterial !== null);
  const singlePort = takesData && (extensions?.singlePort ?? false);
  const isKnownToEnd = role === "upload" || typeof configuration.extensions?.durationSeconds === "number";
  return {
    // A receiver that waits for a count, and not for data, must know when to give up.
    accounting: family === "udp" && isKnownToEnd && (extensions?.accounting ?? false),
    singlePort,
    clientDials: role === "upload" && isAble && (singlePort || (configuration.extensions?.clientDials ?? false)),
    // Of a test without a known end nobody could say how long to wait.
    resumeTimeoutSeconds: isKnownToEnd ? (extensions?.resumeTimeoutSeconds ?? null) : null,
  };
}

/** How long behind the planned end something of the streams may still come. */
export function drainSecondsOf({ resumeTimeoutSeconds }: Pick<Grant, "resumeTimeoutSeconds">): number {
  return Math.min(resumeTimeoutSeconds ?? MOST_DRAIN_SECONDS, MOST_DRAIN_SECONDS);
}

/** What each stream will carry; 0 = no limit, null = not known. */
export function rateOf(configuration: Configuration): number | null {
  if (configuration.role === "upload") return configuration.bandwidthBytesPerSecond;
  return configuration.extensions?.bandwidthBytesPerSecond ?? null;
}

/** How long the test is to take; null where an older client does not tell. */
export function plannedSecondsOf(configuration: Configuration): number | null {
  if (configuration.role === "upload") return configuration.durationSeconds;
  return configuration.extensions?.durationSeconds ?? null;
}

/** The answer; null to an original client. */
export function answerOf(
  configuration: Configuration,
  grant: Grant,
  { ports, token }: { readonly ports: readonly number[] } & ResumeGrant,
): Extensions | null {
  const { extensions } = configuration;
  if (extensions === null) return null;
  return {
    version: EXTENSION_VERSION,
    omitSeconds: extensions.omitSeconds,
    accounting: grant.accounting,
    singlePort: grant.singlePort,
    dialPorts: grant.clientDials ? ports : null,
    resume: grant.resumeTimeoutSeconds === null ? null : { token },
    intervalSeconds: extensions.intervalSeconds,
  };
}

/** 128 bits that nobody guesses. */
export function newToken(): string {
  return crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)).toHex();
}
