import { formatKey } from "../config/keys.ts";

/** As many as the hash of the proofs has. */
const SECRET_BYTES = 32;
const ID_BYTES = 4;

/** A new key as a key file has it; an id of its own where none is given. */
export function newKeyLine(id: string | null): string {
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
  return `${formatKey({ id: id ?? random(ID_BYTES).toHex(), secret: random(SECRET_BYTES) })}\n`;
}
