// A client of the command line whose control connection is cut in mid-test.
import { expect } from "bun:test";

import { ourDocumentOf } from "./cli.ts";
import type { ControlProxy } from "./control-proxy.ts";
import { eventually } from "./eventually.ts";
import type { RunningProcess } from "./process.ts";

/** Cuts the connection once a result has come over it: the test completes all the same. */
export async function expectResumed(proxy: ControlProxy, client: RunningProcess): Promise<void> {
  await eventually(
    "a result",
    () => proxy.fromBoth.server.some(({ kind }) => kind === "receive"),
    (hasCome) => hasCome,
  );
  proxy.cut();
  const code = await client.exited;
  const document = ourDocumentOf({ code, stdout: client.stdout, stderr: client.stderr });
  expect({ code, outcome: document.outcome }).toEqual({ code: 0, outcome: "completed" });
}
