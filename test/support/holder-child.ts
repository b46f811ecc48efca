// Opens connections to a port of 127.0.0.1 from a process of its own, says one byte over each and no more, and holds those
// that it may. Arguments: port, count. Writes "opened" once all were connected, and "closed N" for what the other side closed.
import { connect } from "node:net";

const [port = 0, count = 0] = process.argv.slice(2).map(Number);
let closed = 0;

await Promise.all(
  Array.from({ length: count }, async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(Uint8Array.of(0));
      resolve();
    });
    socket.on("error", () => resolve());
    socket.on("close", () => {
      closed += 1;
      console.log(`closed ${closed}`);
    });
    await promise;
  }),
);
console.log("opened");
// Without a reader a close of the other side would not be noticed; with one, nothing else keeps the process.
setInterval(() => {}, 1000);
