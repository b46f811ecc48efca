import { styleText } from "node:util";
import { createConsola, type LogObject, LogLevels, type LogType } from "consola/core";
import { escapeControls, safeJson } from "./safe-text.ts";

/** From the most urgent kind of line to the least. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;

/** The least urgent kind of line that is still written. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * For a person, with time and level; for a program, one JSON object a line; or for systemd's journal, which has the time
 * itself and takes the level from the front of a line (sd-daemon(3)).
 */
export type LogStyle = "text" | "json" | "journal";

/** What a program that reads the log gets beside the text. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Plain lines; results never go here. `fields` are seen in JSON alone; a `message` among them stands for the text there. */
export type Log = Readonly<Record<LogLevel, (message: string, fields?: LogFields) => void>>;

export interface LogOptions {
  readonly level: LogLevel;
  /** Takes whole lines, meant for stderr. */
  readonly write: (text: string) => void;
  readonly colour: boolean;
  /** `text` unless told. */
  readonly style?: LogStyle;
}

const COLOURS: Partial<Record<LogType, "red" | "yellow" | "gray">> = { error: "red", warn: "yellow", debug: "gray" };

/** The numbers of syslog(3). */
const PRIORITIES: Partial<Record<LogType, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/** Whether a line of this level is written by a log whose least urgent level is `least`. */
export function isLogged(level: LogLevel, least: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(least);
}

/** Lines such as "[12:34:56] warn text", in local time; or of another style. */
export function createLog(options: LogOptions): Log {
  const consola = createConsola({
    level: LogLevels[options.level],
    // Equal lines are not held back: each one is an event.
    throttle: 0,
    reporters: [{ log: (entry) => options.write(`${formatEntry(entry, options)}\n`) }],
  });
  return {
    error: (message, fields) => consola.error(message, fields),
    warn: (message, fields) => consola.warn(message, fields),
    info: (message, fields) => consola.info(message, fields),
    debug: (message, fields) => consola.debug(message, fields),
  };
}

function formatEntry({ type, date, args }: LogObject, { style = "text", colour }: LogOptions): string {
  const [message, fields] = args;
  const text = escapeControls(String(message));
  switch (style) {
    case "text": {
      const name = COLOURS[type];
      // The caller has decided on colour, so the process's own stdout is not asked again.
      const level = colour && name !== undefined ? styleText(name, type, { validateStream: false }) : type;
      return `[${date.toTimeString().slice(0, 8)}] ${level} ${text}`;
    }
    case "journal":
      return `<${PRIORITIES[type] ?? PRIORITIES.info}>${text}`;
    case "json":
      return safeJson({ time: date.toISOString(), level: type, message, ...fields });
  }
}
