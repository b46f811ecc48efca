import { fstatSync } from "node:fs";
import type { Clock } from "../clock.ts";
import { createLog, isLogged, type LogLevel, type LogStyle } from "../log.ts";
import type { ServerEvent } from "../server/events.ts";
import type { LogFormat } from "./format.ts";
import { type HeldBack, kindOf, LogBounds } from "./log-bounds.ts";
import type { Output } from "./output.ts";
import { lineOf, logServerEvent } from "./server-event-log.ts";

/** What may wait for a reader of the log that has stopped reading: some thousand lines. */
const MOST_PENDING_CHARS = 256 * 1024;

/** The log of a server that runs for months: no peer, and no reader that is slow or gone, can make it large or slow. */
export interface ServerLog {
  event(event: ServerEvent): void;
  line(level: LogLevel, message: string): void;
  /** Tells what was held back so far. */
  finish(): void;
}

export interface ServerLogOptions {
  readonly level: LogLevel;
  readonly style: LogStyle;
  readonly output: Output;
  readonly clock: Clock;
}

export function createServerLog({ level, style, output, clock }: ServerLogOptions): ServerLog {
  const bounds = new LogBounds<ServerEvent>();
  let lostLines = 0;
  let toldFailures = 0;
  let timer: Timer | null = null;

  const log = createLog({ level, style, colour: output.hasColour, write });

  function write(text: string): void {
    if (output.pendingChars > MOST_PENDING_CHARS) {
      lostLines++;
      return;
    }
    const lost = lostLines + output.failedWrites - toldFailures;
    lostLines = 0;
    toldFailures = output.failedWrites;
    if (lost > 0) log.warn(`${grouped(lost)} lines of this log are lost: nobody took them`, { lost });
    output.write(text);
  }

  function tellHeldBack(heldBack: readonly HeldBack<ServerEvent>[]): void {
    for (const { count, last } of heldBack) {
      const line = lineOf(last);
      const message = `… and ${grouped(count)} more like it within a second: ${line.text}`;
      log[line.level](message, { event: last.type, client: null, more: count });
    }
  }

  function armTimer(): void {
    const { dueSeconds } = bounds;
    if (timer !== null || dueSeconds === null) return;
    const expire = (): void => {
      timer = null;
      tellHeldBack(bounds.take(clock.monotonicSeconds()));
      // It may have been early, or something else is held back by now.
      armTimer();
    };
    timer = setTimeout(expire, Math.max(1, (dueSeconds - clock.monotonicSeconds()) * 1000));
  }

  return {
    event(event) {
      const line = lineOf(event);
      if (!isLogged(line.level, level)) return;
      const nowSeconds = clock.monotonicSeconds();
      tellHeldBack(bounds.take(nowSeconds));
      if (bounds.passes(`${event.type} ${kindOf(line.text)}`, event, nowSeconds)) logServerEvent(log, event, line);
      else armTimer();
    },
    line: (lineLevel, message) => log[lineLevel](message),
    finish() {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      tellHeldBack(bounds.take(Infinity));
    },
  };
}

/** Text for systemd's journal where standard error is that (systemd.exec(5), JOURNAL_STREAM). */
export function logStyleOf(format: LogFormat, journalStream: string | undefined): LogStyle {
  return format === "text" && journalStream !== undefined && journalStream === standardErrorStream()
    ? "journal"
    : format;
}

function standardErrorStream(): string | null {
  try {
    const { dev, ino } = fstatSync(2);
    return `${dev}:${ino}`;
  } catch {
    return null;
  }
}

function grouped(count: number): string {
  return count.toLocaleString("en-US");
}
