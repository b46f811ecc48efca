import { RperfError } from "../errors.ts";

/** Of a value that is wrong, characters. */
const MOST_SHOWN = 40;
/** Of what a peer has to say, characters. */
const MOST_TEXT = 1000;

/** Reads the fields of one decoded JSON object; every failure is a `peer-protocol` error that names the field. */
export class Fields {
  readonly #object: Record<string, unknown>;
  readonly #path: string;

  private constructor(object: Record<string, unknown>, path: string) {
    this.#object = object;
    this.#path = path;
  }

  static of(value: unknown, path = ""): Fields {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new RperfError("peer-protocol", `${path === "" ? "the message" : path} is not an object`);
    }
    return new Fields({ ...value }, path === "" ? "" : `${path}.`);
  }

  has(name: string): boolean {
    return this.#object[name] !== undefined;
  }

  /** Absent or null: what JSON has for "no value". */
  isNull(name: string): boolean {
    return this.#object[name] === undefined || this.#object[name] === null;
  }

  object(name: string): Fields {
    return Fields.of(this.#object[name], this.#path + name);
  }

  integer(name: string, minimum: number, maximum: number): number {
    return this.#integer(this.#object[name], name, minimum, maximum);
  }

  number(name: string, minimum: number, maximum: number): number {
    const value = this.#object[name];
    if (typeof value !== "number" || !(value >= minimum && value <= maximum)) {
      throw this.#wrong(name, `a number from ${minimum} to ${maximum}`, value);
    }
    return value;
  }

  boolean(name: string): boolean {
    const value = this.#object[name];
    if (typeof value !== "boolean") throw this.#wrong(name, "true or false", value);
    return value;
  }

  string(name: string): string {
    const value = this.#object[name];
    if (typeof value !== "string") throw this.#wrong(name, "a string", value);
    return value;
  }

  /** Words for a person, who reads no more than the beginning of what is too long. */
  text(name: string): string {
    const text = this.string(name);
    return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
  }

  /** Bytes of a known number in base64 (RFC 4648, 4). */
  bytes(name: string, count: number): Uint8Array {
    const value = this.#object[name];
    const expected = `${count} bytes in base64`;
    if (typeof value !== "string") throw this.#wrong(name, expected, value);
    try {
      const bytes = Uint8Array.fromBase64(value);
      if (bytes.length === count) return bytes;
    } catch {
      // Told below.
    }
    throw this.#wrong(name, expected, value);
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const value = this.#object[name];
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw this.#wrong(name, `one of ${choices.join(", ")}`, value);
    return found;
  }

  integers(name: string, count: number, minimum: number, maximum: number): readonly number[] {
    const value = this.#object[name];
    if (!Array.isArray(value) || value.length !== count) {
      throw this.#wrong(name, `a list of ${count} whole numbers`, value);
    }
    return value.map((item, index) => this.#integer(item, `${name}[${index}]`, minimum, maximum));
  }

  #integer(value: unknown, name: string, minimum: number, maximum: number): number {
    if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
      throw this.#wrong(name, `a whole number from ${minimum} to ${maximum}`, value);
    }
    return value;
  }

  #wrong(name: string, expected: string, value: unknown): RperfError {
    return new RperfError("peer-protocol", `${this.#path}${name} must be ${expected}, not ${shown(value)}`);
  }
}

/** Briefly: what is deep is not written out, which takes the engine most of a second for one frame. */
function shown(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return JSON.stringify(value.slice(0, MOST_SHOWN)).slice(0, MOST_SHOWN);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  // JSON has no word for a number beyond its range, such as 1e999.
  if (typeof value === "number") return String(value);
  return typeof value === "object" && value !== null ? "an object" : JSON.stringify(value);
}
