// Passes packets between the TUN devices of two network namespaces (see relay.ts). Linux and root only.
//
//   bun relay-child.ts '{"device":"link0","left":"a","right":"b","seed":1,"data":{…}}'
//
// Prints "ready", then reads a command as a line of JSON and answers each with one; ends when its input does.
// oxlint-disable-next-line no-restricted-imports -- a program of its own, for tests only: no layer of ours opens devices
import { dlopen, FFIType, ptr, read } from "bun:ffi";
import { closeSync, constants, openSync, writeSync } from "node:fs";

import { Link } from "./relay/link.ts";
import { randomOf } from "./relay/random.ts";
import { type Command, type Match, type RelayLog, SIDES } from "./relay/settings.ts";

interface Start {
  readonly device: string;
  /** Namespaces. */
  readonly left: string;
  readonly right: string;
  readonly seed: number;
  readonly data: Match;
}

const { i32, u64, ptr: pointer } = FFIType;
const ERRNO = "__errno_location";
const libc = dlopen("libc.so.6", {
  /** setns(2): fd, type */
  setns: { args: [i32, i32], returns: i32 },
  /** ioctl(2): fd, request, argument */
  ioctl: { args: [i32, u64, pointer], returns: i32 },
  /** ppoll(2): struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask */
  ppoll: { args: [pointer, u64, pointer, pointer], returns: i32 },
  /** read(2), write(2): fd, void *buffer, size_t length. No packet fills 2 GiB: the result fits. */
  read: { args: [i32, pointer, u64], returns: i32 },
  write: { args: [i32, pointer, u64], returns: i32 },
  [ERRNO]: { args: [], returns: pointer },
}).symbols;

// linux/sched.h, linux/if_tun.h, asm-generic/poll.h, asm-generic/errno-base.h.
const NEW_NETWORK = 0x4000_0000;
const SET_DEVICE = 0x4004_54ca;
const TUN_WITHOUT_HEADER = 0x0001 | 0x1000;
const READABLE = 0x0001;
const TRY_AGAIN = 11;
const INTERRUPTED = 4;

const STDIN = 0;
const STDOUT = 1;
/** One turn takes no more than this from a side, so that the other one and the clock come to their right. */
const BATCH = 256;

function errno(): number {
  const address = libc[ERRNO]();
  return address === null ? 0 : read.i32(address, 0);
}

function check(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: errno ${errno()}`);
  return result;
}

/** The device of a namespace, opened from inside: this thread stays there. */
function openDevice(namespace: string, device: string): number {
  const place = openSync(`/run/netns/${namespace}`, constants.O_RDONLY);
  check(`setns ${namespace}`, libc.setns(place, NEW_NETWORK));
  closeSync(place);
  const fd = openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK);
  // struct ifreq: char name[16], short flags; 40 bytes in all.
  const request = Buffer.alloc(40);
  request.write(device, "latin1");
  request.writeUInt16LE(TUN_WITHOUT_HEADER, 16);
  check(`TUNSETIFF ${device}`, libc.ioctl(fd, SET_DEVICE, ptr(request)));
  return fd;
}

const { device, left, right, seed, data } = JSON.parse(process.argv[2] ?? "") as Start;
const fds = { left: openDevice(left, device), right: openDevice(right, device) };
const random = randomOf(seed);
const sendTo = (fd: number) => (bytes: Uint8Array) => libc.write(fd, ptr(bytes), bytes.length) === bytes.length;
const links = {
  toRight: new Link({ data, random, send: sendTo(fds.right) }),
  toLeft: new Link({ data, random, send: sendTo(fds.left) }),
};

/** Until the first settings come the devices are not both up: what a kernel says meanwhile goes nowhere and counts nowhere. */
let isOpen = false;

const buffer = Buffer.alloc(65_536);
const bufferAddress = ptr(buffer);

/** False when the other side's turn has come and there may be more. */
function drain(fd: number, link: Link): void {
  for (let count = 0; count < BATCH; count += 1) {
    const length = libc.read(fd, bufferAddress, buffer.length);
    if (length < 0) {
      const error = errno();
      if (error === TRY_AGAIN || error === INTERRUPTED) return;
      throw new Error(`read: errno ${error}`);
    }
    if (isOpen) link.take(buffer.subarray(0, length), performance.now());
  }
}

function answer(command: Command): RelayLog | null {
  const nowMs = performance.now();
  switch (command.kind) {
    case "set":
      isOpen = true;
      for (const side of SIDES) {
        const settings = command.settings[side];
        if (settings !== undefined) links[side].set(settings, nowMs);
      }
      return null;
    case "black-hole":
      links[command.side].blackHole(command.on);
      return null;
    case "truth": {
      const { toRight, toLeft } = links;
      return { toRight: toRight.log, toLeft: toLeft.log, waiting: toRight.waiting + toLeft.waiting };
    }
  }
}

/** A pipe that is full takes a part of what it is given. */
function say(text: string): void {
  for (let rest = Buffer.from(`${text}\n`); rest.length > 0;) rest = rest.subarray(writeSync(STDOUT, rest));
}

let heard = "";

function listen(): void {
  const length = libc.read(STDIN, bufferAddress, buffer.length);
  if (length <= 0) process.exit(0);
  heard += buffer.toString("utf8", 0, length);
  const lines = heard.split("\n");
  heard = lines.pop() ?? "";
  for (const line of lines) say(JSON.stringify(answer(JSON.parse(line) as Command)));
}

// struct pollfd: int fd, short events, short revents.
const polled = new Int32Array([STDIN, READABLE, fds.left, READABLE, fds.right, READABLE]);
const isReady = (index: number) => (polled[index * 2 + 1] ?? 0) >>> 16 !== 0;
// struct timespec: seconds, nanoseconds.
const timeout = new BigInt64Array(2);

say("ready");
for (;;) {
  const nextMs = Math.min(links.toRight.nextMs, links.toLeft.nextMs);
  let waitFor: ReturnType<typeof ptr> | null = null;
  if (nextMs !== Number.POSITIVE_INFINITY) {
    const waitNs = Math.max(0, Math.ceil((nextMs - performance.now()) * 1e6));
    timeout[0] = BigInt(Math.floor(waitNs / 1e9));
    timeout[1] = BigInt(waitNs % 1e9);
    waitFor = ptr(timeout);
  }
  if (libc.ppoll(ptr(polled), 3, waitFor, null) < 0 && errno() !== INTERRUPTED) throw new Error(`poll: ${errno()}`);
  if (isReady(1)) drain(fds.left, links.toRight);
  if (isReady(2)) drain(fds.right, links.toLeft);
  const nowMs = performance.now();
  links.toRight.release(nowMs);
  links.toLeft.release(nowMs);
  if (isReady(0)) listen();
}
