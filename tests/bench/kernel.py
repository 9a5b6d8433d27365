# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The kernel path: cost of a packet, packets per second, bulk data."""
import json
import subprocess
from contextlib import contextmanager

from bulk import Bulk
from lab import VIP, Lab, config, nat
from table import RUNS, Table

CLIENT, BACKEND = "10.0.0.2", "10.0.1.11"
FLOWS = (1, 100000)
MILLION = 1000000
ALGORITHMS = ("round-robin", "weighted-round-robin", "least-connections", "maglev", "source-hash",
              "random-two", "least-latency")
SECONDS = 1
NFT = """
table ip bench {
    chain pre {
        type nat hook prerouting priority dstnat;
        ip daddr %s tcp dport 80 dnat to %s:80
    }
}
""" % (VIP, BACKEND)


def address(number):
    """Of the <number>th backend; only the first one is a machine."""
    return f"10.0.{1 + (number + 10) // 250}.{(number + 10) % 250 + 1}"


def services(hook, forward="nat", flows=131072, algorithm="round-robin", count=1):
    backends = [{"address": f"{address(i)}:80", "name": f"b{i + 1}"} for i in range(count)]
    web = {"algorithm": algorithm, "health": {"type": "none"}, "backends": backends}
    service = {"listen": f"{VIP}:80", "protocol": "tcp", "forward": forward, "pool": "web"}
    return {**config(hook, {"web": web}, {"web": service}), "limits": {"flows": flows}}


def mac(lab, name, link):
    return json.loads(lab.must(name, "ip", "-j", "link", "show", link))[0]["address"]


def program_id(lab):
    found = lab.attached("cl0")
    if not found:
        raise RuntimeError("nothing is attached to cl0")
    return str(next(iter(found.values()))[0])


def prepare(lab):
    """Frames that leave XDP need NAPI at the other end; neighbours do not answer a sink."""
    lab.must("lb", "ethtool", "-K", "cl0", "gro", "on")
    lab.must("sw", "ethtool", "-K", "lb", "gro", "on")
    lab.must("lb", "ip", "route", "replace", "10.0.0.0/21", "dev", "be0", "metric", "100")
    link = mac(lab, "b1", "eth0")
    rows = [f"neigh replace {address(i)} lladdr {link} dev be0 nud permanent" for i in range(1000)]
    subprocess.run(lab.enter("lb") + ["ip", "-batch", "-"], input="\n".join(rows), text=True,
                   check=True)
    lab.must("lb", "ip", "neigh", "replace", CLIENT, "lladdr", mac(lab, "client", "eth0"), "dev",
             "cl0", "nud", "permanent")


def open_flows(lab, helpers, flows):
    """The handshakes; no packet leaves the balancer for them."""
    opened = lab.must("lb", f"{helpers}/pktgen", "open", program_id(lab), "cl0", "be0", CLIENT,
                      VIP, BACKEND, str(flows)).strip()
    if int(opened) != flows:
        print(f"  (of {flows} flows {opened} were opened)", flush=True)


def cost(lab, helpers, kind, flows):
    """(nanoseconds over the empty program, of the empty program) per packet"""
    whole, empty = map(int, lab.must("lb", f"{helpers}/pktgen", "cost", program_id(lab), "cl0",
                                     CLIENT, VIP, str(flows), kind).split())
    return whole - empty, empty


def packet(helpers):
    """The program alone, without drivers: test runs, less an empty program's."""
    table = Table("lbd: one packet, client to backend, program alone, over an empty program",
                  "ns", digits=0)
    for hook, profile in (("native", "xdp"), ("tc", "tc")):
        with Lab(profile, 1, "lbench") as lab:
            prepare(lab)
            # A test run has one skb for all its turns: TC would wrap it again and again.
            for forward in ("nat", "dsr", "ipip") if hook == "native" else ("nat", "dsr"):
                for flows in FLOWS + ((MILLION,) if (hook, forward) == ("native", "nat") else ()):
                    with lab.lbd(services(hook, forward, max(131072, flows))):
                        open_flows(lab, helpers, flows)
                        for _ in range(RUNS):
                            over, empty = cost(lab, helpers, "ack", flows)
                            table.add(f"{hook}, {forward}, {flows} flows", over)
                            table.add("(the empty program and the generator)", empty)
            with lab.lbd(services(hook)):
                for _ in range(RUNS):
                    table.add(f"{hook}, no service's packet", cost(lab, helpers, "other", 1)[0])
    table.show()


