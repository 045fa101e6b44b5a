import { EventEmitter } from "node:events";
import type { Client, ExecutionOptions, Host, HostMap } from "cassandra-driver";
import { describe, expect, it } from "vitest";
import { PreferredMembers } from "./preferred-members.ts";

const IN_FLIGHT_MIN = 8;

interface Member {
  readonly address: string;
  readonly datacenter: string;
  up: boolean;
  waiting: number;
  isUp(): boolean;
  getInFlight(): number;
}

function member(name: string, datacenter = "near"): Member {
  return {
    address: name,
    datacenter,
    up: true,
    waiting: 0,
    isUp() {
      return this.up;
    },
    getInFlight() {
      return this.waiting;
    },
  };
}

/** A ring on which a row lies at the members whose names stand in its key. */
function ringOf(names: string) {
  const members = new Map([...names].map((name) => [name, member(name)]));
  const hosts = Object.assign(new EventEmitter().setMaxListeners(0), { values: () => [...members.values()] });
  const lists = new Map<string, Member[]>();
  const client = {
    options: { localDataCenter: "near" },
    metadata: { newToken: (key: Buffer) => key },
    getReplicas(keyspace: string, key: Buffer) {
      if (keyspace === "unknown") return null;
      const list = lists.get(`${key}`) ?? [...`${key}`].map((name) => members.get(name) as Member);
      lists.set(`${key}`, list);
      return list;
    },
  };
  return {
    at: (name: string) => members.get(name) as Member,
    add(name: string, datacenter?: string) {
      members.set(name, member(name, datacenter));
      lists.clear();
      hosts.emit("add");
    },
    node(name: string) {
      return this.policy(name).plan;
    },
    policy(name: string) {
      const policy = new PreferredMembers(name, IN_FLIGHT_MIN);
      policy.init(client as unknown as Client, hosts as unknown as HostMap, () => {});
      const preferred = (key: string, keyspace = "known") =>
        policy.preferred(keyspace, policy.place(Buffer.from(key)))?.address;
      const plan = (key?: string, keyspace = "known", place: object = {}): string => {
        const options =
          key === undefined
            ? null
            : {
                getRoutingKey: () => Buffer.from(key),
                getKeyspace: () => undefined,
                getRawQueryOptions: () => place,
              };
        let plan = "";
        policy.newQueryPlan(keyspace, options as unknown as ExecutionOptions, (_error, hosts) => {
          for (let next = hosts.next(); !next.done; next = hosts.next()) plan += (next.value as Host).address;
        });
        return plan;
      };
      const place = (key: string) => policy.place(Buffer.from(key));
      return { plan, preferred, place };
    },
  };
}

const sorted = (plan: string) => [...plan].toSorted().join("");

describe("a request goes", () => {
  it("to a replica of what is asked, then to the other replicas, then to anybody near", () => {
    const plan = ringOf("abcdef").node("actors-1");
    for (const key of ["abc", "cde", "fab"]) {
      expect(sorted(plan(key).slice(0, 3))).toBe(sorted(key));
      expect(sorted(plan(key))).toBe("abcdef");
    }
  });

  it("to the same one each time, whatever the order in which the ring tells the replicas", () => {
    const plan = ringOf("abc").node("actors-1");
    expect(new Set(["abc", "bca", "cab"].map((key) => plan(key))).size).toBe(1);
    expect(plan("abc")).toBe(plan());
  });

  it("to different ones from different nodes, as many to each", () => {
    const ring = ringOf("abc");
    const firsts = Array.from({ length: 300 }, (_, at) => ring.node(`actors-${at}`)("abc")[0]);
    for (const name of "abc") expect(firsts.filter((first) => first === name).length).toBeGreaterThan(70);
  });

  it("to anybody near where nothing is known of the keyspace, or of the row", () => {
    const plan = ringOf("abc").node("actors-1");
    expect(sorted(plan("abc", "unknown"))).toBe("abc");
    expect(sorted(plan())).toBe("abc");
  });

  it("not to one that is down, and not to another data centre", () => {
    const ring = ringOf("abc");
    const plan = ring.node("actors-1");
    const [first, second, third] = plan("abc");
    ring.at(first as string).up = false;
    ring.add("z", "far");
    expect(plan("abc")).toBe(`${second}${third}`);
    for (const name of "abc") ring.at(name).up = false;
    expect(plan("abc")).toBe("");
  });

  it("to the second one when the first has more than twice as much without an answer, and back when it has answered", () => {
    const ring = ringOf("abc");
    const plan = ring.node("actors-1");
    const preferred = plan("abc");
    const [first, second, third] = [...preferred].map(ring.at) as [Member, Member, Member];
    first.waiting = IN_FLIGHT_MIN;
    expect(plan("abc")).toBe(preferred);
    first.waiting += 1;
    expect(plan("abc")).toBe(`${second.address}${first.address}${third.address}`);
    second.waiting = 5;
    third.waiting = 5;
    expect(plan("abc")).toBe(preferred);
    first.waiting = 0;
    expect(plan("abc")).toBe(preferred);
  });

  it("to one that can be told before: what goes there first may leave together", () => {
    const ring = ringOf("abcdef");
    const { plan, preferred } = ring.policy("actors-1");
    for (const key of ["abc", "cde", "fab"]) expect(preferred(key)).toBe(plan(key)[0]);
    expect(preferred("abc", "unknown")).toBeUndefined();
  });

  it("by its place, where it was sent with one, and the key is not looked at again", () => {
    const { plan, place } = ringOf("abcdef").policy("actors-1");
    expect(plan("abc", "known", place("def"))).toBe(plan("def"));
    expect(sorted(plan("abc", "known", place("def")).slice(0, 3))).toBe("def");
  });

  it("also to a member that joins", () => {
    const ring = ringOf("abc");
    const plan = ring.node("actors-1");
    plan("abc");
    ring.add("d");
    expect(sorted(plan("bcd"))).toBe("abcd");
    expect(sorted(plan("bcd").slice(0, 3))).toBe("bcd");
  });
});
