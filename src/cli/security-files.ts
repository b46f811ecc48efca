import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { type Key, KEY_VARIABLE, type Keys, parseKey, parseKeys } from "../config/keys.ts";
import type { TlsIdentity } from "../config/tls.ts";
import { messageOf, RperfError } from "../errors.ts";

/** Whatever others than the owner and the group may do, and the group's writing. */
const OPEN_TO_OTHERS = 0o027;

/** All keys of a file, which only its owner, and a group that reads, may get at. Throws `usage`. */
export function readKeyFile(path: string): Keys {
  return parseKeys(readSecret("--key-file", path), path);
}

/** Those of the file, or else the one of the environment; none where neither is there. */
export function readKeys(path: string | undefined, variable: string | undefined): Keys {
  if (path !== undefined) return readKeyFile(path);
  if (variable === undefined || variable === "") return new Map();
  const { id, secret } = parseKey(variable, KEY_VARIABLE);
  return new Map([[id, secret]]);
}

/** The one that a client uses: the first. */
export function firstKey(keys: Keys): Key | null {
  const [first] = keys;
  return first === undefined ? null : { id: first[0], secret: first[1] };
}

/** Where what a server proves itself by is read from. */
export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
}

/** What the files hold, not looked at yet. Throws `usage`. */
export function readTlsIdentity({ cert, key }: TlsPaths): TlsIdentity {
  return { cert: readText("--tls-cert", cert), key: readSecret("--tls-key", key) };
}

/** The text of a file that holds a secret; `flag` names it in errors. Throws `usage`. */
function readSecret(flag: string, path: string): string {
  return readOpened(flag, path, (fd) => {
    const { mode } = fstatSync(fd);
    // Windows has no such modes: there every file seems open to all.
    if (process.platform !== "win32" && (mode & OPEN_TO_OTHERS) !== 0) {
      const shown = (mode & 0o777).toString(8).padStart(4, "0");
      throw new RperfError("usage", `${flag} ${path} is open to others (mode ${shown}); run: chmod 600 ${path}`);
    }
  });
}

/** The text of a file; `flag` names it in errors. Throws `usage`. */
export function readText(flag: string, path: string): string {
  return readOpened(flag, path, () => {});
}

/** What is checked is what is read, whatever becomes of the path meanwhile. */
function readOpened(flag: string, path: string, check: (fd: number) => void): string {
  let fd: number | null = null;
  try {
    fd = openSync(path, "r");
    check(fd);
    return readFileSync(fd, "utf8");
  } catch (cause) {
    if (cause instanceof RperfError) throw cause;
    throw new RperfError("usage", `${flag} ${path} cannot be read: ${messageOf(cause)}`, { cause });
  } finally {
    if (fd !== null) closeSync(fd);
  }
}
