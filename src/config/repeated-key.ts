/** Around a number: what no file has in its keys. */
const MARK = "\uE000";

/**
 * The path of a key that an object of YAML has twice, or null. Bun's parser lets the last one win in silence. So each key
 * is given a mark of its own, wherever a colon may end one, for which the parser keeps both.
 */
export function repeatedKey(yaml: string): string | null {
  let count = 0;
  // Behind a plain key, or in front of the quote that ends one.
  const marked = yaml.replaceAll(/(?<=[^\s\\{[,:"'])(?:[ \t]*:(?=\s|$)|["'][ \t]*:)/g, (colon) => {
    count += 1;
    return `${MARK}${count}${MARK}${colon}`;
  });
  return repeatedIn(Bun.YAML.parse(marked), "", new Set());
}

/** `seen`: an alias may stand inside of what it means. */
function repeatedIn(value: unknown, where: string, seen: Set<object>): string | null {
  if (typeof value !== "object" || value === null || seen.has(value)) return null;
  seen.add(value);
  const names = new Set<string>();
  for (const [key, part] of Object.entries(value)) {
    const name = key.replace(/\uE000\d+\uE000$/, "");
    const path = Array.isArray(value) ? `${where}[${name}]` : where === "" ? name : `${where}.${name}`;
    if (names.has(name)) return path;
    names.add(name);
    const repeated = repeatedIn(part, path, seen);
    if (repeated !== null) return repeated;
  }
  return null;
}
