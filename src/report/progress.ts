import type { Direction } from "../results/types.ts";
import type { Interval } from "../stats/interval.ts";
import { formatRate, type RateUnit } from "../units.ts";
import { createPaint, type Paint } from "./paint.ts";
import type { TestStart } from "./reporter.ts";
import { rateOf } from "./rows.ts";
import { sparkline } from "./sparkline.ts";
import { NOTHING } from "./table.ts";

const REDRAW_MILLISECONDS = 250;
const HISTORY_LENGTH = 20;
/** Assumed where the terminal does not tell. */
const DEFAULT_COLUMNS = 80;
/** Back to the first column of a terminal, with the line empty. */
export const ERASE_LINE = "\r\x1b[2K";

interface ProgressOptions {
  readonly write: (text: string) => void;
  /** Of the terminal, asked at each redraw; 0 = not known. */
  readonly columns: () => number;
  readonly colour: boolean;
  readonly format: RateUnit;
}

/** One line on a terminal, redrawn in place from `started` until `stop`; its timer keeps no process alive. */
export interface Progress {
  started(test: TestStart): void;
  interval(direction: Direction, streamIndex: number, interval: Interval): void;
  /** Makes room for other output; the line comes back with the next redraw. */
  clear(): void;
  /** May be called again, and without `started`. */
  stop(): void;
}

export function createProgress(options: ProgressOptions): Progress {
  const paint = createPaint(options.colour);
  let timer: ReturnType<typeof setInterval> | null = null;
  let isDrawn = false;
  let rates = { forward: createRates(1), reverse: createRates(1) };

  function clear(): void {
    if (isDrawn) options.write(ERASE_LINE);
    isDrawn = false;
  }

  function stop(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
    clear();
  }

  function started({ config }: TestStart): void {
    stop();
    const startMilliseconds = performance.now();
    rates = { forward: createRates(config.parallel), reverse: createRates(config.parallel) };
    const oneWay = config.reverse ? rates.reverse : rates.forward;
    const shown = config.bidir ? [rates.forward, rates.reverse] : [oneWay];
    const draw = (): void => {
      const line = renderProgress({
        elapsedSeconds: (performance.now() - startMilliseconds) / 1000,
        totalSeconds: config.durationSeconds,
        rates: shown.map((direction) => direction.seen()),
        columns: options.columns(),
        format: options.format,
        paint,
      });
      options.write(ERASE_LINE + line);
      isDrawn = true;
    };
    timer = setInterval(draw, REDRAW_MILLISECONDS);
    timer.unref();
    draw();
  }

  return {
    started,
    interval: (direction, streamIndex, interval) => rates[direction].add(streamIndex, interval),
    clear,
    stop,
  };
}

/** Rates over all streams: the last of each stream, and how their sum went. */
interface SeenRates {
  /** Null before the first interval. */
  readonly nowBytesPerSecond: number | null;
  /** Oldest first. */
  readonly history: readonly number[];
}

interface ProgressView {
  readonly elapsedSeconds: number;
  readonly totalSeconds: number;
  /** Of the one direction, or of forward and reverse. */
  readonly rates: readonly SeenRates[];
  readonly columns: number;
  readonly format: RateUnit;
  readonly paint: Paint;
}

/** What names the rates of two directions. */
const WAYS = ["fwd ", "rev "];

/**
 * Elapsed of total time, the rate now, and the course of a single one, in at most `columns` columns; what does not fit is
 * left out.
 */
export function renderProgress(view: ProgressView): string {
  const columns = view.columns > 0 ? view.columns : DEFAULT_COLUMNS;
  const time = `${view.elapsedSeconds.toFixed(1)} of ${view.totalSeconds.toFixed(1)} s`;
  const isOneWay = view.rates.length === 1;
  const rates = view.rates.map((seen, index) => `${isOneWay ? "" : (WAYS[index] ?? "")}${rateText(seen, view.format)}`);
  const text = [time, ...rates].join("  ");
  if (Bun.stringWidth(text) > columns) return Bun.stringWidth(time) > columns ? "" : view.paint("title", time);
  const room = Math.max(0, columns - Bun.stringWidth(text) - 2);
  const history = isOneWay ? (view.rates[0]?.history ?? []) : [];
  const course = room === 0 ? "" : sparkline(history.slice(-Math.min(room, HISTORY_LENGTH)));
  return view.paint("title", text) + (course === "" ? "" : `  ${view.paint("quiet", course)}`);
}

function rateText({ nowBytesPerSecond }: SeenRates, unit: RateUnit): string {
  if (nowBytesPerSecond !== null) return formatRate(nowBytesPerSecond, unit);
  return `${NOTHING} ${unit === "megabit" ? "Mb/s" : "MB/s"}`;
}

/** Follows the receivers, or the senders until a receiver tells something. */
function createRates(parallel: number): {
  add(streamIndex: number, interval: Interval): void;
  seen(): SeenRates;
} {
  const sent = new RateTrack(parallel);
  const received = new RateTrack(parallel);
  return {
    add(streamIndex, interval) {
      const bytes = interval.kind === "send" ? interval.bytesSent : interval.bytesReceived;
      const rate = rateOf(bytes, interval.durationSeconds);
      if (rate !== null) (interval.kind === "send" ? sent : received).add(streamIndex, rate);
    },
    seen: () => (received.hasRates ? received : sent).seen(),
  };
}

/** Rounds a stream may stay silent before its last rate counts no more: it has ended, or hangs. */
const SILENT_ROUNDS = 2;

class RateTrack {
  readonly #parallel: number;
  readonly #lastByStream = new Map<number, { readonly bytesPerSecond: number; silentRounds: number }>();
  readonly #round = new Set<number>();
  #history: number[] = [];

  constructor(parallel: number) {
    this.#parallel = parallel;
  }

  get hasRates(): boolean {
    return this.#lastByStream.size > 0;
  }

  /** A round is over when every stream has told its interval, or one tells its next while another is silent. */
  add(streamIndex: number, bytesPerSecond: number): void {
    if (this.#round.has(streamIndex)) this.#closeRound();
    this.#lastByStream.set(streamIndex, { bytesPerSecond, silentRounds: 0 });
    this.#round.add(streamIndex);
    if (this.#round.size >= this.#parallel) this.#closeRound();
  }

  seen(): SeenRates {
    return { nowBytesPerSecond: this.hasRates ? this.#total() : null, history: this.#history };
  }

  #closeRound(): void {
    for (const [streamIndex, last] of this.#lastByStream) {
      if (this.#round.has(streamIndex)) continue;
      last.silentRounds++;
      if (last.silentRounds >= SILENT_ROUNDS) this.#lastByStream.delete(streamIndex);
    }
    this.#history = [...this.#history, this.#total()].slice(-HISTORY_LENGTH);
    this.#round.clear();
  }

  #total(): number {
    let total = 0;
    for (const { bytesPerSecond } of this.#lastByStream.values()) total += bytesPerSecond;
    return total;
  }
}
