import { noFTL } from "bun:jsc";

/**
 * Keeps functions out of the engine's most expensive compiler. All that streams do at high rates is call the system: the
 * code in between runs as fast without it, while compiling it for the length of a test's first second takes a good part
 * of a small machine's CPUs away from the streams, and a UDP receiver loses what comes meanwhile.
 */
export function spareCompiler(functions: readonly ((...args: never[]) => unknown)[]): void {
  for (const each of functions) noFTL(each);
}

/** The same for all public methods of classes. */
export function spareCompilerOf(classes: readonly { readonly prototype: object }[]): void {
  for (const { prototype } of classes) {
    for (const descriptor of Object.values(Object.getOwnPropertyDescriptors(prototype))) {
      // oxlint-disable-next-line typescript/unbound-method -- named here, not called
      for (const each of [descriptor.value, descriptor.get])
        if (typeof each === "function" && each !== prototype.constructor) noFTL(each);
    }
  }
}
