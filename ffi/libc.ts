import { dlopen, FFIType, ptr, read } from "bun:ffi";
import { constants } from "node:os";
import type { Outcome } from "./platform.ts";
import { platform } from "./platform.ts";

/** Signatures as in the man pages; each parameter named. */
const SOCKET_SYMBOLS = {
  /** setsockopt(2): fd, level, name, const void *value, socklen_t length */
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  /** getsockopt(2): fd, level, name, void *value, socklen_t *length */
  getsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
} as const;

const AFFINITY_SYMBOLS = {
  /** sched_setaffinity(2): pid_t pid (0 = calling thread), size_t length, const cpu_set_t *mask */
  sched_setaffinity: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  /** sched_getaffinity(2): pid_t pid, size_t length, cpu_set_t *mask */
  sched_getaffinity: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
} as const;

const RESOURCE_SYMBOLS = {
  /** getrlimit(2): resource, struct rlimit *limit */
  getrlimit: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
  /** setrlimit(2): resource, const struct rlimit *limit */
  setrlimit: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
} as const;

const DIRECT_IO_SYMBOLS = {
  /** send(2): fd, const void *buffer, size_t length, flags. No call here moves 2 GiB: the result fits. */
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  /** recv(2): fd, void *buffer, size_t length, flags */
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  /** fcntl(2): fd, command, argument */
  fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  /** dup3(2): old fd, new fd, flags */
  dup3: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  /** recvmsg(2): fd, struct msghdr *message, flags */
  recvmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
  /** ppoll(2): struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask */
  ppoll: { args: [FFIType.ptr, FFIType.u64, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  /** sched_yield(2) */
  sched_yield: { args: [], returns: FFIType.i32 },
  /** prctl(2): option, four unsigned long */
  prctl: {
    args: [FFIType.i32, FFIType.u64, FFIType.u64, FFIType.u64, FFIType.u64],
    returns: FFIType.i32,
  },
  /** clock_gettime(2): clock, struct timespec *time */
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
} as const;

const RAW_SOCKET_SYMBOLS = {
  /** socket(2): family, type, protocol (0 = the one of the type) */
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  /** bind(2): fd, const struct sockaddr *address, socklen_t length */
  bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  /** connect(2): fd, const struct sockaddr *address, socklen_t length */
  connect: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  /** getsockname(2): fd, struct sockaddr *address, socklen_t *length */
  getsockname: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  /** getpeername(2): fd, struct sockaddr *address, socklen_t *length */
  getpeername: { args: [FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  /** sendto(2): fd, const void *buffer, size_t length, flags, const struct sockaddr *address, socklen_t length */
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
  /** close(2): fd */
  close: { args: [FFIType.i32], returns: FFIType.i32 },
  /** poll(2): struct pollfd *fds, nfds_t count, timeout in ms */
  poll: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 },
  /** ioctl(2): fd, request, int *value */
  ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
  /** if_nametoindex(3): const char *name */
  if_nametoindex: { args: [FFIType.ptr], returns: FFIType.u32 },
  /** if_indextoname(3): index, char *name of IF_NAMESIZE bytes */
  if_indextoname: { args: [FFIType.u32, FFIType.ptr], returns: FFIType.ptr },
} as const;

/** Bun compiles a bit of code for each symbol, for each thread, and keeps it behind the thread's end (1.4.5). */
const closings: (() => void)[] = [];

/** Frees what was opened on this thread. No call may follow: the thread must end at once. */
export function closeLibraries(): void {
  for (const close of closings.splice(0)) close();
}

/** Opens libc with the given symbols by the first name that works; every Worker has a handle of its own. */
function open<Symbols extends Parameters<typeof dlopen>[1]>(symbols: Symbols) {
  const errnoFunction = platform.errnoFunction;
  if (errnoFunction === null) return null;
  for (const name of platform.libcNames) {
    try {
      const library = dlopen(name, symbols);
      closings.push(() => library.close());
      return { calls: library.symbols, errno: errnoOf(name, errnoFunction) };
    } catch {
      continue;
    }
  }
  return null;
}

function errnoOf(library: string, name: string): () => number {
  const opened = dlopen(library, { [name]: { args: [], returns: FFIType.ptr } });
  closings.push(() => opened.close());
  const call = opened.symbols[name];
  return () => errnoAt(call?.() ?? null);
}

function errnoAt(address: unknown): number {
  return typeof address === "number" && address !== 0 ? read.i32(address, 0) : 0;
}

/** Opened at first use and kept: null once known to be missing. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

export const socketCalls = once(() => open(SOCKET_SYMBOLS));
export const affinityCalls = once(() => (platform.hasThreadAffinity ? open(AFFINITY_SYMBOLS) : null));

export const resourceCalls = once(() => (platform.openFilesLimit === null ? null : open(RESOURCE_SYMBOLS)));

export const directIoCalls = once(() => (platform.directIo === null ? null : open(DIRECT_IO_SYMBOLS)));

export const rawSocketCalls = once(() => (platform.rawSockets === null ? null : open(RAW_SOCKET_SYMBOLS)));

const namesOfErrors = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** Such as `ECONNREFUSED`. */
export function errorName(errno: number): string {
  return namesOfErrors.get(errno) ?? `errno ${errno}`;
}

/** The answer for a system without the call. */
export function notSupported(what: string): Outcome<never> {
  return { ok: false, supported: false, message: `${what} is not supported on ${platform.name}` };
}

/** The answer for a call that the system refused. */
export function refused(what: string, errno: number): Outcome<never> {
  const code = errorName(errno);
  return { ok: false, supported: true, message: `${what} was refused by the system (${code})`, code };
}

export { ptr };
