// Loaded before every test file (bunfig.toml).
import { afterAll, setDefaultTimeout } from "bun:test";

import { stopEverything } from "./process.ts";

// Real peers run for real seconds: a test sets a longer limit of its own where it needs one.
setDefaultTimeout(30_000);
afterAll(stopEverything);
