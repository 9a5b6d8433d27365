# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lbd restarted again and again under traffic, with changes in between: no connection may notice.

Every second restart is a kill -9. Builds may be mixed: one whose LB_CTL_ABI is another makes maps
of another layout anew, beside the old ones.
"""
import os
import re
import shutil
import subprocess
import threading

from build import BUILD, ROOT
from lab import VIP, config, nat, pool
from tap import at_least, check, ok, wait_for
from traffic import Stream, ask, connect, hold, release

WEB, OTHER = f"{VIP}:80", f"{VIP}:81"
HELD = 50
ROOMS = ("Makefile", "bpf", "include", "tools", "user")


# What is another in abi.h: the number alone; and with it a map's size, so that it is made anew.
NUMBER = [(r"(#define LB_CTL_ABI )(\d+)", lambda m: m[1] + str(int(m[2]) + 1))]
TABLES = [*NUMBER, (r"(#define LB_MAX_SLOTS\s+\(1U << )(\d+)", lambda m: m[1] + str(int(m[2]) - 1))]


def other_build(directory, changes=tuple(NUMBER)):
    """This tree with the next LB_CTL_ABI; the program's path."""
    for name in ROOMS:
        source = f"{ROOT}/{name}"
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, f"{directory}/{name}")
    header = f"{directory}/include/lb/abi.h"
    with open(header, encoding="utf-8") as file:
        text = file.read()
    for pattern, change in changes:
        text, count = re.subn(pattern, change, text)
        assert count == 1, f"abi.h has no {pattern}"
    with open(header, "w", encoding="utf-8") as file:
        file.write(text)
    subprocess.run(["make", "-C", directory, "-j2", f"B={directory}/build", "VERSION=other",
                    f"{directory}/build/lbd"], check=True, capture_output=True)
    return f"{directory}/build/lbd"


def services(hook, number):
    """The file of the <number>th start: weights, a backend and a service come and go."""
    names = ["b1", "b2", "b3"] if number % 3 else ["b1", "b2"]
    web = pool(names, weights=[1 + number % 4, 2, 1][:len(names)], algorithm=(
        "round-robin", "least-connections", "maglev")[number // 4 % 3])
    more = {"other": nat(OTHER, "other")} if number % 2 else {}
    return config(hook, {"web": web, "other": pool(["b1"], port=8080)},
                  {"web": nat(WEB, "web"), **more})


class Talk:
    """Held connections that ask in turn, in a thread of their own, until stop()."""

    def __init__(self, lab):
        self.held = hold(lab, WEB, HELD)
        self.broken, self.answers = [], 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.005):
            for backend, sock in list(self.held):
                self._ask(backend, sock)

    def _ask(self, backend, sock):
        try:
            got = ask(sock)
        except OSError as error:
            got = repr(error)
        self.answers += 1
        if got != backend:
            self.broken.append(f"{backend}: {got}")
            self.held.remove((backend, sock))

    def stop(self):
        self._over.set()
        self._thread.join(15)
        release(self.held)


def change(lbd, number):
    """What an operator does while lbd runs; the answers do not matter here, the traffic does."""
    name = f"b{1 + number % 2}"
    lbd.api("PATCH", f"/v1/pools/web/backends/{name}", {"admin": "draining"})
    lbd.api("PATCH", f"/v1/pools/web/backends/{name}", {"admin": "enabled", "weight": 3})
    lbd.api("PUT", "/v1/pools/other/backends/b2", {"address": "10.0.1.12:8080", "name": "b2"})
    lbd.api("DELETE", "/v1/pools/other/backends/b2")


def restart(lbd, hook, number, programs):
    lbd.program = programs[number % len(programs)]
    if number % 2:
        lbd.kill()
    else:
        lbd.stop()
    lbd.write_config(services(hook, number))
    lbd.start()
    change(lbd, number)


def new_one(lab):
    with connect(lab, WEB) as sock:
        return ask(sock)


def run(lab, hook, count, programs=None):
    programs = programs or [f"{BUILD}/lbd"]
    label = f"{hook}, {count} restarts of {len(programs)} builds"
    with lab.lbd(services(hook, 0)) as lbd:
        wait_for(lambda: connect(lab, WEB).close() or True)
        talk = Talk(lab)
        adopted = 0
        with Stream(lambda: new_one(lab)) as stream:
            for number in range(1, count + 1):
                restart(lbd, hook, number, programs)
                adopted += lbd.get("/v1/status")["kernel_path"]["adopted"]
                stream.wait_more(5)
        talk.stop()
        check(f"{label}: each one adopts the kernel path", adopted, count)
        check(f"{label}: none of {HELD} connections breaks", talk.broken, [])
        at_least(f"{label}: and they talked all the time", talk.answers, count * HELD // 5)
        check(f"{label}: every new one is answered",
              [seen for _, seen in stream.seen if seen not in ("b1", "b2", "b3")], [])
        audit = wait_for(lambda: (a := lbd.api("POST", "/v1/audit")[1])["drift"] == 0 and a, 3)
        ok(f"{label}: drift is 0", audit, lbd.api("POST", "/v1/audit")[1])
