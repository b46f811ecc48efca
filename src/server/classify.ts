import { BlockList } from "node:net";
import { type ClassLimits, type Policy, PUBLIC } from "../config/policy.ts";
import { RperfError } from "../errors.ts";
import { ipVersionOf, placeOf } from "../protocol/address.ts";

/** Who a client is, as far as limits go. */
export interface Identity {
  readonly limits: ClassLimits;
  /** Whom its bytes are counted for: "key ID", or the place. */
  readonly name: string;
  /** Its address; of IPv6 the network of 64 bits, which is one host's (RFC 6177) or one link's. */
  readonly place: string;
}

interface Rule {
  readonly fits: (address: string, keyId: string | null) => boolean;
  readonly limits: ClassLimits;
}

/** Tells the class of each client, by one policy. */
export class Classifier {
  readonly #rules: readonly Rule[];
  readonly #withoutRule: ClassLimits | null;
  /** Where a key may be had and is not asked for, who has none is anybody. */
  readonly #withoutKey: ClassLimits | null;

  constructor({ auth, classes, rules, defaultClass }: Policy) {
    const byName = new Map(classes.map((limits) => [limits.name, limits]));
    const limitsOf = (name: string): ClassLimits => {
      const limits = byName.get(name);
      if (limits === undefined) throw new RperfError("internal", `there is no class ${name}`);
      return limits;
    };
    this.#rules = rules.map(({ network, keyId, className }) => ({
      limits: limitsOf(className),
      fits: network === null ? (_, given) => given === keyId : networkTest(network),
    }));
    this.#withoutRule = defaultClass === null ? null : limitsOf(defaultClass);
    this.#withoutKey = auth === "optional" && defaultClass !== null ? limitsOf(PUBLIC.name) : this.#withoutRule;
  }

  /** `keyId`: the key that the client has proven to have. Throws `peer-protocol` when there is no class for it. */
  identify(address: string, keyId: string | null): Identity {
    const rule = this.#rules.find(({ fits }) => fits(address, keyId));
    const limits = rule?.limits ?? (keyId === null ? this.#withoutKey : this.#withoutRule);
    if (limits === null)
      throw new RperfError("peer-protocol", "this server does not serve you: you are none of those it knows");
    const place = placeOf(address);
    return { limits, place, name: keyId === null ? place : `key ${keyId}` };
  }
}

function networkTest(network: string): (address: string) => boolean {
  const [base = "", bits] = network.split("/");
  const list = new BlockList();
  list.addSubnet(base, Number(bits), `ipv${ipVersionOf(base)}`);
  return (address) => list.check(address, `ipv${ipVersionOf(address)}`);
}
