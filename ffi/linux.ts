import type { Platform } from "./platform.ts";

/**
 * glibc and musl: musl's dynamic linker answers any `libc.…` name with itself (ldso/dynlink.c, load_library), so one
 * name serves both. Numbers from include/uapi/asm-generic/socket.h and include/uapi/linux/tcp.h; x86-64 and arm64
 * share them.
 */
export const linux: Platform = {
  name: "Linux",
  libcNames: ["libc.so.6", "libc.so"],
  errnoFunction: "__errno_location",
  socketLevel: 1,
  sendBufferOption: 7,
  receiveBufferOption: 8,
  keepalive: {
    idleSeconds: 4,
    intervalSeconds: 5,
    probes: 6,
    unacknowledged: { option: 18, unitsPerSecond: 1000 },
  },
  unsentLimitOption: 25,
  hasThreadAffinity: true,
  // include/linux/socket.h, include/uapi/linux/{udp,fcntl,prctl,time}.h.
  directIo: {
    dontWait: 0x40,
    noSignal: 0x4000,
    discard: 0x20,
    udp: { level: 17, segment: 103, receiveOffload: 104 },
    duplicate: 1030,
    arrivalTimes: 35,
    pacingRate: 47,
    timerSlack: 29,
    wallClock: 0,
  },
};
