import { deepFreeze } from "./freeze.ts";
import type { Family } from "./types.ts";

/** Whether a client must prove that it has a key: nobody is asked, whoever wants may, everybody must. */
export type AuthMode = "off" | "optional" | "required";

/** Forward: the client sends. */
export type TestDirection = "forward" | "reverse";

/** What the clients of one class may have; null = no limit. */
export interface ClassLimits {
  readonly name: string;
  /** Tests at the same time, of all clients of the class, and of one address. */
  readonly clients: number | null;
  readonly clientsPerAddress: number | null;
  /** Of one test, both directions together. */
  readonly streams: number | null;
  readonly durationSeconds: number | null;
  /** Of one test in one direction, all streams together. */
  readonly bytesPerSecond: number | null;
  /** Of one client (by key, or else by address) in 24 hours, both directions together. */
  readonly bytesPerDay: number | null;
  readonly directions: readonly TestDirection[];
  readonly families: readonly Family[];
}

/** Which class a client is of: the first rule that fits decides. */
export interface IdentityRule {
  /** Addresses such as 192.0.2.0/24 or 2001:db8::/32; null when the rule goes by key. */
  readonly network: string | null;
  /** Id of a key; null when the rule goes by address. */
  readonly keyId: string | null;
  readonly className: string;
}

/** Who may do what on a server; can be put in the place of another while the server runs. */
export interface Policy {
  /** Tests at the same time; 0 = any number. */
  readonly clientLimit: number;
  /** Tests that may wait for a place; 0 = none. */
  readonly queueLimit: number;
  readonly auth: AuthMode;
  /** Secrets by their ids. */
  readonly keys: ReadonlyMap<string, Uint8Array>;
  readonly classes: readonly ClassLimits[];
  readonly rules: readonly IdentityRule[];
  /** The class of whom no rule fits; null = such a client is refused. */
  readonly defaultClass: string | null;
  /** Whether a reverse test as in 0.1.8 may go to ports below 1024. */
  readonly allowsLowPorts: boolean;
}

/** Any test of anybody. */
export const UNLIMITED: ClassLimits = deepFreeze<ClassLimits>({
  name: "unlimited",
  clients: null,
  clientsPerAddress: null,
  streams: null,
  durationSeconds: null,
  bytesPerSecond: null,
  bytesPerDay: null,
  directions: ["forward", "reverse"],
  families: ["tcp", "udp"],
});

/** Anybody's test on a server that is open to all: enough for a look at a line, and bounded in all ways. */
export const PUBLIC: ClassLimits = deepFreeze<ClassLimits>({
  name: "public",
  clients: 20,
  clientsPerAddress: 1,
  streams: 16,
  durationSeconds: 60,
  bytesPerSecond: 50e6 / 8,
  bytesPerDay: 10e9,
  directions: ["forward", "reverse"],
  families: ["tcp", "udp"],
});
