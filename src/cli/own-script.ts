/** Where Bun 1.4.5 shows what a compiled executable has within; its file calls find it there too. */
const WITHIN = /^(?:\/\$bunfs\/|B:[\\/]~BUN[\\/])/;

/** The script that this process runs; null in a compiled executable, which needs none. */
export function ownScript(): string | null {
  return WITHIN.test(Bun.main) ? null : Bun.main;
}
