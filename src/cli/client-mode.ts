import type { ClientEvent } from "../client/events.ts";
import { systemClock } from "../clock.ts";
import { EXIT_FAILED, EXIT_OK, messageOf, RperfError } from "../errors.ts";
import { createLog, type Log } from "../log.ts";
import type { Progress } from "../report/progress.ts";
import type { Reporter, TestStart } from "../report/reporter.ts";
import type { Reason } from "../results/types.ts";
import { formatSeconds, type RateUnit } from "../units.ts";
import type { ClientFormat } from "./format.ts";
import { listenForInterrupts } from "./interrupts.ts";
import type { Invocation } from "./invocation.ts";
import type { Io } from "./io.ts";

type ClientInvocation = Extract<Invocation, { mode: "client" }>;

/** Runs one test and prints it; gives the exit status. Rejects when the test cannot begin. */
export async function runClientMode(invocation: ClientInvocation, io: Io): Promise<number> {
  const interrupted = listenForInterrupts();
  const { format, isDebug } = invocation;
  const { level, format: style } = invocation.log;
  const progress = io.err.isTerminal ? await loadProgress(format, io) : null;
  const reporter = await loadReporter(format, isDebug, io, progress);
  const log = createLog({
    level,
    style,
    colour: io.err.hasColour,
    write(text) {
      progress?.clear();
      io.err.write(text);
    },
  });
  const { runClient } = await import("../index.ts");
  try {
    const result = await runClient(invocation.options, {
      signal: AbortSignal.any([interrupted, io.out.ended]),
      onEvent: clientEventHandler(reporter, progress, log),
    });
    progress?.stop();
    reporter.finished(result);
    // The text says so itself; a program that reads the JSON leaves stderr to a person.
    if (isJson(format) && result.reason !== null) log.error(result.reason.message);
    return result.success ? EXIT_OK : EXIT_FAILED;
  } catch (error) {
    reporter.failed?.(reasonOf(error));
    throw error;
  } finally {
    progress?.stop();
  }
}

async function loadProgress(format: ClientFormat, io: Io): Promise<Progress> {
  const { createProgress } = await import("../report/progress.ts");
  return createProgress({
    write: (text) => io.err.write(text),
    columns: () => io.err.columns(),
    colour: io.err.hasColour,
    format: rateUnitOf(format),
  });
}

async function loadReporter(
  format: ClientFormat,
  isDebug: boolean,
  io: Io,
  progress: Progress | null,
): Promise<Reporter> {
  // Both streams may be the same terminal, so the progress line makes room for each result.
  const write = (text: string): void => {
    progress?.clear();
    io.out.write(text);
  };
  if (format === "json") {
    const { createJsonReporter } = await import("../report/json.ts");
    return createJsonReporter({ write });
  }
  if (format === "json-stream") {
    const { createJsonStreamReporter } = await import("../report/json-stream.ts");
    const clock = systemClock();
    return createJsonStreamReporter({ write, wallSeconds: () => clock.wallSecondsOf(clock.monotonicSeconds()) });
  }
  const { createTextReporter } = await import("../report/text.ts");
  return createTextReporter({ write, format, colour: io.out.hasColour, debug: isDebug });
}

/** Hands each event of a test to whoever shows it. */
function clientEventHandler(reporter: Reporter, progress: Progress | null, log: Log): (event: ClientEvent) => void {
  let test: TestStart | null = null;
  return (event) => {
    switch (event.type) {
      case "connected":
        test = event;
        log.debug(`connected to ${event.address} port ${event.port}`);
        return;
      case "queued":
        log.warn(queuedLine(event.place, event.waitSeconds));
        reporter.queued?.(event.place, event.waitSeconds);
        return;
      case "started":
        if (test === null) return;
        reporter.started(test);
        progress?.started(test);
        return;
      case "interval":
        progress?.interval(event.direction, event.streamIndex, event.interval);
        reporter.interval(event.direction, event.streamIndex, event.interval);
        return;
      case "stream-ended":
        log.debug(
          `${event.direction} stream ${event.streamIndex} ended on the ${event.side}: ${event.failure ?? "complete"}`,
        );
        reporter.sideEnded(event.direction, event.streamIndex, event.side, event.failure);
        return;
      case "outage":
        log.warn(event.message);
        reporter.outage?.(event.message);
        return;
      case "resumed":
        log.warn(`the control connection is back after ${formatSeconds(event.outageSeconds)}`);
        reporter.resumed?.(event.outageSeconds);
        return;
      case "warning":
        log.warn(event.message);
        return;
      case "debug":
        log.debug(event.message);
        return;
    }
  };
}

function queuedLine(place: number, waitSeconds: number | null): string {
  const expected = waitSeconds === null ? "" : `, about ${waitSeconds} s`;
  return `waiting for a place: ${ordinal(place)} in the queue${expected}`;
}

/** 1st, 2nd, 3rd, 4th, 11th, 21st … */
function ordinal(place: number): string {
  const isTeen = place % 100 >= 11 && place % 100 <= 13;
  const suffix = isTeen ? "th" : (["th", "st", "nd", "rd"][place % 10] ?? "th");
  return `${place}${suffix}`;
}

function reasonOf(error: unknown): NonNullable<Reason> {
  return { code: error instanceof RperfError ? error.code : "internal", message: messageOf(error) };
}

function isJson(format: ClientFormat): format is "json" | "json-stream" {
  return format === "json" || format === "json-stream";
}

function rateUnitOf(format: ClientFormat): RateUnit {
  return isJson(format) ? "megabit" : format;
}
