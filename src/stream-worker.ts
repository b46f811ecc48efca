/** Entry of a Worker that runs streams. It lies beside main.ts, where a compiled binary finds it (see spawn-worker.ts). */
import { closeLibraries } from "../ffi/libc.ts";
import { loadSocketCalls } from "../ffi/sockopt.ts";
import type { WorkerCommand } from "./workers/messages.ts";
import { serveStreams } from "./workers/serve-streams.ts";

declare const self: Worker;
// Before "up", so that none of it falls into measured time.
loadSocketCalls();
const command = serveStreams((message) => self.postMessage(message));
self.onmessage = ({ data }: MessageEvent<WorkerCommand>) => {
  if (data.type !== "end") return command(data);
  // From outside Bun would end the thread without what it compiled for its calls: 5 KB that nobody gets back.
  closeLibraries();
  process.exit();
};
self.postMessage({ type: "up" });
