import { DEFAULT_DRAIN_SECONDS } from "../config/defaults.ts";
import { ownScript } from "./own-script.ts";

/** Longer than a drain, so that systemd kills no test that may still run. */
const STOP_MARGIN_SECONDS = 15;
/** Folders that the sandbox hides, or that a user without a name may not enter. */
const HIDDEN = ["/home/", "/root/", "/tmp/", "/var/tmp/", "/run/user/"];

/** The words that start this program again: the compiled executable, or Bun and the script. */
export function ownCommand(): readonly string[] {
  const script = ownScript();
  return script === null ? [process.execPath] : [process.execPath, script];
}

/** A unit for systemd 247 or later that serves with `command`, in the closest sandbox in which it works. */
export function systemdUnit(command: readonly string[]): string {
  const hidden = command.filter((word) => HIDDEN.some((folder) => word.startsWith(folder)));
  const warning = hidden.map(
    (path) => `# The service cannot see ${path}: install it elsewhere, as below /usr or /opt.\n`,
  );
  return `# rperf as a service. As root:
#   rperf print systemd > /etc/systemd/system/rperf.service
#   systemctl daemon-reload && systemctl enable --now rperf
${warning.join("")}
[Unit]
Description=rperf, a server for network measurements
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
ExecStart=${[...command, "-s"].map(quoted).join(" ")}
# Limits, keys and the certificate are read again; tests go on.
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
# Running tests come to their end at a stop (--drain).
KillMode=mixed
TimeoutStopSec=${DEFAULT_DRAIN_SECONDS + STOP_MARGIN_SECONDS}
WatchdogSec=30
LimitNOFILE=65536
UMask=0077

# A user of its own that owns nothing, without capabilities. Where the control port is below 1024 it needs
# CAP_NET_BIND_SERVICE, and --bind-dev needs CAP_NET_RAW before Linux 5.7: in both lines, and PrivateUsers=no.
DynamicUser=yes
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes

# Files and devices: nothing to write, nothing of others to read.
ProtectSystem=strict
ProtectHome=yes
PrivateMounts=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateIPC=yes
PrivateUsers=yes
ProtectProc=invisible
ProcSubset=pid
RemoveIPC=yes

# The kernel.
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @setuid @chown @keyring @memlock @aio
# For --affinity.
SystemCallFilter=sched_setaffinity
SystemCallErrorNumber=EPERM
# Must stay off: the code that Bun makes at run time needs it. Without it Bun interprets, which is slower by
# more than half, and cannot call the system's libraries at all (sd_notify, UDP offload, socket options).
MemoryDenyWriteExecute=no

[Install]
WantedBy=multi-user.target
`;
}

/** As systemd reads a command line (systemd.service(5), "Command lines"): specifiers, variables and quotes are none. */
function quoted(word: string): string {
  const escaped = word.replaceAll("%", "%%").replaceAll("$", "$$$$").replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  return /[\s"'\\;]/.test(word) ? `"${escaped}"` : escaped;
}
