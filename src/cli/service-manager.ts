import { monotonicMicroseconds, openUnixDatagrams } from "../../ffi/unix-datagrams.ts";

/** What a service manager hears of a server (sd_notify(3)); nothing where none asks. */
export interface ServiceManager {
  /** Clients can connect, for the first time or after a reload. */
  ready(): void;
  reloading(): void;
  stopping(): void;
}

/** Of this process: the manager has put `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` there. */
type Environment = Readonly<Record<string, string | undefined>>;

const NOBODY: ServiceManager = { ready() {}, reloading() {}, stopping() {} };

/**
 * From the first `ready` on a watchdog is told that this process's event loop goes round, twice in its time
 * (sd_watchdog_enabled(3)). `warn` hears why nothing can be told.
 */
export function openServiceManager(environment: Environment, warn: (message: string) => void): ServiceManager {
  const address = environment["NOTIFY_SOCKET"];
  if (address === undefined || address === "") return NOBODY;
  const opened = openUnixDatagrams(address);
  if (!opened.ok) {
    warn(`NOTIFY_SOCKET: ${opened.message}`);
    return NOBODY;
  }
  let hasFailed = false;
  const tell = (...lines: readonly string[]): void => {
    const sent = opened.value.send(lines.join("\n"));
    if (!sent.ok && !hasFailed) warn(`NOTIFY_SOCKET: ${sent.message}`);
    hasFailed = !sent.ok;
  };
  const watchdogMs = watchdogMsOf(environment);
  let watchdog: Timer | null = null;
  return {
    ready() {
      tell("READY=1");
      if (watchdogMs !== null) watchdog ??= setInterval(() => tell("WATCHDOG=1"), watchdogMs / 2);
    },
    reloading() {
      const now = monotonicMicroseconds();
      tell("RELOADING=1", ...(now === null ? [] : [`MONOTONIC_USEC=${now}`]));
    },
    // The watchdog goes on: a server that hangs while it ends is found too.
    stopping: () => tell("STOPPING=1"),
  };
}

/** Null = nobody watches this process. */
function watchdogMsOf(environment: Environment): number | null {
  const { WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid } = environment;
  if (pid !== undefined && pid !== String(process.pid)) return null;
  return /^[1-9]\d*$/.test(microseconds ?? "") ? Number(microseconds) / 1000 : null;
}