def new(helpers):
    """SYNs, each a new flow: the table's half-open quota ends the oldest one for each."""
    table = Table("lbd: one new flow in a table full of half-open ones, program alone, XDP", "ns",
                  digits=0)
    with Lab("xdp", 1, "lbench") as lab:
        prepare(lab)
        for algorithm in ALGORITHMS:
            for count in (3, 100, 1000):
                with lab.lbd(services("native", "nat", 131072, algorithm, count)):
                    for _ in range(RUNS):
                        table.add(f"{algorithm}, {count} backends",
                                  cost(lab, helpers, "syn", MILLION)[0])
    table.show()


class Sink:
    """Counts and drops at the switch what the balancer sends to its backends."""

    def __init__(self, lab, helpers):
        self.lab = lab
        self.process = subprocess.Popen(
            lab.enter("sw") + [f"{helpers}/pktgen", "sink", "lb"], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        lab.record(self.process)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the sink does not start")

    def count(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.lab.end(self.process)


def packets_per_second(lab, helpers, sink, destination, flows):
    began = sink.count()
    sent, seconds = map(float, lab.must(
        "client", f"{helpers}/pktgen", "send", "eth0", mac(lab, "lb", "cl0"), CLIENT, destination,
        str(flows), str(SECONDS)).split())
    arrived = sink.count() - began
    if arrived < sent * 0.98:
        return None  # most of it was lost: that is no rate
    return arrived / seconds


@contextmanager
def nothing(_lab, _helpers, _flows):
    yield "10.0.1.11"


@contextmanager
def nftables(lab, _helpers, _flows):
    subprocess.run(lab.enter("lb") + ["nft", "-f", "-"], input=NFT, text=True, check=True)
    try:
        yield VIP
    finally:
        lab.must("lb", "nft", "delete", "table", "ip", "bench")


@contextmanager
def lbd_with(hook, forward, lab, helpers, flows):
    with lab.lbd(services(hook, forward)):
        open_flows(lab, helpers, flows)
        yield VIP


def rate(helpers):
    table = Table("64-byte packets from the client's veth to the backend's, one core, with the "
                  "generator", "Mpps", 1e6)
    contestants = {
        "kernel routing": nothing,
        "nftables DNAT": nftables,
        "lbd nat, XDP": lambda *args: lbd_with("native", "nat", *args),
        "lbd ipip, XDP": lambda *args: lbd_with("native", "ipip", *args),
        "lbd nat, TC": lambda *args: lbd_with("tc", "nat", *args),
    }
    with Lab("xdp", 1, "lbench") as lab:
        prepare(lab)
        lab.must("lb", "sysctl", "-qw", "net.netfilter.nf_conntrack_max=262144")
        sink = Sink(lab, helpers)
        try:
            for _ in range(RUNS):
                for flows in FLOWS:
                    for name, setup in contestants.items():
                        with setup(lab, helpers, flows) as destination:
                            table.add(f"{name}, {flows} flows", packets_per_second(
                                lab, helpers, sink, destination, flows))
        finally:
            sink.close()
    table.show([(f"lbd nat, XDP, {n} flows", f"{other}, {n} flows") for n in FLOWS
                for other in ("kernel routing", "nftables DNAT")])


def bulk(_helpers):
    table = Table("bulk data by iperf3, one connection", "Gb/s", 1e9)
    one = {"algorithm": "round-robin", "health": {"type": "none"},
           "backends": [{"address": f"{BACKEND}:5201", "name": "b1"}]}
    rows = [("xdp", "native", "on", "XDP"), ("tc", "tc", "on", "TC"),
            ("tc", "tc", "off", "TC, balancer's tx off")]
    for profile, hook, tx, label in rows:
        with Lab(profile, 1, "lbench") as lab, Bulk(lab) as traffic:
            lab.balancer_tx(tx)
            setup = config(hook, {"bulk": one}, {"bulk": nat(f"{VIP}:5201", "bulk")})
            for _ in range(RUNS):
                with lab.lbd(setup):
                    for way in ("up", "down"):
                        table.add(f"lbd nat, {label}, {way}",
                                  traffic.run(VIP, way, 2 * SECONDS) or None)
                for way in ("up", "down"):
                    table.add(f"kernel routing, {label}, {way}",
                              traffic.run(BACKEND, way, 2 * SECONDS) or None)
    table.show([(f"lbd nat, {label}, {way}", f"kernel routing, {label}, {way}")
                for *_, label in rows for way in ("up", "down")])
