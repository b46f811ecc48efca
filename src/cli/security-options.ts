import { AUTH_MODES } from "../config/choices.ts";
import type { OptionSpec } from "./option-spec.ts";

/** Keys and TLS, of either mode. */
export const SECURITY_OPTIONS = [
  {
    name: "key-file",
    valueName: "FILE",
    group: "Security",
    audience: "both",
    help: "keys from rperf keygen, one a line: the server knows all, a client shows the first; or one in RPERF_KEY",
  },
  {
    name: "auth",
    valueName: "MODE",
    choices: AUTH_MODES,
    group: "Security",
    audience: "server",
    help: "whether clients must prove that they have a key: off, optional, required",
    defaultText: "required with keys, off without",
  },
  {
    name: "tls-cert",
    valueName: "FILE",
    group: "Security",
    audience: "server",
    help: "serve the control port by TLS 1.3, with this certificate (PEM); data are not encrypted",
  },
  {
    name: "tls-key",
    valueName: "FILE",
    group: "Security",
    audience: "server",
    help: "the private key of the certificate (PEM)",
  },
  {
    name: "tls",
    group: "Security",
    audience: "client",
    help: "use TLS to the control port; the system's authorities vouch for the server's name",
  },
  {
    name: "tls-ca",
    valueName: "FILE",
    group: "Security",
    audience: "client",
    help: "the same, with these authorities (PEM) instead of the system's",
  },
  {
    name: "tls-fingerprint",
    valueName: "SHA256",
    group: "Security",
    audience: "client",
    help: "the same, trusting the certificate with this SHA-256 alone",
  },
] as const satisfies readonly OptionSpec[];
