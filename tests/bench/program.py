# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The program alone, without drivers: test runs, less an empty program's.

What lbd counted tells whether the packets were treated as the row says; a row of others fails.
"""
import balancer
from balancer import MILLION, TABLE, V4, V6, one_service, open_flows, prepare, program_id
from lab import NO_CHECK, Lab, config
from table import RUNS, Table
from tap import wait_for

ALGORITHMS = ("round-robin", "weighted-round-robin", "least-connections", "maglev", "source-hash",
              "random-two", "least-latency")
BY_TABLE = ("round-robin", "weighted-round-robin", "maglev", "source-hash")
BACKENDS = {80: 3, 81: 100, 82: 1000}  # by the service's port
NEW = 10000  # flows opened at once
OVER_QUOTA = 50000  # half-open flows: more than a quarter of TABLE, so that none is open twice
HOT_NS, SPREAD_NS, MILLION_NS, NEW_NS, PASS_NS = 60, 120, 180, 250, 15  # targets
GROWTH = 1.1  # with services or backends: what passes for none
OTHER_PORT = 83
VERDICTS = {"ack": "forwarded", "tunnel": "forwarded", "reply": "replied", "syn": "forwarded_new",
            "pass": "not_ours"}
GENERATOR = "(the generator with an empty program"


def target_ns(flows):
    return HOT_NS if flows == 1 else SPREAD_NS if flows <= 100000 else MILLION_NS


def packets_by_verdict(lbd):
    return {name: v["packets"] for name, v in lbd.get("/v1/stats")["verdicts"].items()}


class Program:
    """An lbd's program, and what gives it packets."""

    def __init__(self, lab, lbd, helpers, family=V4):
        self.lab, self.lbd, self.family = lab, lbd, family
        self.argv = [f"{helpers}/pktgen", "cost", program_id(lab)]

    def _ends(self, kind):
        if kind == "reply":
            return "be0", kind, self.family.backend, self.family.client
        return ("cl0", "ack" if kind == "pass" else kind, self.family.client, self.family.vip)

    def cost(self, kind, flows, port=80, turns=RUNS):
        """[(nanoseconds of the program and the generator, of the generator)] for a packet"""
        before = packets_by_verdict(self.lbd)
        text = self.lab.must("lb", *self.argv, *self._ends(kind), str(port), str(flows),
                             str(turns))
        after = packets_by_verdict(self.lbd)
        seen = {name: after[name] - before[name] for name in after if after[name] > before[name]}
        if seen.get(VERDICTS[kind], 0) < 0.99 * sum(seen.values()):
            print(f"  (not all were {VERDICTS[kind]}: {seen})", flush=True)
            return []
        return [tuple(map(int, line.split())) for line in text.splitlines()]

    def measure(self, table, row, kind, flows, target, **options):
        """Adds a row: what the program costs over an empty one."""
        turns = self.cost(kind, flows, **options)
        for whole, empty in turns:
            table.add(row, whole - empty, target)
        if not turns:
            table.add(row, None, target)
        return turns


def note_generator(table, row, turns):
    for _, empty in turns:
        table.add(f"{GENERATOR}{row})", empty)


def established(table, program, forward, label, counts):
    kind = "tunnel" if forward == "ipip" else "ack"
    for count in counts:
        turns = program.measure(table, f"{label}, {count} flows", kind, count, target_ns(count))
    if label.startswith("XDP"):
        note_generator(table, ", and room given back" if forward == "ipip" else "", turns)


def others(table, program, label, counts):
    """What else passes a balancer with open flows of nat."""
    for count in counts:
        program.measure(table, f"{label}, nat, replies, {count} flows", "reply", count,
                        target_ns(count))
    program.measure(table, f"{label}, no service's packet", "pass", 1, PASS_NS, port=OTHER_PORT)


def packet_modes(lab, helpers, table, hook, label, family, forwards):
    for forward in forwards:
        with lab.lbd(one_service(hook, forward, family)) as lbd:
            open_flows(lab, lbd, helpers, 100000, family)
            program = Program(lab, lbd, helpers, family)
            established(table, program, forward, f"{label}, {forward}", (1, 100000))
            if forward == "nat":
                others(table, program, label, (1, 100000))


def packet(helpers):
    table = Table("lbd: one packet of an open flow, program alone, over an empty program", "ns",
                  digits=0)
    # A test run has one skb for all its turns: TC would wrap it again and again.
    for label, hook, profile, forwards in (("XDP", "native", "xdp", ("nat", "dsr", "ipip")),
                                           ("TC", "tc", "tc", ("nat", "dsr"))):
        with Lab(profile, 1) as lab:
            prepare(lab)
            for family in (V4, V6):
                packet_modes(lab, helpers, table, hook, f"{label}, {family.name}", family, forwards)
    table.show()


