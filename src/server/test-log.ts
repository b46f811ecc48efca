import { RperfError } from "../errors.ts";
import { encodeServerMessage } from "../protocol/encode.ts";
import type { ServerMessage } from "../protocol/messages.ts";

/** What a test keeps of messages that its client may not have: some hours of a stream's results. */
const MAX_KEPT_BYTES = 2 * 1024 * 1024;

/** Results and completions of one test, numbered in the order in which they were sent, until the client has them. */
export class TestLog {
  readonly #kept: { readonly message: object; readonly bytes: number }[] = [];
  /** The number of the first one kept. */
  #first = 0;
  #bytes = 0;

  /** Memory that the kept ones take, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The message as it goes out, numbered by this. */
  append(message: ServerMessage): object {
    const encoded = encodeServerMessage(message);
    const bytes = JSON.stringify(encoded).length;
    this.#kept.push({ message: encoded, bytes });
    this.#bytes += bytes;
    while (this.#bytes > MAX_KEPT_BYTES) this.#drop();
    return encoded;
  }

  /** The client has all before number `have`; throws `peer-protocol` where there was no such number yet. */
  acknowledge(have: number): void {
    const end = this.#first + this.#kept.length;
    if (have > end) throw new RperfError("peer-protocol", `have must be at most ${end}, not ${have}`);
    while (this.#first < have && this.#kept.length > 0) this.#drop();
  }

  /** What a client that has all before `have` misses, and the number of the first of it: greater, if some is gone. */
  missing(have: number): { readonly first: number; readonly messages: readonly object[] } {
    const first = Math.max(have, this.#first);
    return { first, messages: this.#kept.slice(first - this.#first).map(({ message }) => message) };
  }

  #drop(): void {
    const dropped = this.#kept.shift();
    if (dropped === undefined) return;
    this.#bytes -= dropped.bytes;
    this.#first++;
  }
}
