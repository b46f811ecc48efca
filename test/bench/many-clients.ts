// Many tests at once from one process, by the library (see server-measures.ts). The order comes as JSON in the first
// argument; what became of it goes out as JSON.
import { runClient } from "../../src/index.ts";

export interface ClientsOrder {
  readonly host: string;
  readonly port: number;
  readonly clients: number;
  readonly durationSeconds: number;
  readonly bandwidthBytesPerSecond: number;
}

export interface ClientsDone {
  /** When each test that completed began and ended, UNIX seconds. */
  readonly ran: readonly (readonly [began: number, ended: number])[];
  /** Why each of the others did not complete. */
  readonly failures: readonly string[];
}

if (import.meta.main) {
  const { clients, ...options } = JSON.parse(process.argv[2] ?? "{}") as ClientsOrder;
  const ran: [number, number][] = [];
  const failures: string[] = [];
  const runOne = async () => {
    try {
      const result = await runClient({ ...options, family: "udp" });
      if (result.success) ran.push([result.startedSeconds, Date.now() / 1000]);
      else failures.push(result.reason?.message ?? result.outcome);
    } catch (error) {
      failures.push(String(error));
    }
  };
  await Promise.all(Array.from({ length: clients }, runOne));
  const done: ClientsDone = { ran, failures };
  await Bun.write(Bun.stdout, JSON.stringify(done));
}
