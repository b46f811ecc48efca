import { dirname, resolve } from "node:path";
import { type PolicyFile, parsePolicyFile } from "../config/policy-file.ts";
import type { Policy } from "../config/policy.ts";
import { makePolicy, type ServerOptions } from "../config/server-config.ts";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { readKeyFile } from "./security-files.ts";

/** What flags and the policy file say of a server together. */
export interface LoadedOptions {
  readonly options: ServerOptions;
  /** The key file that the policy file names, from which the keys are then; null = none. */
  readonly keyPath: string | null;
}

/** What a flag can say too; a setting in both places would be in vain in one of them. */
const TWICE = [
  { field: "clientLimit", names: "--client-limit and client_limit" },
  { field: "queueLimit", names: "--queue and queue" },
  { field: "auth", names: "--auth and auth" },
  { field: "allowsLowPorts", names: "--allow-low-ports and allow_low_ports" },
] as const satisfies { readonly field: keyof PolicyFile["options"]; readonly names: string }[];

/**
 * Reads the policy file, if there is one, and puts what it says beside the flags. Rejects with `usage` that names the file
 * when it cannot be read, is not what it should be, or says what a flag says too.
 */
export async function loadOptions(flags: ServerOptions, policyPath: string | null): Promise<LoadedOptions> {
  if (policyPath === null) return { options: flags, keyPath: null };
  const { options, keyFile } = parsePolicyFile(policyPath, await read(policyPath));
  for (const { field, names } of TWICE) {
    if (options[field] === undefined || flags[field] === undefined || flags[field] === false) continue;
    throw new RperfError("usage", `${names} of ${policyPath} exclude each other`);
  }
  const keyPath = keyFile === undefined ? null : resolve(dirname(policyPath), keyFile);
  if (keyPath !== null && (flags.keys?.size ?? 0) > 0) {
    throw new RperfError("usage", `--key-file (or RPERF_KEY) and key_file of ${policyPath} exclude each other`);
  }
  return {
    options: {
      ...flags,
      clientLimit: options.clientLimit ?? flags.clientLimit,
      queueLimit: options.queueLimit ?? flags.queueLimit,
      auth: options.auth ?? flags.auth,
      allowsLowPorts: options.allowsLowPorts ?? flags.allowsLowPorts,
      classes: options.classes,
      identities: options.identities,
      defaultClass: options.defaultClass,
      keys: keyPath === null ? flags.keys : readKeyFile(keyPath),
    },
    keyPath,
  };
}

/** The policy in force from now on, its files read again, also the one of --key-file. Rejects as above. */
export async function loadPolicy(
  flags: ServerOptions,
  policyPath: string | null,
  keyPath: string | null = null,
): Promise<Policy> {
  const current = keyPath === null ? flags : { ...flags, keys: readKeyFile(keyPath) };
  return makePolicy((await loadOptions(current, policyPath)).options);
}

async function read(path: string): Promise<string> {
  try {
    return await Bun.file(path).text();
  } catch (cause) {
    throw new RperfError("usage", `${path} cannot be read: ${systemCodeOf(cause) ?? messageOf(cause)}`, { cause });
  }
}
