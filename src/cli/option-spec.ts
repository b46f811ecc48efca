/** Which of the two modes an option has a meaning in; `mode` chooses between them. */
export type Audience = "mode" | "client" | "server" | "both";

/** One option: the strict parse, citty's definitions and the help are all made from this. */
export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** How the help names the value; without it the option is a switch. */
  readonly valueName?: string;
  /** All the values there are. */
  readonly choices?: readonly string[];
  /** Heading in the help. */
  readonly group: string;
  readonly audience: Audience;
  readonly help: string;
  /** As the help shows it. */
  readonly defaultText?: string;
}

/** Names of a table's options that take a value. */
export type ValuedName<Specs extends readonly OptionSpec[]> = Extract<
  Specs[number],
  { readonly valueName: string }
>["name"];

/** Names of a table's switches. */
export type SwitchName<Specs extends readonly OptionSpec[]> = Exclude<Specs[number]["name"], ValuedName<Specs>>;
