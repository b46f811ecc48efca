import { parseArgs } from "node:util";
import { RperfError } from "../errors.ts";
import { nearest } from "./nearest.ts";
import type { OptionSpec, SwitchName, ValuedName } from "./option-spec.ts";
import { ABSENT_OPTIONS } from "./options.ts";

/** What a command line gave; only options of the table can be asked for. */
export interface ParsedOptions<Specs extends readonly OptionSpec[]> {
  has(name: Specs[number]["name"]): boolean;
  isOn(name: SwitchName<Specs>): boolean;
  value(name: ValuedName<Specs>): string | undefined;
  /** The option as it was typed, `-c` or `--client`, to name it in a message. */
  typed(name: Specs[number]["name"]): string;
  /** The same command line with nothing left to interpret: `--name=value`, each option once. */
  readonly canonicalArgs: readonly string[];
}

interface Given {
  readonly typed: string;
  readonly value: string | undefined;
}

interface OptionToken {
  readonly kind: "option";
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

/**
 * Reads a command line by its table and takes nothing that is not in it: unknown options, missing, superfluous and
 * repeated values and stray words are `RperfError`s of code `usage`. `words` are the commands a stray word might mean.
 */
export function strictParse<const Specs extends readonly OptionSpec[]>(
  specs: Specs,
  args: readonly string[],
  words: readonly string[] = [],
): ParsedOptions<Specs> {
  // Node's own strict mode stops at the first problem with a text of its own; its tokens tell enough to do better.
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(specs.map((spec) => [spec.name, nodeOption(spec)])),
    strict: false,
    tokens: true,
  });
  const given = new Map<string, Given>();
  for (const token of tokens) {
    if (token.kind === "positional") throw usage(strayWord(token.value, words));
    if (token.kind === "option") take(specs, given, token);
  }
  return {
    has: (name) => given.has(name),
    isOn: (name) => given.has(name),
    value: (name) => given.get(name)?.value,
    typed: (name) => given.get(name)?.typed ?? `--${name}`,
    canonicalArgs: [...given].map(([name, { value }]) => (value === undefined ? `--${name}` : `--${name}=${value}`)),
  };
}

function nodeOption({ valueName, short }: OptionSpec): { type: "string" | "boolean"; short?: string } {
  const type = valueName === undefined ? "boolean" : "string";
  return short === undefined ? { type } : { type, short };
}

function take(specs: readonly OptionSpec[], given: Map<string, Given>, token: OptionToken): void {
  const { name, rawName: typed, value } = token;
  const spec = specs.find((candidate) => candidate.name === name);
  if (spec === undefined) throw usage(unknownOption(specs, typed));
  if (spec.valueName === undefined) {
    if (value !== undefined) throw usage(`${typed} takes no value, not even "${value}"`);
  } else {
    checkValue(spec, token);
    if (given.has(name)) throw usage(`${typed} is given twice; it takes one value`);
  }
  given.set(name, { typed, value });
}

function checkValue(spec: OptionSpec, { rawName: typed, value, inlineValue }: OptionToken): void {
  const missing = `${typed} needs a value: ${spec.choices?.join(", ") ?? spec.valueName}`;
  if (value === undefined || value === "") throw usage(missing);
  // "-c -u" is a forgotten host and not a host called "-u".
  if (inlineValue !== true && value.startsWith("-")) throw usage(`${missing}, not "${value}"`);
  if (spec.choices !== undefined && !spec.choices.includes(value)) {
    throw usage(`--${spec.name} must be one of ${spec.choices.join(", ")}, not "${value}"`);
  }
}

function unknownOption(specs: readonly OptionSpec[], typed: string): string {
  const reason = ABSENT_OPTIONS.get(typed);
  if (reason !== undefined) return `there is no ${typed}: ${reason}`;
  const isLong = typed.startsWith("--");
  const near = isLong
    ? nearest(
        typed,
        specs.map((spec) => `--${spec.name}`),
      )
    : null;
  return `unknown option ${typed}; ${near === null ? "see --help" : `did you mean ${near}?`}`;
}

function strayWord(word: string, words: readonly string[]): string {
  const near = words.find((known) => known.startsWith(`${word} `)) ?? nearest(word, words);
  const hint = near === null ? "every value belongs to an option, see --help" : `the command ${near} comes first`;
  return `unexpected argument "${word}": ${hint}`;
}

function usage(message: string): RperfError {
  return new RperfError("usage", message);
}
