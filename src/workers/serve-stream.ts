import { systemClock } from "../clock.ts";
import { messageOf } from "../errors.ts";
import { createStream } from "../streams/create-stream.ts";
import type { Stream } from "../streams/spec.ts";
import type { WorkerCommand, WorkerReport } from "./messages.ts";

/** Runs one stream on the calling thread; gives the function that takes the main thread's commands. */
export function serveStream(report: (message: WorkerReport) => void): (command: WorkerCommand) => void {
  let stream: Stream | null = null;
  return (command) => {
    switch (command.type) {
      case "prepare":
        stream = createStream(command.spec, systemClock(), report);
        stream.prepare().catch((error: unknown) => {
          report({ type: "failed", code: "internal", message: messageOf(error) });
        });
        return;
      case "start":
        return stream?.start();
      case "stop":
        return stream?.stop();
    }
  };
}
