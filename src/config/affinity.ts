import { checkNumber, type NumberRule, refuse } from "./checks.ts";

const NAME = "--affinity";

/** Whether such a CPU exists is found out when a stream is dealt it: one that does not is warned about and skipped. */
const CPU: NumberRule = { name: `each CPU of ${NAME}`, min: 0, max: 65_535, isWhole: true };

/** Reads `0,1`. */
export function parseAffinity(text: string): number[] {
  return text.split(",").map((item) => {
    const digits = item.trim();
    if (!/^\d+$/.test(digits)) refuse(NAME, 'numbers of logical CPUs, such as "0,1"', text);
    return checkNumber(CPU, Number(digits));
  });
}

/** Checks a list of CPUs from whatever a caller of the library gives. */
export function checkAffinity(cpus: readonly number[] | undefined): readonly number[] {
  if (cpus === undefined) return [];
  if (!Array.isArray(cpus)) refuse(NAME, "a list of logical CPUs", cpus);
  return cpus.map((cpu) => checkNumber(CPU, cpu));
}
