import { EXIT_OK } from "../errors.ts";
import { createLog } from "../log.ts";
import { listenForInterrupts } from "./interrupts.ts";
import type { Invocation } from "./invocation.ts";
import type { Io } from "./io.ts";
import { logServerEvent } from "./server-event-log.ts";

type ServerInvocation = Extract<Invocation, { mode: "server" }>;

/** Serves until SIGINT or SIGTERM; gives the exit status. Rejects when it cannot listen. */
export async function runServerMode(invocation: ServerInvocation, io: Io): Promise<number> {
  const interrupted = listenForInterrupts();
  const log = createLog({
    level: invocation.isDebug ? "debug" : "info",
    colour: io.err.hasColour,
    write: (text) => io.err.write(text),
  });
  const { startServer } = await import("../index.ts");
  const server = await startServer(invocation.options, { onEvent: (event) => logServerEvent(log, event) });
  await aborted(interrupted);
  log.info("shutting down");
  await server.stop("the server is shutting down");
  return EXIT_OK;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}
