# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Live traffic through the kernel path: packets per second, bulk data."""
import subprocess
from contextlib import contextmanager

import balancer
from balancer import mac, one_service, open_flows, prepare
from bulk import Bulk
from lab import VIP, Lab, config, nat
from table import RUNS, Table

CLIENT, BACKEND = balancer.V4.client, balancer.V4.backend
FLOWS = (1, 100000)
SECONDS = 1
TARGETS = {"kernel routing": 2.5, "nftables DNAT": 4}
NFT = """
table ip bench {
    chain pre {
        type nat hook prerouting priority dstnat;
        ip daddr %s tcp dport 80 dnat to %s:80
    }
}
""" % (VIP, BACKEND)


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
    yield BACKEND


@contextmanager
def nftables(lab, _helpers, _flows):
    subprocess.run(lab.enter("lb") + ["nft", "-f", "-"], input=NFT, text=True, check=True)
    try:
        yield VIP
    finally:
        lab.must("lb", "nft", "delete", "table", "ip", "bench")


@contextmanager
def lbd_with(hook, forward, lab, helpers, flows):
    with lab.lbd(one_service(hook, forward)) as lbd:
        open_flows(lab, lbd, helpers, flows)
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
    with Lab("xdp", 1) as lab:
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
    table.show([(f"lbd nat, XDP, {n} flows", f"{other}, {n} flows", {"at_least": target})
                for n in FLOWS for other, target in TARGETS.items()])


def bulk(_helpers):
    table = Table("bulk data by iperf3, one connection", "Gb/s", 1e9)
    one = {"algorithm": "round-robin", "health": {"type": "none"},
           "backends": [{"address": f"{BACKEND}:5201", "name": "b1"}]}
    rows = [("xdp", "native", "on", "XDP"), ("tc", "tc", "on", "TC"),
            ("tc", "tc", "off", "TC, balancer's tx off")]
    for profile, hook, tx, label in rows:
        with Lab(profile, 1) as lab, Bulk(lab) as traffic:
            lab.balancer_tx(tx)
            setup = config(hook, {"bulk": one}, {"bulk": nat(f"{VIP}:5201", "bulk")})
            for _ in range(RUNS):
                with lab.lbd(setup):
                    for way in ("up", "down"):
                        table.add(f"lbd nat, {label}, {way}",
                                  traffic.run(VIP, way, "-t", str(2 * SECONDS)) or None)
                for way in ("up", "down"):
                    table.add(f"kernel routing, {label}, {way}",
                              traffic.run(BACKEND, way, "-t", str(2 * SECONDS)) or None)
    table.show([(f"lbd nat, {label}, {way}", f"kernel routing, {label}, {way}")
                for *_, label in rows for way in ("up", "down")])
