# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Upgrades whose new lbd comes to grief at each step of the way: the old one goes on as if nothing
had been, in the proxy and in the kernel."""
import os

from build import BUILD
from lab import FAST_CHECK, PROXY, VIP, config, nat, pool
from successor import Wrk, busy, follow
from tap import check, ok, wait_for
from traffic import ask, connect, hold, names, release, share

HERE = os.path.dirname(os.path.abspath(__file__))
ALL = ["b1", "b2", "b3"]
WEB, NAT, TURNS = f"{PROXY}:80", f"{VIP}:80", f"{VIP}:81"
LIMIT = "8s"
# Who is killed refuses; nobody is down for a second in which a loaded machine delayed answers.
HEALTH = {**FAST_CHECK, "fall": 5, "backoff-max": "200ms"}
# (the message of user/daemon/handover.h up to which it goes well, what happens then, lbadm's word)
POINTS = [
    ("hello", "kill", "signal 9"),
    ("prepare", "kill", "signal 9"),
    ("ready", "kill", "signal 9"),
    ("go", "kill", "signal 9"),
    ("serving", "kill", "signal 9"),
    ("prepare", "stop", "was not ready within 8000 ms"),
    ("serving", "stop", "was not ready within 8000 ms"),
]


def services(hook):
    pools = {"web": pool(ALL, "least-connections", HEALTH),
             "turns": pool(ALL, "round-robin", HEALTH, port=8080)}
    return config(hook, pools, {
        "web": {"listen": WEB, "protocol": "http", "pool": "web"},
        "nat": nat(NAT, "web"), "turns": nat(TURNS, "turns")}, workers=2)


def halfway(lbd, when, action, program=f"{BUILD}/lbd"):
    """A program to upgrade to."""
    path = f"{lbd.directory}/halfway"
    with open(path, "w", encoding="ascii") as file:
        file.write(f'#!/bin/sh\nexec {HERE}/halfway.py {program} {when} {action} "$@"\n')
    os.chmod(path, 0o755)
    return path


def check_turns(lab, name, expected):
    """Who is eligible is written first, and the table of turns a moment later."""
    got = []
    wait_for(lambda: got.append(share(lab, TURNS, 12)) or got[-1] == expected)
    check(name, got[-1], expected)


def check_health(lab, lbd, name):
    lab.kill_nginx("b3")
    ok(f"{name}: a backend that dies is seen", lbd.wait_eligible("turns", ["b1", "b2"]))
    check_turns(lab, f"{name}: and gets no flow", {"b1": 6, "b2": 6})
    lab.start_nginx("b3")
    ok(f"{name}: and comes back", lbd.wait_eligible("turns", ALL))
    check_turns(lab, f"{name}: flows go by turns", {"b1": 4, "b2": 4, "b3": 4})


def check_change(lab, lbd, name):
    check(f"{name}: a change is taken", lbd.lbadm("backend", "set", "turns", "b1", "--weight",
                                                  "0").returncode, 0)
    check_turns(lab, f"{name}: and followed", {"b2": 6, "b3": 6})
    check(f"{name}: and back", lbd.lbadm("backend", "set", "turns", "b1", "--weight",
                                         "1").returncode, 0)
    check_turns(lab, f"{name}: in the kernel too", {"b1": 4, "b2": 4, "b3": 4})
    check(f"{name}: a reload is done", lbd.lbadm("config", "reload").returncode, 0)


def check_counts(lab, lbd, name):
    held = hold(lab, TURNS, 6)
    check(f"{name}: flows are counted", {n: b["open"] for n, b in lbd.backends("turns").items()},
          names(held))
    release(held)
    ok(f"{name}: and no more when they have ended", wait_for(
        lambda: not any(b["open"] for b in lbd.backends("turns").values())))


def start_loads(lab):
    return {"kept connections": Wrk(lab, f"http://{WEB}/", 8),
            "new connections": Wrk(lab, f"http://{WEB}/", 4, close=True),
            "flows": Wrk(lab, f"http://{NAT}/", 4)}


def stop_loads(loads, name):
    for what, wrk in loads.items():
        done, failed, text = wrk.stop()
        ok(f"{name}: not one request on {what} failed", failed == 0 and done > 50, text)


def fail_at(lab, lbd, point, held, **other):
    when, action, why = point
    name = f"{action} at {when}"
    pid = lbd.process.pid
    loads = start_loads(lab)
    busy(0.2)
    done = lbd.lbadm("upgrade", halfway(lbd, when, action, **other), "--timeout", LIMIT)
    busy(0.2)
    stop_loads(loads, name)
    ok(f"{name}: the upgrade is refused with its reason",
       done.returncode == 1 and why in done.stderr, f"{done.returncode} {done.stderr}")
    check(f"{name}: the old lbd serves", lbd.get("/v1/status")["pid"], pid)
    check(f"{name}: flows go on to the backends they had", [ask(sock) for _, sock in held],
          [backend for backend, _ in held])
    check_turns(lab, f"{name}: new ones go by turns", {"b1": 4, "b2": 4, "b3": 4})
    check_health(lab, lbd, name)
    check_change(lab, lbd, name)
    check_counts(lab, lbd, name)


def fail_at_each(lab, lbd, **other):
    kept = connect(lab, WEB)
    ask(kept)
    for point in POINTS:
        # Those to b3 end when it dies.
        held = [(name, sock) for name, sock in hold(lab, NAT, 9) if name != "b3"]
        fail_at(lab, lbd, point, held, **other)
        release(held)
    ok("a connection kept all the while is answered", ask(kept) in ALL)
    kept.close()
    ok("the counts agree with the flow table at rest",
       wait_for(lambda: lbd.api("POST", "/v1/audit")[1]["drift"] == 0))


def succeed(lab, lbd, program, name):
    held = hold(lab, NAT, 6)
    loads = start_loads(lab)
    busy(0.2)
    done = lbd.lbadm("upgrade", program)
    check(f"{name}: the upgrade is done", (done.returncode, done.stderr), (0, ""))
    follow(lab, lbd)
    busy(0.2)
    stop_loads(loads, name)
    check(f"{name}: flows go on to the backends they had", [ask(sock) for _, sock in held],
          [backend for backend, _ in held])
    check_turns(lab, f"{name}: new ones go by turns", {"b1": 4, "b2": 4, "b3": 4})
    check_health(lab, lbd, name)
    check_change(lab, lbd, name)
    check_counts(lab, lbd, name)
    release(held)


def outlive(lab, lbd):
    """What the failures left at the pin path is good for the next start."""
    held = hold(lab, NAT, 6)
    lbd.kill()
    check("flows outlive kill -9", [ask(sock) for _, sock in held], [name for name, _ in held])
    lbd.start()
    ok("a new one adopts the kernel path", "adopted, with its flows" in lbd.log_text())
    ok("and sees the backends", lbd.wait_eligible("turns", ALL))
    check("with its flows", [ask(sock) for _, sock in held], [name for name, _ in held])
    check_health(lab, lbd, "after it")
    check_change(lab, lbd, "after it")
    check_counts(lab, lbd, "after it")
    release(held)
