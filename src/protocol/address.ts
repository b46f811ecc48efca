/** "::ffff:192.0.2.1", as a dual-stack socket names an IPv4 peer (RFC 4291, 2.5.5.2), without its prefix. */
export function unmapAddress(address: string): string {
  const prefix = "::ffff:";
  const rest = address.slice(prefix.length);
  return address.toLowerCase().startsWith(prefix) && rest.includes(".") ? rest : address;
}

export function ipVersionOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/** "192.0.2.1:5199", "[2001:db8::1]:5199" (RFC 3986, 3.2.2). */
export function formatEndpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * Where receivers of a test listen: on the address that the peer reached, so that nothing else does. A link-local
 * address means nothing without its interface, which sockets do not tell: then any address.
 */
export function receiverBindAddress(localAddress: string): string {
  const address = unmapAddress(localAddress);
  return isLinkLocal(address) ? "::" : address;
}

/** fe80::/10 (RFC 4291, 2.5.6). */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}

/**
 * Whom an address stands for where each may have so much: an IPv4 address for itself, one of IPv6 for its network of 64 bits,
 * in which a host takes any address it likes (RFC 4291, 2.5.1). Link-local ones are all of one network, and not of one host.
 */
export function placeOf(address: string): string {
  if (ipVersionOf(address) === 4 || isLinkLocal(address)) return address;
  const [head = "", tail] = address.split("::");
  const [before, behind] = [groupsOf(head), groupsOf(tail ?? "")];
  const missing = tail === undefined ? 0 : 8 - before.length - behind.length;
  const groups = [...before, ...Array.from({ length: missing }, () => "0"), ...behind];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

function groupsOf(text: string): string[] {
  return text === "" ? [] : text.split(":");
}
