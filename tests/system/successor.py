# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An lbd that another one started, as the process of the tests' Lbd; and wrk beside it."""
import os
import re
import signal
import subprocess
import time

from build import SLOW
from lab import _alive
from tap import wait_for

WRK = re.compile(r"(\d+) requests in")
ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


class Successor:
    """What a Popen can do, for a process that is no child of ours."""

    def __init__(self, lab, pid):
        self.lab, self.pid, self.returncode = lab, pid, None
        lab.record(self)

    def poll(self):
        if self.returncode is None and not _alive(self.pid):
            self.returncode = 0
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout=10):
        if not wait_for(lambda: self.poll() is not None, timeout):
            raise subprocess.TimeoutExpired("lbd", timeout)
        return self.returncode


def follow(lab, lbd, seconds=15 * SLOW):
    """After an upgrade: waits until the new lbd answers, and makes it <lbd>'s process. The one
    before is returned."""
    before = lbd.process

    def changed():
        try:
            return lbd.get("/v1/status")["pid"] != before.pid
        except OSError:
            return False

    if not wait_for(changed, seconds):
        raise RuntimeError(f"no other lbd answers: {lbd.get('/v1/upgrade')}")
    lbd.process = Successor(lab, lbd.get("/v1/status")["pid"])
    lbd.replaced.append(before)
    return before


class Wrk:
    """Load from the client's namespace until stop(): (requests, failures)."""

    def __init__(self, lab, url, connections=32, seconds=60, close=False):
        headers = ["-H", "Connection: close"] if close else []
        self.process = lab.popen("client", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                                 "--timeout", "5s", *headers, url,
                                 stdout=subprocess.PIPE, text=True)
        self.lab = lab

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        text = self.process.communicate(timeout=20 * SLOW)[0]
        self.lab.end(self.process)
        errors = ERRORS.search(text)
        bad = sum(map(int, errors.groups())) if errors else 0
        odd = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        done = WRK.search(text)
        return int(done.group(1)) if done else 0, bad + (int(odd.group(1)) if odd else 0), text


def busy(seconds):
    """For load that shall last; never for waiting."""
    time.sleep(seconds)
