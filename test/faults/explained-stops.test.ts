// However a test ends, the result says so and why: of the test and of each stream, in JSON and in the same words in text.
import { expect, setDefaultTimeout, test } from "bun:test";

import { linesOf } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { describeWithNamespaces, type NamespacePair, withNamespaces } from "../support/netns.ts";
import { CONTROL_PORT, cutControl, outageDocumentOf, resultOf, startServer } from "../support/outages.ts";
import { rperf, type RunningProcess } from "../support/process.ts";

// That of the preload holds for the first file of a run only.
setDefaultTimeout(60_000);

interface Disturbed {
  readonly pair: NamespacePair;
  readonly server: RunningProcess;
  readonly clients: readonly RunningProcess[];
}

interface Stop {
  readonly name: string;
  readonly flags: readonly string[];
  /** Each stream has a source port of its own that is known. */
  readonly pinsPorts?: boolean;
  /** Before the clients come; they are one that writes JSON, and one that writes text. */
  readonly before?: (pair: NamespacePair) => void;
  /** A second and a half behind the begin of both. */
  readonly disturb?: (disturbed: Disturbed) => void;
  readonly outcome: string;
  readonly code: string | null;
  readonly message: RegExp | null;
  /** Of each stream: its sender's and its receiver's outcome. */
  readonly streams: readonly (readonly [sender: string, receiver: string])[];
}

const NOT_CONTROL = `tcp dport != ${CONTROL_PORT}`;

const STOPS: readonly Stop[] = [
  {
    name: "nothing stops it",
    flags: ["-t", "2", "-P", "2"],
    outcome: "completed",
    code: null,
    message: null,
    streams: [
      ["completed", "completed"],
      ["completed", "completed"],
    ],
  },
  {
    name: "the user stops it, forward",
    flags: ["-t", "20"],
    disturb: ({ clients }) => clients.forEach((client) => client.kill("SIGINT")),
    outcome: "interrupted",
    code: "stopped",
    message: /^the test was interrupted$/,
    streams: [["completed", "completed"]],
  },
  {
    name: "the user stops it, UDP reverse",
    flags: ["-t", "20", "-u", "--reverse"],
    disturb: ({ clients }) => clients.forEach((client) => client.kill("SIGINT")),
    outcome: "interrupted",
    code: "stopped",
    message: /^the test was interrupted$/,
    streams: [["completed", "completed"]],
  },
  {
    name: "the server is stopped",
    flags: ["-t", "20"],
    disturb: ({ server }) => server.kill("SIGINT"),
    outcome: "failed",
    code: "peer-refused",
    message: /^10\.77\.0\.2:5199 says: the server is shutting down$/,
    streams: [["completed", "partial"]],
  },
  {
    name: "the server is gone",
    flags: ["-t", "20", "-u"],
    disturb: ({ server }) => server.kill("SIGKILL"),
    outcome: "failed",
    code: "peer-lost",
    message: /^10\.77\.0\.2:5199 (closed|broke) the control connection/,
    streams: [["completed", "partial"]],
  },
  {
    name: "one stream of three breaks",
    flags: ["-t", "6", "-P", "3"],
    pinsPorts: true,
    disturb: ({ pair }) => pair.right.cut(`tcp sport { ${portsOf(0)[1]}, ${portsOf(1)[1]} }`, "reject with tcp reset"),
    outcome: "failed",
    code: "stream-failed",
    message: /^stream 1, sender: sending to 10\.77\.0\.2 port \d+: .*ECONNRESET/,
    streams: [
      ["completed", "completed"],
      ["failed", "failed"],
      ["completed", "completed"],
    ],
  },
  {
    name: "an outage is longer than the deadline",
    flags: ["-t", "5", "--resume-timeout", "5", "--reverse"],
    disturb: ({ pair }) => cutControl(pair),
    outcome: "partial",
    code: "outage",
    message: /^no control connection until 5 s after the planned end \(.+\)$/,
    streams: [["partial", "completed"]],
  },
  {
    name: "TCP data connections are refused",
    flags: ["-t", "2"],
    before: ({ right }) => right.cut(NOT_CONTROL, "reject with tcp reset"),
    outcome: "failed",
    code: "stream-failed",
    message: /^stream 0: no data connection to 10\.77\.0\.2 port \d+: ECONNREFUSED$/,
    streams: [["failed", "failed"]],
  },
  {
    name: "TCP data connections are dropped",
    flags: ["-t", "2"],
    before: ({ right }) => right.cut(NOT_CONTROL),
    outcome: "failed",
    code: "connect-timeout",
    message: /^stream 0: the other side at 10\.77\.0\.2 port \d+ did not answer within 2 s$/,
    streams: [["failed", "failed"]],
  },
  {
    name: "UDP data are dropped",
    flags: ["-t", "2", "-u"],
    before: ({ right }) => right.cut("meta l4proto udp"),
    outcome: "failed",
    code: "stream-failed",
    message: /^stream 0, receiver: none of \d+ packets came: is UDP blocked on the way\?$/,
    streams: [["completed", "failed"]],
  },
];

