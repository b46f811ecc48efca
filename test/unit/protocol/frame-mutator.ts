// Bodies of frames that are nearly, or not at all, messages: made by cheap changes to a pool that fast-check filled once, so
// that a million cost seconds.
import fc from "fast-check";

import type { Random } from "../../support/random.ts";
import { clientWireMessage, serverWireMessage } from "../../support/wire-messages.ts";

const MOST_BODY_BYTES = 65_535;
const POOL = 2_000;

/** Where in a message's text one member of an object, or one item of a list, is written. */
interface Slot {
  /** Where its name begins; where its value begins, of an item. */
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
  /** With its quotes and colon; "" of an item. */
  readonly name: string;
}

interface Written {
  readonly text: string;
  readonly members: readonly Slot[];
  /** Of lists, which are many. */
  readonly items: readonly Slot[];
}

/** As JSON.stringify, and tells where everything is. */
function write(value: unknown): Written {
  const members: Slot[] = [];
  const items: Slot[] = [];
  let text = "";
  const put = (name: string, item: unknown) => {
    const start = text.length;
    text += name;
    const valueStart = text.length;
    append(item);
    (name === "" ? items : members).push({ start, valueStart, end: text.length, name });
  };
  const append = (item: unknown): void => {
    if (typeof item !== "object" || item === null) {
      text += JSON.stringify(item);
      return;
    }
    const isList = Array.isArray(item);
    text += isList ? "[" : "{";
    for (const [index, [key, member]] of Object.entries(item).entries()) {
      if (index > 0) text += ",";
      put(isList ? "" : `${JSON.stringify(key)}:`, member);
    }
    text += isList ? "]" : "}";
  };
  append(value);
  return { text, members, items };
}

/** Values that readers of JSON stumble over. */
const AWKWARD: readonly string[] = [
  "null true false 0 -0 -1 1 0.5 1e999 -1e999 1e-999 1E400 255 256 65535 65536 2147483648 4294967296 1099511627776",
  "35184372088832 9007199254740991 9007199254740993 18446744073709551615 123456789012345678901234567890 NaN Infinity",
  String.raw`0x10 01 "" "tcp" "\u0000" "\ud800" "\u001b[2J" "__proto__" "constructor" "AAAA" "1" [] {} [null] [[]] [1,2,3]`,
  '{"__proto__":null} {"__proto__":{"kind":"begin","version":1}} {"length":1} {"toString":1,"valueOf":2}',
  `{"constructor":{"prototype":{}}} "${"x".repeat(3_000)}" [${Array(300).fill(7).join(",")}]`,
].flatMap((values) => values.split(" "));

const NAMES: readonly string[] = ["__proto__", "constructor", "kind", "toString", "hasOwnProperty", "", "extensions"];

/** What is deep or wide enough to fill a frame. */
const BIG: readonly ((random: Random) => string)[] = [
  () => "[".repeat(MOST_BODY_BYTES),
  () => `${"[".repeat(32_767)}${"]".repeat(32_767)}`,
  () => `${'{"a":'.repeat(10_900)}1${"}".repeat(10_900)}`,
  () => `{"kind":${"[".repeat(32_000)}${"]".repeat(32_000)}}`,
  () => `{"kind":"configuration","role":${'{"role":'.repeat(7_000)}0${"}".repeat(7_001)}`,
  () => `{"kind":"done","stream_idx":0,"totals":${'{"books":'.repeat(6_000)}1${"}".repeat(6_001)}`,
  () => `{"kind":"error","message":"${"\\u001b".repeat(10_000)}"}`,
  () => `{"kind":"connect","stream_ports":[${Array(32_000).fill(9).join(",")}]}`,
  (random) => `{${Array.from({ length: 5_000 }, () => `"${random.below(1e6)}":1`).join(",")},"kind":"begin"}`,
  (random) => `{"kind":"ack","have":${"9".repeat(random.between(1, 60_000))}}`,
];

export class FrameMutator {
  readonly #random: Random;
  readonly #pool: readonly Written[];
  readonly #junk: readonly string[];

  constructor(random: Random) {
    this.#random = random;
    const sample = <Value>(arbitrary: fc.Arbitrary<Value>) =>
      fc.sample(arbitrary, { numRuns: POOL, seed: random.uint32() | 0 });
    this.#pool = [...sample(clientWireMessage), ...sample(serverWireMessage)].map(write);
    this.#junk = sample(fc.json({ maxDepth: 4 }));
  }

  /** Each as it came from fast-check: good messages. */
  get pool(): readonly string[] {
    return this.#pool.map(({ text }) => text);
  }

  next(): Buffer {
    const random = this.#random;
    const choice = random.below(10_000);
    if (choice < 2) return bodyOf(random.pick(BIG)(random));
    if (choice < 300) return Buffer.from(random.bytes(random.below(120)));
    if (choice < 900) return bodyOf(random.pick(this.#junk));
    const { text, members, items } = random.pick(this.#pool);
    if (choice < 1_200) return bodyOf(text);
    const changed = this.#changed(text, random.pick(items.length > 0 && random.oneIn(5) ? items : members));
    if (choice < 7_000) return bodyOf(changed);
    const body = bodyOf(changed);
    return choice < 9_500 ? this.#damaged(body) : body.subarray(0, random.below(body.length + 1));
  }

  /** One field of another type or size, gone, there twice, under another name, deeper, or in another's place. */
  #changed(text: string, { start, valueStart, end, name }: Slot): string {
    const random = this.#random;
    const before = text.slice(0, valueStart);
    const behind = text.slice(end);
    const value = text.slice(valueStart, end);
    const other = random.oneIn(4) ? random.pick(this.#junk) : random.pick(AWKWARD);
    switch (random.below(8)) {
      case 0: {
        const gone = text.slice(0, start).replace(/,$/, "") + behind;
        return gone.replace("{,", "{").replace("[,", "[");
      }
      case 1:
        return `${before}${value},${name}${other}${behind}`;
      case 2:
        return `${text.slice(0, -1)},${name === "" ? '"kind":' : name}${other}}`;
      case 3:
        return name === ""
          ? `${before}${other}${behind}`
          : `${text.slice(0, start)}"${random.pick(NAMES)}":${value}${behind}`;
      case 4: {
        const depth = random.between(1, 40);
        return `${before}${"[".repeat(depth)}${value}${"]".repeat(depth)}${behind}`;
      }
      case 5:
        return `${before}{"${random.pick(NAMES)}":${value}}${behind}`;
      default:
        return `${before}${other}${behind}`;
    }
  }

  /** Some bytes are others: no JSON, or no UTF-8, or another number. */
  #damaged(body: Buffer): Buffer {
    const random = this.#random;
    for (let count = random.between(1, 3); count > 0 && body.length > 0; count -= 1) {
      body[random.below(body.length)] = random.oneIn(2) ? random.between(0x80, 0xff) : random.below(0x80);
    }
    return body;
  }
}

function bodyOf(text: string): Buffer {
  const body = Buffer.from(text);
  return body.length > MOST_BODY_BYTES ? body.subarray(0, MOST_BODY_BYTES) : body;
}
