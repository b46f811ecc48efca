/** Lets Bun go on with a socket that was made past it, or by another thread. */
export function connectDescriptor<Data>(options: Bun.FdSocketOptions<Data>): Promise<Bun.Socket<Data>> {
  // Bun takes a descriptor here, its types only leave it out of this call.
  const target = { ...options, hostname: "", port: 0 };
  return Bun.connect<Data>(target);
}
