import { EXIT_FORCED } from "../errors.ts";

/** What an operator may ask of a running server, again and again. */
export interface ServerSignals {
  /** Aborted at the first SIGTERM: tests that run may come to their end. */
  readonly drain: AbortSignal;
  /** Aborted at a SIGINT, or a second SIGTERM: everything ends now, and clients hear why. */
  readonly stop: AbortSignal;
  /** At each SIGHUP, and at once where one came before. */
  onReload(reload: () => void): void;
}

/** Listens for signals from now on until the process ends. A SIGINT behind the one that stops it ends it at once. */
export function listenForServerSignals(): ServerSignals {
  const drain = new AbortController();
  const stop = new AbortController();
  let isReloadDue = false;
  let reload = (): void => void (isReloadDue = true);
  process.on("SIGINT", () => {
    if (stop.signal.aborted) process.exit(EXIT_FORCED);
    stop.abort();
  });
  process.on("SIGTERM", () => (drain.signal.aborted ? stop : drain).abort());
  // By itself it would end the process, also before there is anything to reload.
  process.on("SIGHUP", () => reload());
  return {
    drain: drain.signal,
    stop: stop.signal,
    onReload(onReload) {
      reload = onReload;
      if (isReloadDue) reload();
    },
  };
}
