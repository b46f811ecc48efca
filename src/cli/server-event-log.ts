import type { Log, LogLevel } from "../log.ts";
import type { ServerEvent } from "../server/events.ts";

/** An event as a line for a person, without the client whose it is. */
export interface EventLine {
  readonly level: LogLevel;
  readonly text: string;
}

/** One line for each event of a server. */
export function lineOf(event: ServerEvent): EventLine {
  switch (event.type) {
    case "listening":
      return { level: "info", text: `listening on ${event.address} port ${event.port}` };
    case "test-configured":
      return {
        level: "info",
        text: `${event.family.toUpperCase()} ${event.direction}, ${streams(event.streams)}`,
      };
    case "test-started":
      return { level: "info", text: "test started" };
    case "client-lost":
      return { level: "warn", text: `${event.message}; its test goes on` };
    case "client-resumed":
      return { level: "info", text: "its client is back" };
    case "client-refused":
      return { level: "warn", text: `refused: ${event.message}` };
    case "client-ended":
      return { level: "info", text: `ended: ${event.message}` };
    case "internal-error":
      return { level: "error", text: `internal error: ${event.message}` };
    case "warning":
      return { level: "warn", text: event.message };
    case "debug":
      return { level: "debug", text: event.message };
  }
}

/** A program that reads the log gets the event as it is. */
export function logServerEvent(log: Log, event: ServerEvent, line = lineOf(event)): void {
  const client = "client" in event ? event.client : null;
  const { type, ...fields } = event;
  log[line.level](client === null ? line.text : `${client}: ${line.text}`, {
    event: type,
    client,
    message: line.text,
    ...fields,
  });
}

function streams(count: number): string {
  return count === 1 ? "1 stream" : `${count} streams`;
}
