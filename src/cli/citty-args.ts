import type { ArgsDef } from "citty";
import type { OptionSpec } from "./option-spec.ts";

/** citty's definitions of a table. It applies no defaults: those are of `config/`, and of the help only as text. */
export function cittyArgs(specs: readonly OptionSpec[]): ArgsDef {
  return Object.fromEntries(
    specs.map((spec) => [
      spec.name,
      {
        type: spec.valueName === undefined ? "boolean" : "string",
        description: spec.help,
        ...(spec.short === undefined ? {} : { alias: spec.short }),
        ...(spec.valueName === undefined ? {} : { valueHint: spec.valueName }),
      },
    ]),
  );
}
