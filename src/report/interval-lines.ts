import type { TestConfig } from "../config/types.ts";
import type { Side } from "../results/types.ts";
import type { Interval, ReceiveInterval, SendInterval } from "../stats/interval.ts";
import { type Placed, type Row, rowOfIntervals, sumRows } from "./rows.ts";

/** How many intervals one side may be ahead before a line goes out without the other. */
const PATIENCE_INTERVALS = 2;

/**
 * Joins what the two sides of each stream tell into rows, in order within a stream, and sums every interval once all
 * streams have shown it. Every call returns the rows that are due by it.
 */
export interface IntervalLines {
  add(streamIndex: number, interval: Interval): Row[];
  sideEnded(streamIndex: number, side: Side): Row[];
  /** Nothing more comes: all that is held back. */
  flush(): Row[];
}

class Track<T extends Interval> {
  readonly placed: Placed<T>[] = [];
  hasEnded = false;

  push(interval: T): Placed<T> {
    const startSeconds = this.placed.at(-1)?.endSeconds ?? 0;
    const placed = { interval, startSeconds, endSeconds: startSeconds + interval.durationSeconds };
    this.placed.push(placed);
    return placed;
  }
}

class StreamLines {
  readonly send = new Track<SendInterval>();
  readonly receive = new Track<ReceiveInterval>();
  /** Index of the next interval to show. */
  next = 0;

  get isShown(): boolean {
    const { send, receive, next } = this;
    return send.hasEnded && receive.hasEnded && next >= Math.max(send.placed.length, receive.placed.length);
  }

  get isNextDue(): boolean {
    return isDue(this.send, this.receive, this.next) || isDue(this.receive, this.send, this.next);
  }
}

/** Whether `track` has the interval, and the other side has it too or is not to be waited for. */
function isDue(track: Track<Interval>, other: Track<Interval>, index: number): boolean {
  const count = track.placed.length;
  return count > index && (other.placed.length > index || other.hasEnded || count > index + PATIENCE_INTERVALS);
}

/** `suffix` ends every label. */
export function createIntervalLines(
  config: Pick<TestConfig, "parallel" | "reverse" | "omitSeconds">,
  suffix: string,
): IntervalLines {
  const streams: readonly StreamLines[] = Array.from({ length: config.parallel }, () => new StreamLines());
  const sums = new SumLines(streams, `sum${suffix}`);

  function labelOf(streamIndex: number): string {
    return `${streamIndex}${suffix}`;
  }

  function rowsDue(streamIndex: number, stream: StreamLines): Row[] {
    const rows: Row[] = [];
    for (; stream.isNextDue; stream.next++) {
      const send = stream.send.placed[stream.next] ?? null;
      const receive = stream.receive.placed[stream.next] ?? null;
      const row = rowOfIntervals(labelOf(streamIndex), send, receive, config.omitSeconds);
      sums.add(stream.next, row);
      rows.push(row);
    }
    return [...rows, ...sums.due()];
  }

  /** A line whose turn has passed shows what came late, and enters no sum: that has been shown. */
  function lateRow(streamIndex: number, stream: StreamLines, interval: Interval): Row {
    const send = interval.kind === "send" ? stream.send.push(interval) : null;
    const receive = interval.kind === "receive" ? stream.receive.push(interval) : null;
    return rowOfIntervals(labelOf(streamIndex), send, receive, config.omitSeconds);
  }

  function add(streamIndex: number, interval: Interval): Row[] {
    const stream = streams[streamIndex];
    if (stream === undefined) return [];
    if (stream[interval.kind].placed.length < stream.next) return [lateRow(streamIndex, stream, interval)];
    if (interval.kind === "send") stream.send.push(interval);
    else stream.receive.push(interval);
    return rowsDue(streamIndex, stream);
  }

  function sideEnded(streamIndex: number, side: Side): Row[] {
    const stream = streams[streamIndex];
    if (stream === undefined) return [];
    const isSender = (side === "server") === config.reverse;
    (isSender ? stream.send : stream.receive).hasEnded = true;
    return rowsDue(streamIndex, stream);
  }

  function flush(): Row[] {
    return streams.flatMap((_, index) => [...sideEnded(index, "client"), ...sideEnded(index, "server")]);
  }

  return { add, sideEnded, flush };
}

/** The sums of one interval over several streams, shown in order. */
class SumLines {
  readonly #streams: readonly StreamLines[];
  readonly #label: string;
  readonly #rowsByInterval = new Map<number, Row[]>();
  #next = 0;

  constructor(streams: readonly StreamLines[], label: string) {
    this.#streams = streams;
    this.#label = label;
  }

  add(intervalIndex: number, row: Row): void {
    if (this.#streams.length === 1) return;
    const rows = this.#rowsByInterval.get(intervalIndex);
    if (rows === undefined) this.#rowsByInterval.set(intervalIndex, [row]);
    else rows.push(row);
  }

  due(): Row[] {
    const sums: Row[] = [];
    for (let rows = this.#nextComplete(); rows !== null; rows = this.#nextComplete()) {
      sums.push(sumRows(this.#label, rows));
      this.#rowsByInterval.delete(this.#next);
      this.#next++;
    }
    return sums;
  }

  #nextComplete(): readonly Row[] | null {
    const rows = this.#rowsByInterval.get(this.#next);
    if (rows === undefined) return null;
    return this.#streams.every((stream) => stream.next > this.#next || stream.isShown) ? rows : null;
  }
}
