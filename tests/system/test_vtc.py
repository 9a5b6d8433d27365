#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each script of tests/system/vtc says of the proxy, by varnishtest; one lbd for each script.

    test_vtc.py [SCRIPT...]     names without ".vtc"; all of them by default

A script is varnishtest's own language (vtc(7)) with a head of comments for this program:

    # backends: s1 s2            the pool's, by varnishtest's names; "full" takes no connection
    # pool: KEY: VALUE           more of the pool's configuration; likewise "service:" and "lbd:"
    # log: TEXT                  lbd's log must have this; "no log:" must not
    # wire c1: TEXT              what the script's "recv" of c1 have read, to the byte
    # count: NAME=N ...          what the service or a backend (s1.failed) has counted

lbd listens at ${lbd}, server s1 at ${s1}, all without health checks; ${lbadm} is the command for
it, ${sock} its socket, ${pid} its process and ${config} its file; "${client} TEXT"
runs Python text with a connection to it.
"""
import concurrent.futures
import glob
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import traceback

from build import BUILD, SLOW
from lab import NO_CHECK
from loopback import Loopback
from tap import ok, main, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
AT_ONCE = 4  # most of them wait for a time-out
LBD = "127.0.0.1:7000"
SERVERS = {f"s{i}": f"127.0.0.1:{7000 + i}" for i in range(1, 5)}
FULL = "127.0.0.1:7009"
TAIL = 60  # lines of a log
DIRECTIVE = re.compile(r"^# (backends|pool|service|lbd|log|no log|wire \w+|count): (.*)$", re.M)


def path_of(name):
    return f"{HERE}/vtc/{name}.vtc"


class Script:
    def __init__(self, name):
        self.name = name
        with open(path_of(name), encoding="utf-8") as file:
            text = file.read()
        self.title = re.search(r'^(?:vtest|varnishtest) "(.*)"$', text, re.M).group(1)
        self.directives = DIRECTIVE.findall(text)

    def all(self, what):
        return [text for key, text in self.directives if key == what]

    def config(self):
        names = " ".join(self.all("backends") or ["s1"]).split()
        rows = "".join(f"      - {{name: {n}, address: {SERVERS.get(n, FULL)}}}\n" for n in names)
        more = {key: "".join(f"    {line}\n" for line in self.all(key))
                for key in ("pool", "service")}
        # A key that the script gives replaces the one here.
        pool = _defaults({"algorithm": "round-robin", "health": f"{{type: {NO_CHECK['type']}}}"},
                         more["pool"])
        service = _defaults({"listen": LBD, "protocol": "http", "pool": "web"}, more["service"])
        return ("".join(f"{line}\n" for line in self.all("lbd")) +
                ("" if "workers:" in str(self.directives) else "workers: 1\n") +
                f"pools:\n  web:\n{pool}{more['pool']}    backends:\n{rows}"
                f"services:\n  web:\n{service}{more['service']}")


def _defaults(values, given):
    keys = set(re.findall(r"^    ([\w-]+):", given, re.M))
    if "routes" in keys:
        keys.add("pool")
    return "".join(f"    {key}: {value}\n" for key, value in values.items() if key not in keys)


def read_by(log, who):
    """The bytes that the script's recv of <who> have read; a line of the log ends by CR LF, or where
    one read ended."""
    lines = re.findall(rf"^\*+ {who} +recv\|(.*)$", log, re.M)
    return "".join(line[:-2] + "\r\n" if line.endswith("\\r") else line for line in lines)


def unescape(text):
    return text.replace("\\r", "\r").replace("\\n", "\n")


def counted(lbd, name):
    backend, _, key = name.rpartition(".")
    if backend:
        return lbd.backends("web")[backend][key]
    return lbd.get("/v1/services/web")[name]


def wrong_counts(lbd, wanted):
    pairs = [pair.split("=") for pair in " ".join(wanted).split()]
    found = {name: counted(lbd, name) for name, _ in pairs}
    return [f"{name} is {found[name]}, expected {value}" for name, value in pairs
            if str(found[name]) != value]


def wrong(script, lbd, log):
    """What does not hold after the script itself has passed."""
    found = []
    for text in script.all("log"):
        if not lbd.wait_log(text, 1):
            found.append(f"lbd's log does not say: {text}")
    found += [f"lbd's log says: {t}" for t in script.all("no log") if t in lbd.log_text()]
    for key, text in script.directives:
        if key.startswith("wire "):
            got = read_by(log, key.split()[1])
            if got != unescape(text):
                found.append(f"{key}:\nexpected: {unescape(text)!r}\ngot:      {got!r}")
    if script.all("count"):
        wait_for(lambda: not wrong_counts(lbd, script.all("count")), 1)
        found += wrong_counts(lbd, script.all("count"))
    return "\n".join(found)


def full_queue():
    """A listener whose queue is full: a SYN to it is dropped (tcp_v4_syn_recv_sock)."""
    host, port = FULL.split(":")
    sockets = [socket.create_server((host, int(port)), backlog=0)]
    sockets.append(socket.create_connection((host, int(port))))
    return sockets


def perform(script, lab, lbd):
    macros = [f"-Dlbd={LBD}", *(f"-D{name}={address}" for name, address in SERVERS.items()),
              f"-Dsock={lbd.socket}", f"-Dpid={lbd.process.pid}", f"-Dconfig={lbd.file}",
              f"-Dclient={HERE}/vtc/client.py {LBD} {lbd.socket}",
              f"-Dlbadm={BUILD}/lbadm --socket {lbd.socket}"]
    done = lab.run("client", "varnishtest", "-v", "-t", str(20 * SLOW), *macros,
                   path_of(script.name))
    if done.returncode:
        return "\n".join((done.stdout + done.stderr).splitlines()[-TAIL:]) + "\n" + lbd.log()
    why = wrong(script, lbd, done.stdout)
    return why and why + "\n" + "\n".join(done.stdout.splitlines()[-TAIL:]) + "\n" + lbd.log()


def play(name):
    """(title, what went wrong or "")."""
    script = Script(name)
    try:
        with Loopback() as lab:
            queue = full_queue()
            lbd = lab.lbd("")
            lbd.write_config(f"pin-path: {lab.pin_path}\nstate-path: {lbd.directory}/state\n"
                             f"admin: {{socket: {lbd.socket}}}\n" + script.config())
            with lbd:
                why = perform(script, lab, lbd)
            for each in queue:
                each.close()
            return script.title, why
    except Exception:  # whatever it is, it is this script's failure
        return script.title, traceback.format_exc()


def test_vtc(names=()):
    names = names or sorted(os.path.basename(p)[:-4] for p in glob.glob(f"{HERE}/vtc/*.vtc"))
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(AT_ONCE, context) as executor:
        for name, (title, why) in zip(names, executor.map(play, names)):
            ok(f"{name}: {title}", not why,
               f"{why}\nthis one alone: {sys.argv[0]} {name}" if why else "")


if __name__ == "__main__":
    wanted, sys.argv[1:] = sys.argv[1:], []
    main(lambda: test_vtc(wanted))
