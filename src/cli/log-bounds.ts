/** A flood has few kinds; so many lines of one tell what it is about. */
const MOST_LINES_A_KIND = 10;
/** What peers make up must not make kinds without end: further ones count as one. */
const MOST_KINDS = 30;
const OTHER = "other";
const WINDOW_SECONDS = 1;
/** What is looked at of a text: enough to tell kinds apart, however long a peer made it. */
const TOLD_APART_CHARS = 200;

/** Lines of one kind that were held back within a second. */
export interface HeldBack<Line> {
  readonly count: number;
  readonly last: Line;
}

interface Kind<Line> {
  passed: number;
  heldBack: HeldBack<Line> | null;
}

/**
 * Bounds the lines of a log to some 340 a second, whatever happens: the first of each kind pass, and the number of the others is
 * told at the end of the second, and in the seconds that follow as long as more of them come. Time comes as an argument, in seconds of any clock that never steps.
 */
export class LogBounds<Line> {
  readonly #kinds = new Map<string, Kind<Line>>();
  #endSeconds = -Infinity;

  /** When there is something to take; null = nothing is held back. */
  get dueSeconds(): number | null {
    return [...this.#kinds.values()].some(({ heldBack }) => heldBack !== null) ? this.#endSeconds : null;
  }

  /** Whether the line passes. What was held back before is to be taken first. */
  passes(kindName: string, line: Line, nowSeconds: number): boolean {
    if (this.#kinds.size === 0) this.#endSeconds = nowSeconds + WINDOW_SECONDS;
    const kind = this.#kind(kindName);
    if (kind.passed < MOST_LINES_A_KIND) {
      kind.passed++;
      return true;
    }
    kind.heldBack = { count: (kind.heldBack?.count ?? 0) + 1, last: line };
    return false;
  }

  /** What was held back, once its second is over; every line of it is told of once. `Infinity` ends the second. */
  take(nowSeconds: number): readonly HeldBack<Line>[] {
    if (nowSeconds < this.#endSeconds) return [];
    const flooding = [...this.#kinds].flatMap(([name, { heldBack }]) =>
      heldBack === null ? [] : [{ name, heldBack }],
    );
    this.#kinds.clear();
    if (nowSeconds < Infinity) {
      // A flood that goes on is one line a second.
      for (const { name } of flooding) this.#kinds.set(name, { passed: MOST_LINES_A_KIND, heldBack: null });
      this.#endSeconds = nowSeconds + WINDOW_SECONDS;
    }
    return flooding.map(({ heldBack }) => heldBack);
  }

  #kind(name: string): Kind<Line> {
    const key = this.#kinds.has(name) || this.#kinds.size < MOST_KINDS ? name : OTHER;
    const kind = this.#kinds.get(key) ?? { passed: 0, heldBack: null };
    this.#kinds.set(key, kind);
    return kind;
  }
}

/** What a text has in common with others of its kind: all but what it quotes, its numbers and its addresses. */
export function kindOf(text: string): string {
  return text
    .slice(0, TOLD_APART_CHARS)
    .replaceAll(/"[^"]*"?/g, '""')
    .replaceAll(/[0-9a-f.:]*\d[0-9a-f.:%]*/gi, "#");
}
