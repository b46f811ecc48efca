import type { BenchCase } from "../case.ts";
import { COST_CASES } from "./cost.ts";
import { PACE_CASES } from "./pace.ts";
import { THROUGHPUT_CASES } from "./throughput.ts";

export const CASES: readonly BenchCase[] = [...THROUGHPUT_CASES, ...PACE_CASES, ...COST_CASES];
