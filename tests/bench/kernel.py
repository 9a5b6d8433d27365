# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The kernel path: cost of a packet, packets per second, bulk data."""
import json
import subprocess
from contextlib import contextmanager

from bulk import Bulk
from lab import VIP, Lab, config, nat, pool
from table import RUNS, Table

CLIENT, BACKEND = "10.0.0.2", "10.0.1.11"
FLOWS = (1, 50000)
SECONDS = 1
NFT = """
table ip bench {
    chain pre {
        type nat hook prerouting priority dstnat;
        ip daddr %s tcp dport 80 dnat to %s:80
    }
}
""" % (VIP, BACKEND)


def services(hook):
    return {**config(hook, {"web": pool(["b1"])}, {"web": nat(f"{VIP}:80", "web")}),
            "limits": {"flows": 131072}}


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
    lab.must("lb", "ip", "neigh", "replace", BACKEND, "lladdr", mac(lab, "b1", "eth0"), "dev",
             "be0", "nud", "permanent")
    lab.must("lb", "ip", "neigh", "replace", CLIENT, "lladdr", mac(lab, "client", "eth0"), "dev",
             "cl0", "nud", "permanent")


def open_flows(lab, helpers, flows):
    """The handshakes; no packet leaves the balancer for them."""
    opened = lab.must("lb", f"{helpers}/pktgen", "open", program_id(lab), "cl0", "be0", CLIENT,
                      VIP, BACKEND, str(flows)).strip()
    if int(opened) != flows:
        print(f"  (of {flows} flows {opened} were opened)", flush=True)


def packet(helpers):
    """The program alone, without drivers: test runs, less an empty program's."""
    table = Table("lbd: one packet of an open flow, client to backend, program alone",
                  "ns per packet", digits=0)
    for hook, profile in (("native", "xdp"), ("tc", "tc")):
        with Lab(profile, 1, "lbench") as lab:
            prepare(lab)
            with lab.lbd(services(hook)):
                for flows in FLOWS:
                    open_flows(lab, helpers, flows)
                    for _ in range(RUNS):
                        whole, empty = map(int, lab.must(
                            "lb", f"{helpers}/pktgen", "cost", program_id(lab), "cl0", CLIENT, VIP,
                            str(flows)).split())
                        table.add(f"{hook}, {flows} flows", whole - empty)
                        table.add("the empty program and the generator", empty)
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
def lbd_with(hook, lab, helpers, flows):
    with lab.lbd(services(hook)):
        open_flows(lab, helpers, flows)
        yield VIP


def rate(helpers):
    table = Table("64-byte packets from the client's veth to the backend's, one core, with the "
                  "generator", "Mpps", 1e6)
    contestants = {
        "kernel routing": nothing,
        "nftables DNAT": nftables,
        "lbd nat, XDP": lambda *args: lbd_with("native", *args),
        "lbd nat, TC": lambda *args: lbd_with("tc", *args),
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
