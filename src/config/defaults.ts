/** Control port of a server. */
export const DEFAULT_PORT = 5199;
/** 1 Mb/s for each stream. */
export const DEFAULT_BANDWIDTH_BYTES_PER_SECOND = 125_000;
export const DEFAULT_DURATION_SECONDS = 10;
/** The original's. Told to its servers; a sender of ours paces in slices only where an interval was asked for. */
export const DEFAULT_SEND_INTERVAL_SECONDS = 0.05;
export const DEFAULT_TCP_LENGTH_BYTES = 32 * 1024;
export const DEFAULT_UDP_LENGTH_BYTES = 1024;
export const DEFAULT_PARALLEL = 1;
export const DEFAULT_OMIT_SECONDS = 0;
/** As the original's. */
export const DEFAULT_INTERVAL_SECONDS = 1;
/** After the planned end. */
export const DEFAULT_RESUME_TIMEOUT_SECONDS = 10;
/** For a place on a full server. */
export const DEFAULT_WAIT_SECONDS = 60;
/** Any number of clients. */
export const DEFAULT_CLIENT_LIMIT = 0;
/** Nobody waits for a place. */
export const DEFAULT_QUEUE_LIMIT = 0;
/** Enough for tests of the default length, and for most others. */
export const DEFAULT_DRAIN_SECONDS = 60;
export const DEFAULT_BIND_ADDRESS_V4 = "0.0.0.0";
/** Takes IPv4 clients too where the host allows it. */
export const DEFAULT_BIND_ADDRESS_V6 = "::";
/** For each of the self-test's tests. */
export const DEFAULT_SELFTEST_SECONDS = 1;
