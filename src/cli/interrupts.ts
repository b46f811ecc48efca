import { EXIT_FORCED } from "../errors.ts";

/**
 * Listens for the signals that end the program, from now until it ends. The first SIGINT or SIGTERM aborts the
 * returned signal; a SIGINT after that ends the process at once.
 */
export function listenForInterrupts(): AbortSignal {
  const controller = new AbortController();
  process.on("SIGINT", () => {
    if (controller.signal.aborted) process.exit(EXIT_FORCED);
    controller.abort();
  });
  process.on("SIGTERM", () => controller.abort());
  return controller.signal;
}
