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
  // include/uapi/asm-generic/resource.h.
  openFilesLimit: 7,
  // include/linux/socket.h, include/uapi/linux/{udp,fcntl,prctl,time}.h.
  directIo: {
    dontWait: 0x40,
    noSignal: 0x4000,
    discard: 0x20,
    peek: 0x2,
    udp: { level: 17, segment: 103, receiveOffload: 104 },
    duplicate: 1030,
    closeOnExec: 0o2000000,
    arrivalTimes: 35,
    pacingRate: 47,
    timerSlack: 29,
    wallClock: 0,
    monotonicClock: 1,
  },
  // include/linux/{socket,net}.h, include/uapi/linux/in6.h.
  rawSockets: {
    families: { ipv4: 2, ipv6: 10 },
    unixFamily: 1,
    types: { tcp: 1, udp: 2 },
    typeFlags: 0o4000 | 0o2000000,
    reuseAddress: 2,
    reusePort: 15,
    error: 4,
    ipv6: { level: 41, only: 26 },
  },
  // include/uapi/linux/{in,in6,tcp,sock_diag}.h, include/uapi/asm-generic/ioctls.h.
  path: {
    bindToDevice: 25,
    trafficClass: { 4: { level: 0, option: 1 }, 6: { level: 41, option: 67 } },
    congestion: 13,
    largestSegment: 2,
    longestRetransmitWait: 44,
    tcpInfo: 11,
    sendQueue: 0x5411,
    memory: { option: 55, words: 9, drops: 8 },
  },
};
