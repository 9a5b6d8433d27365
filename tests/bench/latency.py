# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Requests of one byte through each path: how long they take, and what they cost the machine."""
import subprocess
from contextlib import contextmanager
from typing import NamedTuple

import balancer
from balancer import V4
from contestants import HAPROXY, cpu_seconds, written
from lab import NO_CHECK, PROXY, VIP, Lab, config, nat
from table import RUNS, Table
from tap import wait_for

PORT = 7
BACKEND = f"{V4.backend}:{PORT}"
HAPROXY_TCP = "HAProxy, mode tcp"
KINDS = {"keep": "connections kept", "connect": "a connection for each"}
# Requests a second of one client, for their times; of many, for what they cost.
ALONE = {"keep": 2000, "connect": 1000}
LOAD = {"keep": 8000, "connect": 3000}
CONNECTIONS = 16
LOAD_SECONDS = 2
QUIET = 0.1  # of the CPUs, for others: with more, what the machine does tells nothing
NFT = f"""
table ip bench {{
    chain pre {{
        type nat hook prerouting priority dstnat;
        ip daddr {VIP} tcp dport {PORT} dnat to {BACKEND}
    }}
}}
"""


@contextmanager
def direct(_lab):
    yield V4.backend, None


@contextmanager
def nftables(lab):
    subprocess.run(lab.enter("lb") + ["nft", "-f", "-"], input=NFT, text=True, check=True)
    try:
        yield VIP, None
    finally:
        lab.must("lb", "nft", "delete", "table", "ip", "bench")


@contextmanager
def haproxy(lab):
    path = written(f"{lab.run_dir}/latency.cfg", HAPROXY.format(
        mode="tcp", logs="", options="", listeners=f"listen bench\n    bind {PROXY}:{PORT}\n"
        f"    server b1 {BACKEND}\n"))
    process = lab.popen("lb", "/usr/sbin/haproxy", "-q", "-db", "-f", path)
    try:
        wait_for(lambda: lab.run("lb", "ss", "-Hltn", f"sport = :{PORT}").stdout)
        yield PROXY, process.pid
    finally:
        lab.end(process)


@contextmanager
def lbd_at(lab, hook):
    one = {"algorithm": "round-robin", "health": NO_CHECK,
           "backends": [{"address": BACKEND, "name": "b1"}]}
    with lab.lbd({**config(hook, {"rr": one}, {"rr": nat(f"{VIP}:{PORT}", "rr")}),
                  "limits": {"flows": balancer.TABLE}}):
        yield VIP, None


PATHS = {
    "direct path": direct,
    "lbd nat, XDP": lambda lab: lbd_at(lab, "native"),
    "lbd nat, TC": lambda lab: lbd_at(lab, "tc"),
    "nftables DNAT": nftables,
    HAPROXY_TCP: haproxy,
}


class Answer(NamedTuple):
    median_us: float
    late_us: float  # the 99th percentile
    cost_us: float | None  # busy time of all CPUs for a request; None: others were busy as well


NOTHING = Answer(None, None, None)


_noted = []


def note_once(text):
    if not _noted:
        print(f"  ({text})", flush=True)
    _noted.append(text)


def ask(lab, helpers, address, kind, connections, rate, seconds):
    done = lab.run("client", f"{helpers}/rr", "ask", address, str(PORT), kind, str(connections),
                   str(rate), str(seconds))
    if done.returncode:
        print(f"  ({address}: {done.stderr.strip()})", flush=True)
        return NOTHING
    count, took, median, late, busy, others = map(float, done.stdout.split())
    if connections == 1:
        return Answer(median, late, None)
    if others > QUIET or count / took < 0.95 * rate:
        note_once("the CPU time of turns in which others have the CPUs, or not all requests could "
                  f"be sent, is left out (others {others:.0%}, {address} gave {count / took:.0f} "
                  f"answers a second of {rate})")
        return Answer(median, late, None)
    return Answer(median, late, busy / count)


class Tables:
    def __init__(self):
        self.times = {kind: Table(
            f"1-byte requests of one client, {ALONE[kind]} a second, {words}", "us", digits=0)
            for kind, words in KINDS.items()}
        self.costs = {kind: Table(
            f"CPU of the whole machine per 1-byte request, {LOAD[kind]} a second of {CONNECTIONS} "
            f"clients, {words}",
            "us", digits=1) for kind, words in KINDS.items()}

    def add_times(self, kind, name, answer):
        self.times[kind].add(f"{name}, median", answer.median_us)
        self.times[kind].add(f"{name}, 99th percentile", answer.late_us)

    def add_cost(self, kind, name, base, cost):
        """What is added to the direct path's <base> of the same turn."""
        if name == "direct path":
            self.costs[kind].add("the direct path itself", cost)
        else:
            added = None if base is None or cost is None else cost - base
            self.costs[kind].add(f"added by {name}", added)

    def show(self):
        for kind in KINDS:
            self.times[kind].show()
        for kind in KINDS:
            self.costs[kind].show([(f"added by lbd nat, {hook}", f"added by {HAPROXY_TCP}",
                                    {"at_most": 0.1}) for hook in ("XDP", "TC")])


def load_turn(lab, helpers, address, kind, pid):
    """(CPU us of the machine, of the proxy's process) per request"""
    before = sum(cpu_seconds(pid)) if pid else 0
    answer = ask(lab, helpers, address, kind, CONNECTIONS, LOAD[kind], LOAD_SECONDS)
    own = sum(cpu_seconds(pid)) - before if pid else 0
    return answer.cost_us, own * 1e6 / (LOAD[kind] * LOAD_SECONDS)


def one_turn(lab, helpers, tables):
    bases = {}
    for name, path in PATHS.items():
        with path(lab) as (address, pid):
            for kind in KINDS:
                tables.add_times(kind, name, ask(lab, helpers, address, kind, 1, ALONE[kind], 1))
                cost, own = load_turn(lab, helpers, address, kind, pid)
                tables.add_cost(kind, name, bases.setdefault(kind, cost), cost)
                if pid:
                    tables.costs[kind].add(f"({name}, its process alone)", own)


def latency(helpers):
    tables = Tables()
    with Lab("xdp", 1) as lab:
        lab.popen("b1", f"{helpers}/rr", "serve", str(PORT))
        wait_for(lambda: lab.run("b1", "ss", "-Hltn", f"sport = :{PORT}").stdout)
        for _ in range(RUNS):
            one_turn(lab, helpers, tables)
    tables.show()
