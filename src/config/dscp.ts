import { checkNumber, type NumberRule, refuse } from "./checks.ts";
import { MAX_DSCP } from "./limits.ts";

const RULE: NumberRule = { name: "--dscp", min: 0, max: MAX_DSCP, isWhole: true };

const ALLOWED =
  'a number from 0 to 63, in decimal or as 0x2e, or a name such as "ef", "cs1", "af41", "le" or "default"';

/** Code points by name. */
const NAMES: ReadonlyMap<string, number> = new Map([
  // RFC 2474, 4.1 and 4.2.2.1: CSn is n in the upper three bits.
  ["default", 0],
  ...Array.from({ length: 8 }, (_, level): [string, number] => [`cs${level}`, 8 * level]),
  // RFC 2597, 6: AFxy is class x in the upper three bits and drop precedence y in the next two.
  ...[1, 2, 3, 4].flatMap((level) =>
    [1, 2, 3].map((drop): [string, number] => [`af${level}${drop}`, 8 * level + 2 * drop]),
  ),
  // RFC 3246, 2.7.
  ["ef", 46],
  // RFC 5865.
  ["voice-admit", 44],
  // RFC 8622.
  ["le", 1],
]);

/** Reads a code point: `46`, `0x2e` or a name in letters of either case. */
export function parseDscp(text: string): number {
  const named = NAMES.get(text.toLowerCase());
  if (named !== undefined) return named;
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : NaN;
  return value <= MAX_DSCP ? value : refuse(RULE.name, ALLOWED, text);
}

/** Checks a code point from whatever a caller of the library gives. */
export function checkDscp(value: number | null | undefined): number | null {
  return value === undefined || value === null ? null : checkNumber(RULE, value);
}
