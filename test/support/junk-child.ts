// Sends datagrams that are nobody's to a port, as many a second as it is told, until it is killed; tells how many
// left in how many milliseconds.
//   bun junk-child.ts ADDRESS PORT PER_SECOND KIND
import { junkOf } from "./junk.ts";

const [address = "", port = "", perSecond = "", kind = ""] = process.argv.slice(2);
const TICK_MS = 5;
/** So many different ones, again and again: making them takes longer than sending them. */
const DIFFERENT = 512;

const datagrams = Array.from({ length: DIFFERENT }, () => junkOf(kind));
const socket = await Bun.udpSocket({
  connect: { hostname: address, port: Number(port) },
  socket: { error: () => {} },
});
const startedAtMs = performance.now();
let sent = 0;
let toldAtMs = startedAtMs;
setInterval(() => {
  const nowMs = performance.now();
  let due = Math.floor(((nowMs - startedAtMs) / 1000) * Number(perSecond)) - sent;
  while (due > 0) {
    const from = sent % DIFFERENT;
    const batch = datagrams.slice(from, from + Math.min(due, 64));
    try {
      // Whatever the system did not take is not sent again: the port may not be open yet, or not any more.
      socket.sendMany(batch);
    } catch {}
    sent += batch.length;
    due -= batch.length;
  }
  if (nowMs - toldAtMs < 200) return;
  toldAtMs = nowMs;
  console.log(`${sent} ${Math.round(performance.now() - startedAtMs)}`);
}, TICK_MS);
