/**
 * Makes text from elsewhere, a peer or an argument, safe on a terminal and in a log: control characters, line ends
 * and those that turn the direction of writing become visible escapes.
 */
export function escapeControls(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** JSON that is as safe on a terminal as escaped text, and loses nothing: JSON itself escapes only the first 32. */
export function safeJson(value: object, indent = 0): string {
  return JSON.stringify(value, null, indent).replaceAll(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
