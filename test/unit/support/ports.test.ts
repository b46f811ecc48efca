import { expect, test } from "bun:test";

import { freePort } from "../../support/ports.ts";

test("a free port takes TCP and UDP, and the next one is another", async () => {
  const port = await freePort();
  const listener = Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } });
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port });
  expect(listener.port).toBe(port);
  expect(socket.port).toBe(port);
  listener.stop(true);
  socket.close();
  expect(await freePort()).not.toBe(port);
});
