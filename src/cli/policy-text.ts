import { type ClassLimits, type Policy, PUBLIC } from "../config/policy.ts";
import { formatBytes, formatRate } from "../units.ts";

const NO_LIMIT = "-";
const GAP = "  ";

/** What a server lets in: its classes, who is of which, and the rest, in tables for a person. */
export function describePolicy(policy: Policy): string {
  const { clientLimit, queueLimit, auth, allowsLowPorts } = policy;
  const others = policy.defaultClass ?? "refused";
  const blocks = [
    [
      ["class", "tests", "an address", "streams", "seconds", "a direction", "a day", "directions", "families"],
      ...policy.classes.map(classRow),
    ],
    [
      ["who (the first that fits)", "class"],
      ...policy.rules.map(({ network, keyId, className }) => [network ?? `key ${keyId}`, className]),
      // Who has no key where one may be had is anybody.
      ...(auth === "optional" && policy.defaultClass !== null ? [["all others without a key", PUBLIC.name]] : []),
      ["all others", others],
    ],
    [
      ["tests at a time", clientLimit === 0 ? NO_LIMIT : `${clientLimit}`],
      ["may wait for a place", `${queueLimit}`],
      ["keys", auth],
      ["reverse to ports below 1024 of an original client", allowsLowPorts ? "allowed" : "refused"],
    ],
  ];
  return blocks.map((rows) => tableOf(rows)).join("\n");
}

function classRow(limits: ClassLimits): readonly string[] {
  const { bytesPerSecond, bytesPerDay } = limits;
  return [
    limits.name,
    countOf(limits.clients),
    countOf(limits.clientsPerAddress),
    countOf(limits.streams),
    countOf(limits.durationSeconds),
    bytesPerSecond === null ? NO_LIMIT : formatRate(bytesPerSecond, "megabit"),
    bytesPerDay === null ? NO_LIMIT : formatBytes(bytesPerDay),
    limits.directions.join(" "),
    limits.families.join(" "),
  ];
}

function countOf(limit: number | null): string {
  return limit === null ? NO_LIMIT : `${limit}`;
}

/** Each column as wide as its longest cell. */
function tableOf(rows: readonly (readonly string[])[]): string {
  const widthOf = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widthOf(column))).join(GAP));
  return lines.map((line) => `${line.trimEnd()}\n`).join("");
}
