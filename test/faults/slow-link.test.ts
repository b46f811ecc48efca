// Links slower than what is asked of them: tests end in time, and whole.
import { expect } from "bun:test";
import { expectTotalsOf, ourDocumentOf } from "../support/cli.ts";
import { testWithNamespaces, withNamespaces } from "../support/netns.ts";
import { rperf } from "../support/process.ts";

const SECONDS = 3;

for (const bitsPerSecond of [250_000, 1_000_000, 20_000_000]) {
  testWithNamespaces(
    `a link of ${bitsPerSecond / 1e6} Mb/s that is asked for more`,
    () =>
      withNamespaces(async ({ left, right }) => {
        left.setRate(bitsPerSecond);
        right.setRate(bitsPerSecond);
        // In a class whose time is used up: what drains behind it is not over the limit.
        const server = right.start(rperf("-s", "--max-time", `${SECONDS}`));
        await server.waitForOutput(/listening/);
        // Where two streams fight for so little, one may well see nothing for 3 s: then it has failed.
        const shared = bitsPerSecond < 1_000_000 ? [] : [["-b", "0", "-P", "2", "-O", "1"]];
        for (const flags of [["-b", "0"], ["-b", "0", "-R"], ...shared]) {
          const result = await left.run(rperf("-c", right.ipv4, "-t", `${SECONDS}`, "-f", "json", ...flags), {
            timeoutMs: 60_000,
          });
          expect(result.stderr).toBe("");
          expect(result.code).toBe(0);
          const document = ourDocumentOf(result);
          expect(document.success).toBe(true);
          expectTotalsOf(document);
        }
        server.kill("SIGINT");
        expect(await server.exited).toBe(0);
      }),
    180_000,
  );
}
