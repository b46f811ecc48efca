import { styleText } from "node:util";
import { createOutput, type Output } from "./output.ts";

/** The program's two ways out: results on `out`, everything else on `err`. */
export interface Io {
  readonly out: Output;
  readonly err: Output;
}

/** Wraps the process's standard streams; made once, as each wrapper listens for their errors. */
export function standardIo(): Io {
  return { out: wrap(process.stdout), err: wrap(process.stderr, true) };
}

function wrap(stream: NodeJS.WriteStream, isLog = false): Output {
  // Node's own judgement of the terminal, NO_COLOR and FORCE_COLOR.
  return createOutput(stream, styleText("bold", "x", { stream }) !== "x", isLog);
}
