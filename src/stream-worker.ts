/** Entry of a stream's Worker. It lies beside main.ts, where a compiled binary finds it (see spawn-worker.ts). */
import type { WorkerCommand } from "./workers/messages.ts";
import { serveStream } from "./workers/serve-stream.ts";

declare const self: Worker;

const command = serveStream((message) => self.postMessage(message));
self.onmessage = (event: MessageEvent<WorkerCommand>) => command(event.data);
self.postMessage({ type: "up" });
