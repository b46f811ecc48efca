/** The file descriptor of one of Bun's sockets or listeners, which their types do not name; null once it is closed. */
export function descriptorOf(socket: object): number | null {
  return "fd" in socket && typeof socket.fd === "number" && socket.fd >= 0 ? socket.fd : null;
}
