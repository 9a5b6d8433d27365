# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The proxy beside HAProxy, nginx and a bare relay: what a request costs its process, how long it
takes, what bodies cost, and what an idle connection keeps."""
import contextlib
import re
import resource

from contestants import (NAMES, Contestant, cpu_seconds, lbd_config, private_bytes,
                         start_haproxy_http, start_haproxy_tcp, start_nginx,
                         wait_until_all_answer)
from lab import Lab, address_of
from table import RUNS, Table
from traffic import connect

SECONDS = 2
IDLE = 10000  # connections
UNITS = {"us": 1, "ms": 1e3, "s": 1e6}
# name: (connections, more of wrk's arguments)
LOADS = {
    "1 connection": (1, []),
    "64 connections": (64, []),
    "512 connections": (512, []),
    "a connection for each, 64 at once": (64, ["-H", "Connection: close"]),
}
BODIES = {"1 MB": (16, "/1m", 1 << 20), "100 MB": (2, "/100m", 100 << 20)}
LBD, RELAY, HAPROXY, HAPROXY_TCP, NGINX, BARE, THINKING = (
    "lbd", "lbd, tcp relay", "HAProxy", "HAProxy, mode tcp", "nginx", "bare epoll relay",
    "bare relay that thinks")
THINK_NS = 2200  # about each of two messages a request: some of what lbd's own code takes
# lbd's CPU per request beside another's: the targets.
TARGETS = {
    "64 connections": [(HAPROXY, 0.80), (NGINX, 0.90), (BARE, 1.25)],
    "a connection for each, 64 at once": [(HAPROXY, 0.90)],
}


def microseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * UNITS[unit]


class Turn:
    """One run of wrk against one of them; <failed> in words, or None."""

    def __init__(self, lab, contestant, connections, path="/", more=()):
        before = cpu_seconds(contestant.pid)
        text = lab.must("client", "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency",
                        "--timeout", "10s", *more, f"http://{contestant.address}{path}")
        after = cpu_seconds(contestant.pid)
        self.count = int(re.search(r"(\d+) requests in", text).group(1))
        bad = re.search(r"Socket errors: .*|Non-2xx.*", text)
        self.failed = bad.group(0) if bad else "no request" if self.count == 0 else None
        self.user, self.system = (b - a for a, b in zip(before, after))
        self.times = {p: microseconds(re.search(rf" {p}%\s+(\S+)", text).group(1))
                      for p in (50, 99)}
        if self.failed:
            print(f"  ({contestant.name}: {self.failed})", flush=True)

    def per_request(self):
        return None if self.failed else (self.user + self.system) * 1e6 / self.count


@contextlib.contextmanager
def everybody(helpers):
    """(lab, those without a log, those with one)"""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Lab("tc", len(NAMES)) as lab:
        with open(f"{lab.run_dir}/files/100m", "wb") as file:
            file.truncate(100 << 20)
        with lab.lbd(lbd_config(lab, 8001, 8101, 8002)) as lbd:
            haproxy = start_haproxy_http(lab, 8003, 8103)
            nginx = start_nginx(lab, 8005, 8105)
            bare, thinking = (
                lab.popen("lb", f"{helpers}/relay", port, str(ns), *map(address_of, NAMES)).pid
                for port, ns in (("8006", 0), ("8007", THINK_NS)))
            plain = [Contestant(LBD, 8001, lbd.process.pid),
                     Contestant(HAPROXY, 8003, haproxy), Contestant(NGINX, 8005, nginx),
                     Contestant(BARE, 8006, bare), Contestant(THINKING, 8007, thinking),
                     Contestant(RELAY, 8002, lbd.process.pid),
                     Contestant(HAPROXY_TCP, 8004, start_haproxy_tcp(lab, 8004))]
            logged = [Contestant(LBD, 8101, lbd.process.pid), Contestant(HAPROXY, 8103, haproxy),
                      Contestant(NGINX, 8105, nginx)]
            wait_until_all_answer(lab, plain + logged)
            yield lab, plain, logged


def ratios(load):
    return [(LBD, other, {"at_most": most}) for other, most in TARGETS.get(load, [])]


class Requests:
    """The tables of one load."""

    def __init__(self, load, words=""):
        self.load = load
        self.cost = Table(f"CPU of the proxy's process per request, {load}{words}", "us")
        self.user = Table("the user part of it", "us")
        self.late = Table(f"50th and 99th percentile, {load}{words}", "us", digits=0)

    def add(self, name, turn):
        good = not turn.failed
        self.cost.add(name, turn.per_request())
        self.user.add(name, turn.user * 1e6 / turn.count if good else None)
        for percent, value in turn.times.items():
            self.late.add(f"{name}, {percent}th", value if good else None)

    def show(self):
        self.cost.show(ratios(self.load))
        self.user.show()
        self.late.show([(f"{LBD}, 99th", f"{other}, 99th", {"at_most": 1.0})
                        for other in (HAPROXY, NGINX)])


def rotated(contestants, run):
    """Nobody always comes behind the same one, with what that leaves to be written to a disk."""
    at = run % len(contestants)
    return contestants[at:] + contestants[:at]


def requests(lab, plain, logged):
    tables = {load: Requests(load) for load in LOADS}
    with_logs = Requests("64 connections", ", with access logs")
    for run in range(RUNS):
        for load, (connections, more) in LOADS.items():
            for each in rotated(plain, run):
                # A relay keeps its clients' connections: with one for each request it measures
                # its backends.
                if not (more and each.name in (BARE, THINKING, RELAY, HAPROXY_TCP)):
                    tables[load].add(each.name, Turn(lab, each, connections, more=more))
        for each in rotated(logged, run):
            with_logs.add(each.name, Turn(lab, each, 64))
    for each in [*tables.values(), with_logs]:
        each.show()


def bodies(lab, plain):
    """The bare relays take no part: they drop who does not read at once."""
    tables = {name: Table(f"bodies of {name}: CPU of the proxy's process per GB", "s", digits=3)
              for name in BODIES}
    for run in range(RUNS):
        for name, (connections, path, size) in BODIES.items():
            for each in rotated(plain, run):
                if each.name in (BARE, THINKING):
                    continue
                turn = Turn(lab, each, connections, path)
                cost = (turn.user + turn.system) / (turn.count * size / 1e9) if turn.count else None
                tables[name].add(each.name, None if turn.failed else cost)
    for table in tables.values():
        table.show([(LBD, HAPROXY, {"at_most": 1.0}), (LBD, NGINX), (RELAY, HAPROXY_TCP)])


def ask(sock):
    sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: lab\r\n\r\n")
    text = b""
    while not text.endswith(b"ok\n"):
        more = sock.recv(4096)
        if not more:
            raise ConnectionError(f"closed after {text!r}")
        text += more


def idle_turn(lab, contestant):
    """Bytes of the process for each of IDLE connections that have had an answer."""
    before = private_bytes(contestant.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE):
            ask(stack.enter_context(connect(lab, contestant.address)))
        during = private_bytes(contestant.pid)
    return (during - before) / IDLE


def idle(lab, plain):
    table = Table(f"memory of the proxy's process per idle connection, {IDLE} of them", "bytes",
                  digits=0)
    for each in plain:
        if each.name in (LBD, HAPROXY, NGINX):
            table.add(each.name, idle_turn(lab, each), at_most=1024 if each.name == LBD else None)
    table.show()


def proxy(helpers):
    with everybody(helpers) as (lab, plain, logged):
        idle(lab, plain)  # first: a process that has served many has memory to spare
        requests(lab, plain, logged)
        bodies(lab, plain)

