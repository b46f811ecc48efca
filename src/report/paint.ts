import { styleText } from "node:util";

/** What a piece of a text report means, as far as colour can tell. */
type Tone = "title" | "quiet" | "warning" | "bad";

/** Colours a text, or leaves it as it is; columns must be aligned before. */
export type Paint = (tone: Tone, text: string) => string;

const STYLES = { title: "bold", quiet: "dim", warning: "yellow", bad: "red" } as const;

export function createPaint(colour: boolean): Paint {
  // The caller has decided about colour; styleText would ask the stream and the environment once more.
  return colour ? (tone, text) => styleText(STYLES[tone], text, { validateStream: false }) : (_tone, text) => text;
}
