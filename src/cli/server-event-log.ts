import type { Log } from "../log.ts";
import type { ServerEvent } from "../server/events.ts";

/** One line for each event of a server. */
export function logServerEvent(log: Log, event: ServerEvent): void {
  switch (event.type) {
    case "listening":
      log.info(`listening on ${event.address} port ${event.port}`);
      return;
    case "test-configured":
      log.info(`${event.client}: ${event.family.toUpperCase()} ${event.direction}, ${streams(event.streams)}`);
      return;
    case "test-started":
      log.info(`${event.client}: test started`);
      return;
    case "client-lost":
      log.warn(`${event.client}: ${event.message}; its test goes on`);
      return;
    case "client-resumed":
      log.info(`${event.client}: its client is back`);
      return;
    case "client-refused":
      log.warn(`${event.client}: refused: ${event.message}`);
      return;
    case "client-ended":
      log.info(`${event.client}: ended: ${event.message}`);
      return;
    case "warning":
      log.warn(about(event.client, event.message));
      return;
    case "debug":
      log.debug(about(event.client, event.message));
      return;
  }
}

function streams(count: number): string {
  return count === 1 ? "1 stream" : `${count} streams`;
}

function about(client: string | null, message: string): string {
  return client === null ? message : `${client}: ${message}`;
}
