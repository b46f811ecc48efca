const BARS = "▁▂▃▄▅▆▇█";

/** One bar for each value, as high as its share of the greatest; a value that is no number leaves a gap. */
export function sparkline(values: readonly number[]): string {
  const top = Math.max(0, ...values.filter(Number.isFinite));
  return values.map((value) => (Number.isFinite(value) ? barOf(value, top) : " ")).join("");
}

function barOf(value: number, top: number): string {
  const share = top === 0 ? 0 : Math.max(0, value) / top;
  return BARS.charAt(Math.min(BARS.length - 1, Math.floor(share * BARS.length)));
}
