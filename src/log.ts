import { styleText } from "node:util";
import { createConsola, type LogObject, LogLevels, type LogType } from "consola/core";

/** The least urgent kind of line that is still written. */
export type LogLevel = "warn" | "info" | "debug";

/** Plain lines for a person; results never go here. */
export interface Log {
  error(message: string): void;
  warn(message: string): void;
  info(message: string): void;
  debug(message: string): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** Takes whole lines, meant for stderr. */
  readonly write: (text: string) => void;
  readonly colour: boolean;
}

const COLOURS: Partial<Record<LogType, "red" | "yellow" | "gray">> = { error: "red", warn: "yellow", debug: "gray" };

/** Lines such as "[12:34:56] warn text", in local time. */
export function createLog(options: LogOptions): Log {
  const consola = createConsola({
    level: LogLevels[options.level],
    // Equal lines are not held back: each one is an event.
    throttle: 0,
    reporters: [{ log: (entry) => options.write(formatEntry(entry, options.colour)) }],
  });
  return {
    error: (message) => consola.error(message),
    warn: (message) => consola.warn(message),
    info: (message) => consola.info(message),
    debug: (message) => consola.debug(message),
  };
}

/**
 * Makes text from elsewhere, a peer or an argument, safe on a terminal and in a log: control characters, line ends
 * and those that turn the direction of writing become visible escapes.
 */
export function escapeControls(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

function formatEntry(entry: LogObject, colour: boolean): string {
  const name = COLOURS[entry.type];
  // The caller has decided on colour, so the process's own stdout is not asked again.
  const level = colour && name !== undefined ? styleText(name, entry.type, { validateStream: false }) : entry.type;
  const time = entry.date.toTimeString().slice(0, 8);
  return `[${time}] ${level} ${escapeControls(entry.args.map(String).join(" "))}\n`;
}
