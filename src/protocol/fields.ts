import { RperfError } from "../errors.ts";

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
    // JSON has no word for a number beyond its range, such as 1e999.
    const text = typeof value === "number" ? String(value) : JSON.stringify(value);
    const shown = value === undefined ? "missing" : text.slice(0, 40);
    return new RperfError("peer-protocol", `${this.#path}${name} must be ${expected}, not ${shown}`);
  }
}
