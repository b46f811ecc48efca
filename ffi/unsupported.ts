import type { Platform } from "./platform.ts";

/** Any other system (Windows among them): everything beyond Bun's own sockets is answered with "not supported". */
export const unsupported: Platform = {
  name: process.platform === "win32" ? "Windows" : process.platform,
  libcNames: [],
  errnoFunction: null,
  socketLevel: 0,
  sendBufferOption: 0,
  receiveBufferOption: 0,
  keepalive: null,
  unsentLimitOption: null,
  hasThreadAffinity: false,
  openFilesLimit: null,
  directIo: null,
  rawSockets: null,
  path: null,
};
