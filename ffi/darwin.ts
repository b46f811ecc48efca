import type { Platform } from "./platform.ts";

/** Numbers from sys/socket.h and netinet/tcp.h; macOS has no call that pins a thread to a CPU. */
export const darwin: Platform = {
  name: "macOS",
  libcNames: ["libSystem.B.dylib"],
  errnoFunction: "__error",
  socketLevel: 0xffff,
  sendBufferOption: 0x1001,
  receiveBufferOption: 0x1002,
  keepalive: {
    idleSeconds: 0x10,
    intervalSeconds: 0x101,
    probes: 0x102,
    unacknowledged: { option: 0x80, unitsPerSecond: 1 },
  },
  unsentLimitOption: 0x201,
  hasThreadAffinity: false,
  // sys/resource.h.
  openFilesLimit: 8,
  directIo: null,
  rawSockets: null,
  path: null,
};
