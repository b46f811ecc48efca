import { existsSync, readFileSync, readlinkSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { messageOf, RperfError, systemCodeOf } from "../errors.ts";
import { ownScript } from "./own-script.ts";

/** A file that says which process serves; of one server at a time. */
export class PidFile {
  readonly #path: string;

  /** Throws `pid-file` where a server that runs has it; one that a dead server left behind is nobody's. */
  constructor(path: string) {
    this.#path = path;
    const pid = this.#read();
    if (pid !== null && isRunningRperf(pid)) {
      throw new RperfError("pid-file", `--pid-file ${path}: a server runs already, process ${pid}`);
    }
  }

  /** Readers find the old file or the whole new one. Throws `pid-file`. */
  write(): void {
    const draft = `${this.#path}.${process.pid}`;
    try {
      // Its name can be known before: a link that somebody put there must not lead this to another file.
      rmSync(draft, { force: true });
      writeFileSync(draft, `${process.pid}\n`, { mode: 0o644, flag: "wx" });
      renameSync(draft, this.#path);
    } catch (cause) {
      rmSync(draft, { force: true });
      const why = systemCodeOf(cause) ?? messageOf(cause);
      throw new RperfError("pid-file", `--pid-file ${this.#path} cannot be written (${why})`, { cause });
    }
  }

  /** Unless another server has written it meanwhile. What the system refuses here cannot be helped. */
  remove(): void {
    try {
      if (this.#read() === process.pid) rmSync(this.#path, { force: true });
    } catch {
      return;
    }
  }

  /** Null where there is none, or what is there is none. */
  #read(): number | null {
    try {
      const text = readFileSync(this.#path, "utf8").trim();
      return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
    } catch (cause) {
      if (systemCodeOf(cause) === "ENOENT") return null;
      const why = systemCodeOf(cause) ?? messageOf(cause);
      throw new RperfError("pid-file", `--pid-file ${this.#path} cannot be read (${why})`, { cause });
    }
  }
}

/** Numbers are given out again: in a container the first process has the same one at each start. */
function isRunningRperf(pid: number): boolean {
  return pid !== process.pid && isAlive(pid) && (!existsSync("/proc/self/exe") || isSameProgram(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) === "EPERM";
  }
}

/** By the executable, and by the script where that is Bun's. What may not be looked at counts as one of ours. */
function isSameProgram(pid: number): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/exe`) !== readlinkSync("/proc/self/exe")) return false;
    const own = ownScript();
    if (own === null) return true;
    const script = realpathSync(own);
    const folder = readlinkSync(`/proc/${pid}/cwd`);
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.some((word) => {
      const path = resolve(folder, word);
      return existsSync(path) && realpathSync(path) === script;
    });
  } catch (error) {
    return systemCodeOf(error) !== "ENOENT";
  }
}
