// A server of the library in a process of its own (see watched-server.ts). Its options come as JSON in the first
// argument; each event, and each change of the number of clients, goes out as a line of JSON.
import { type ServerOptions, startServer } from "../../src/index.ts";

const POLL_MS = 10;
const options = JSON.parse(process.argv[2] ?? "{}") as ServerOptions;
const write = (line: object) => console.log(JSON.stringify(line));

const server = await startServer(options, { onEvent: write });
let told = -1;
setInterval(() => {
  if (server.clients === told) return;
  told = server.clients;
  write({ type: "clients", count: told });
}, POLL_MS);
