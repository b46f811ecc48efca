import { RperfError } from "../errors.ts";
import { checkBoolean, checkNumber, type NumberRule } from "./checks.ts";
import {
  CLASS_RULES,
  checkClasses,
  checkDefaultClass,
  checkIdentities,
  type ClassOptions,
  FLAGS_CLASS,
  type IdentityOptions,
  LIBRARY_SPELLING,
} from "./class-options.ts";
import { type AuthMode, type ClassLimits, type Policy, PUBLIC, UNLIMITED } from "./policy.ts";

/** What a server is told of its classes. */
export interface ClassPolicyOptions {
  /** By their names; the class "public" is there anyway, unless given here, and "unlimited". */
  readonly classes?: Readonly<Record<string, ClassOptions>> | undefined;
  /** The first that fits a client tells its class. */
  readonly identities?: readonly IdentityOptions[] | undefined;
  /** The class of whom none fits: "unlimited" unless told; with "refuse" they are not let in. */
  readonly defaultClass?: string | undefined;
  /**
   * Whether clients must prove that they have one of the keys; by default `required` where there are keys. With `optional` those
   * who have none are of the class "public", for which the limits below hold too.
   */
  readonly auth?: AuthMode | undefined;
  /** The same as the default class "public". */
  readonly isPublic?: boolean | undefined;
  /** Limits of the default class, which has to leave them open, unless it is the ready class "public". */
  readonly maxTimeSeconds?: number | undefined;
  /** In one direction, all streams together. */
  readonly maxBytesPerSecond?: number | undefined;
  readonly maxStreams?: number | undefined;
  /** Tests at the same time. */
  readonly maxPerAddress?: number | undefined;
}

/** The rules of the limits of the default class, named as their flags. */
export const LIMIT_RULES = {
  maxTimeSeconds: { ...CLASS_RULES.durationSeconds, name: "--max-time" },
  maxBytesPerSecond: { ...CLASS_RULES.bytesPerSecond, name: "--max-bandwidth" },
  maxStreams: { ...CLASS_RULES.streams, name: "--max-streams" },
  maxPerAddress: { ...CLASS_RULES.clientsPerAddress, name: "--max-per-address" },
} as const satisfies Record<string, NumberRule>;

/** The limits behind these flags. */
const LIMITS = {
  maxTimeSeconds: "durationSeconds",
  maxBytesPerSecond: "bytesPerSecond",
  maxStreams: "streams",
  maxPerAddress: "clientsPerAddress",
} as const satisfies Record<keyof typeof LIMIT_RULES, keyof ClassLimits>;

type LimitFlag = keyof typeof LIMITS;
const LIMIT_FLAGS = [
  "maxTimeSeconds",
  "maxBytesPerSecond",
  "maxStreams",
  "maxPerAddress",
] as const satisfies LimitFlag[];

/** Classes, and who is of which. Throws `usage`, naming the flag or the field. */
export function classPolicyOf(options: ClassPolicyOptions): Pick<Policy, "classes" | "rules" | "defaultClass"> {
  const classes = checkClasses("classes", options.classes ?? {}, LIBRARY_SPELLING);
  const names = classes.map(({ name }) => name);
  const rules = checkIdentities("identities", options.identities ?? [], names);
  const chosen = chooseDefault(options, names);
  const flags = LIMIT_FLAGS.flatMap((flag) => {
    const value = options[flag];
    return value === undefined ? [] : [{ flag, limit: checkNumber(LIMIT_RULES[flag], value) }];
  });
  const first = flags[0];
  if (first === undefined) return { classes, rules, defaultClass: chosen };
  const before = classes.find(({ name }) => name === chosen);
  if (before === undefined) {
    throw new RperfError("usage", `${LIMIT_RULES[first.flag].name} has no meaning where the default is to refuse`);
  }
  const after = flags.reduce(
    (limits, { flag, limit }) => withLimit(limits, flag, limit, before === PUBLIC),
    renamed(before),
  );
  const others = classes
    .filter(({ name }) => name !== after.name)
    .map((limits) =>
      options.auth === "optional" && limits.name === PUBLIC.name ? withinFlags(limits, flags) : limits,
    );
  return { classes: [after, ...others], rules, defaultClass: after.name };
}

/** Who comes without a key, where one may be had, is of the class public: no flag holds less for a stranger. */
function withinFlags(
  limits: ClassLimits,
  flags: readonly { readonly flag: LimitFlag; readonly limit: number }[],
): ClassLimits {
  return flags.reduce((bounded, { flag, limit }) => {
    const field = LIMITS[flag];
    return { ...bounded, [field]: Math.min(bounded[field] ?? Infinity, limit) };
  }, limits);
}

function chooseDefault({ defaultClass, isPublic }: ClassPolicyOptions, names: readonly string[]): string | null {
  const asked = checkBoolean("--public", isPublic ?? false);
  if (!asked) return checkDefaultClass("defaultClass", defaultClass ?? UNLIMITED.name, names);
  if (defaultClass === undefined) return PUBLIC.name;
  throw new RperfError("usage", "--public and another default class exclude each other");
}

/** What has limits is not called unlimited. */
function renamed(limits: ClassLimits): ClassLimits {
  return limits === UNLIMITED ? { ...UNLIMITED, name: FLAGS_CLASS } : limits;
}

/** A limit that the class was given already is not overruled, lest one of the two be set in vain. */
function withLimit(limits: ClassLimits, flag: LimitFlag, limit: number, isReady: boolean): ClassLimits {
  const field = LIMITS[flag];
  if (limits[field] !== null && !isReady) {
    const message = `${LIMIT_RULES[flag].name} and the same limit of class ${limits.name} exclude each other`;
    throw new RperfError("usage", message);
  }
  return { ...limits, [field]: limit };
}
