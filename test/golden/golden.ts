import { expect } from "bun:test";
import { join } from "node:path";

/** Compares a text with a file of this folder; UPDATE_GOLDEN=1 writes the file instead. */
export async function expectGolden(name: string, text: string): Promise<void> {
  const path = join(import.meta.dir, name);
  if (process.env["UPDATE_GOLDEN"] === "1") await Bun.write(path, text);
  expect(text).toBe(await Bun.file(path).text());
}
