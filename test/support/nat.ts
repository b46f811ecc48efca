// A client behind a router that translates its addresses and lets nobody in unasked, and a server beyond. As netns.ts.
//
//   client ──────────────────────── router ──────────────────────── server
//   10.79.1.2   inside0: 10.79.1.1   link0: 10.79.2.1        10.79.2.2
//   fd00:79:1::2     fd00:79:1::1    fd00:79:2::1            fd00:79:2::2
//
// The server sees the router's address, and would find the way to the client's: what keeps it out are the router's rules.
import { execute, join, Namespace, withNames } from "./netns.ts";

const INSIDE = "inside0";

export interface Nat {
  readonly client: Namespace;
  /** Its addresses and its device are those towards the server. */
  readonly router: Namespace;
  readonly server: Namespace;
}

/** RFC 4787 calls it address- and port-dependent filtering; the kernel keeps the source port where it can. */
const RULES = `table inet nat {
    chain leaving {
      type nat hook postrouting priority srcnat
      oifname "link0" masquerade
    }
    chain passing {
      type filter hook forward priority filter; policy drop
      ct state established,related accept
      iifname "${INSIDE}" ct state new accept
    }
  }`;

/** Makes the three, hands them to `use` and removes them whatever happens; `server.firewall([…])` closes the server too. */
export function withNat<Result>(use: (nat: Nat) => Promise<Result>): Promise<Result> {
  return withNames(["client", "router", "server"] as const, ([clientName, routerName, serverName]) => {
    const client = new Namespace(clientName, "10.79.1.2", "fd00:79:1::2");
    const inside = new Namespace(routerName, "10.79.1.1", "fd00:79:1::1", INSIDE);
    const router = new Namespace(routerName, "10.79.2.1", "fd00:79:2::1");
    const server = new Namespace(serverName, "10.79.2.2", "fd00:79:2::2");
    join(client, inside);
    join(router, server);
    const forwarding = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
    execute(router.command(["sh", "-c", forwarding]));
    for (const [end, way] of [
      [client, inside],
      [server, router],
    ] as const) {
      execute(`ip -n ${end.name} route add default via ${way.ipv4}`);
      execute(`ip -n ${end.name} -6 route add default via ${way.ipv6}`);
    }
    router.loadRules(RULES);
    return use({ client, router, server });
  });
}