/** Source ports of three streams, for the client of this number. */
function portsOf(client: number): readonly number[] {
  return [0, 1, 2].map((streamIndex) => 7000 + 10 * client + streamIndex);
}

async function bothRun(server: RunningProcess): Promise<void> {
  await eventually(
    "both tests run",
    () => [...server.stderr.matchAll(/test started/g)].length,
    (count) => count === 2,
    20_000,
  );
}

describeWithNamespaces("the end of a test is explained", () => {
  test.concurrent.each(STOPS.map((stop) => [stop.name, stop] as const))("%s", (_name, stop) =>
    withNamespaces(async (pair) => {
      const server = await startServer(pair.right);
      stop.before?.(pair);
      const command = rperf("-c", pair.right.ipv4, "-p", `${CONTROL_PORT}`, "-b", "400k", ...stop.flags);
      const clients = [["-f", "json"], []].map((format, index) => {
        const [first, , last] = portsOf(index);
        const pinned = stop.pinsPorts === true ? ["--client-port", `${first}-${last}`] : [];
        return pair.left.start([...command, ...format, ...pinned]);
      });
      if (stop.disturb !== undefined) {
        await bothRun(server);
        await Bun.sleep(1_500);
        stop.disturb({ pair, server, clients });
      }
      const [inJson, inText] = await Promise.all(clients.map(resultOf));
      if (inJson === undefined || inText === undefined) throw new Error("two clients have two results");
      const document = outageDocumentOf(inJson);
      const { outcome, reason, streams } = document;
      expect({ outcome, code: reason?.code ?? null }).toEqual({ outcome: stop.outcome, code: stop.code });
      expect(inText.code).toBe(inJson.code);
      const [last = ""] = linesOf(inText.stdout).slice(-1);
      if (stop.message === null) {
        expect(reason).toBeNull();
        expect(inText.stdout).not.toContain("incomplete");
      } else {
        expect(reason?.message).toMatch(stop.message);
        const [, said, why] = /^(\w+): (.*) \(the result is incomplete\)$/.exec(last) ?? [];
        expect({ said, isWhy: stop.message.test(why ?? "") }).toEqual({ said: stop.outcome, isWhy: true });
      }
      expect(streams.map(({ sender, receiver }) => [sender.outcome, receiver.outcome])).toEqual(
        stop.streams.map((sides) => [...sides]),
      );
      for (const stream of streams) {
        for (const role of ["sender", "receiver"] as const) {
          const side = stream[role];
          // Whoever did not complete says why, and the text says it of the same stream.
          expect(side.reason === null).toBe(side.outcome === "completed");
          if (side.reason === null) continue;
          const line = `${role} \\(\\w+\\) ${side.outcome}: `;
          expect(inText.stdout).toMatch(new RegExp(`^  streams? .*: ${line}`, "m"));
        }
        const worst = ["completed", "interrupted", "partial", "failed"];
        const badness = Math.max(worst.indexOf(stream.sender.outcome), worst.indexOf(stream.receiver.outcome));
        expect(worst.indexOf(stream.outcome)).toBe(badness);
        expect(stream.reason === null).toBe(badness === 0);
      }
      server.kill("SIGKILL");
    }),
  );
});