def flows(helpers):
    table = Table("lbd: one packet of an open flow, by the flows in use of a million open ones, "
                  "program alone, XDP", "ns", digits=0)
    with Lab("xdp", 1) as lab:
        prepare(lab)
        for forward in ("nat", "dsr", "ipip"):
            with lab.lbd(one_service("native", forward, flows=MILLION)) as lbd:
                open_flows(lab, lbd, helpers, MILLION)
                established(table, Program(lab, lbd, helpers), forward, f"XDP, {forward}",
                            (1000, 100000, MILLION))
    table.show()


def many_services(count):
    """The measured one and others, each with an address of its own, all with one pool."""
    listed = {"web": balancer.service()}
    for i in range(1, count):
        listed[f"s{i}"] = {**balancer.service(), "listen": f"10.9.{i // 250}.{i % 250 + 1}:80"}
    return {**config("native", {"web": balancer.pool()}, listed), "limits": {"flows": TABLE}}


def services_turn(lab, helpers, table, count):
    with lab.lbd(many_services(count)) as lbd:
        program = Program(lab, lbd, helpers)
        open_flows(lab, lbd, helpers, 1)
        program.measure(table, f"nat, 1 flow, {count} services", "ack", 1, HOT_NS, turns=1)
        program.measure(table, f"no service's packet, {count} services", "pass", 1, PASS_NS,
                        port=OTHER_PORT, turns=1)
        evicting(program, table, f"new flow for an old one, {count} services", 80, turns=1)


def services(helpers):
    table = Table("lbd: one packet, by the number of services, program alone, XDP", "ns", digits=0)
    with Lab("xdp", 1) as lab:
        prepare(lab)
        for _ in range(RUNS):
            for count in (1, 100, 4000):
                services_turn(lab, helpers, table, count)
    table.show([(f"{what}, 4000 services", f"{what}, 1 services", {"at_most": GROWTH})
                for what in ("nat, 1 flow", "no service's packet", "new flow for an old one")])


def algorithm_services(algorithm, timeout=None):
    """A service for each number of backends."""
    pools = {f"p{count}": {**balancer.pool(algorithm, count), "health": NO_CHECK}
             for count in BACKENDS.values()}
    listed = {f"s{count}": balancer.service(port=port, pool_name=f"p{count}")
              for port, count in BACKENDS.items()}
    if timeout:
        listed["s3"]["flow-timeouts"] = {"syn": timeout}
    return {**config("native", pools, listed), "limits": {"flows": TABLE}}


def table_is_empty(lbd):
    return lbd.get("/v1/stats")["flows"]["used"] == 0


def into_empty(lbd, program, table, algorithm):
    """Rounds of NEW flows; between them, untimed, the sweep ends all of them."""
    for _ in range(RUNS):
        if not wait_for(lambda: table_is_empty(lbd), 30):
            raise RuntimeError("half-open flows are not swept")
        for port, count in BACKENDS.items():
            target = NEW_NS if count == 3 and algorithm in BY_TABLE else None
            program.measure(table, f"{algorithm}, {count} backends", "syn", NEW, target,
                            port=port, turns=1)


def evicting(program, table, row, port, **options):
    """The quota of half-open flows is full; for each new one the oldest ends."""
    program.cost("syn", OVER_QUOTA, port=port, turns=1)
    program.measure(table, row, "syn", OVER_QUOTA, None, port=port, **options)


def new(helpers):
    empty = Table(f"lbd: one new flow, {NEW} at once into an empty table of {TABLE}, program "
                  "alone, XDP, nat", "ns", digits=0)
    full = Table("lbd: one new flow with as many half-open ones as there may be, the oldest ended "
                 "for it, program alone, XDP, nat", "ns", digits=0)
    with Lab("xdp", 1) as lab:
        prepare(lab)
        for algorithm in ALGORITHMS:
            with lab.lbd(algorithm_services(algorithm, "1s")) as lbd:
                into_empty(lbd, Program(lab, lbd, helpers), empty, algorithm)
            with lab.lbd(algorithm_services(algorithm)) as lbd:
                for port, count in BACKENDS.items():
                    evicting(Program(lab, lbd, helpers), full, f"{algorithm}, {count} backends",
                             port)
    for table in (empty, full):
        table.show([(f"{algorithm}, 1000 backends", f"{algorithm}, 3 backends",
                     {"at_most": GROWTH}) for algorithm in ALGORITHMS
                    if algorithm != "least-connections"])
