#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An lbd that was to replace another fails on the way, once the other has stopped to write and
before; the other goes on. What else is asked meanwhile is refused or done, never half."""
import signal
import threading
import time

from build import SLOW
from lab import Lab
from successor import Wrk, busy, follow
from tap import at_least, at_most, check, main, ok, wait_for
from traffic import ask, connect, hold, outcome, release, request
from upgradefail import ALL, NAT, WEB, fail_at_each, halfway, outlive, services


def test_kernel():
    with Lab("tc") as lab, lab.lbd(services("tc")) as lbd:
        fail_at_each(lab, lbd)
        outlive(lab, lbd)


class Upgrade(threading.Thread):
    """One that hangs, at <when>, until its time is over."""

    def __init__(self, lbd, when, timeout="3s"):
        super().__init__(daemon=True)
        self.args = lbd, ("upgrade", halfway(lbd, when, "stop"), "--timeout", timeout)
        self.status = self.text = None
        self.start()

    def run(self):
        lbd, args = self.args
        done = lbd.lbadm(*args)
        self.status, self.text = done.returncode, done.stderr


# How far an upgrade goes -> what GET /v1/upgrade says when it hangs there.
HANGS = {"hello": "starting", "prepare": "loading", "serving": "switching"}


def hang(lbd, when):
    upgrade = Upgrade(lbd, when)
    ok(f"an upgrade hangs, {HANGS[when]}",
       wait_for(lambda: lbd.get("/v1/upgrade")["state"] == HANGS[when]), lbd.get("/v1/upgrade"))
    return upgrade


def try_meanwhile(lab, lbd, when):
    pid, good = lbd.process.pid, open(lbd.file, encoding="utf-8").read()
    upgrade = hang(lbd, when)
    done = lbd.lbadm("upgrade")
    ok(f"{HANGS[when]}: a second upgrade is refused with the reason", done.returncode == 1 and
       "an upgrade is under way already" in done.stderr, f"{done.returncode} {done.stderr}")
    lbd.write_config(good.replace("round-robin", "maglev"))
    done = lbd.lbadm("config", "reload")
    ok(f"{HANGS[when]}: a reload is refused with the reason", done.returncode == 1 and
       "an upgrade is under way: nothing can be changed until it has ended" in done.stderr,
       f"{done.returncode} {done.stderr}")
    ok(f"{HANGS[when]}: so is one by signal", lbd.reload() and
       "not reloaded, nothing was changed: an upgrade is under way" in lbd.log_text())
    done = lbd.lbadm("backend", "drain", "web", "b1")
    ok(f"{HANGS[when]}: so is a change", done.returncode == 1 and
       "an upgrade is under way" in done.stderr, f"{done.returncode} {done.stderr}")
    check(f"{HANGS[when]}: and nothing was changed",
          (lbd.get("/v1/pools/turns")["algorithm"], lbd.backends("web")["b1"]["admin"]),
          ("round-robin", "enabled"))
    check(f"{HANGS[when]}: requests are answered", request(lab, WEB)[0], 200)
    upgrade.join(20 * SLOW)
    ok(f"{HANGS[when]}: the first one's time is over", upgrade.status == 1 and
       "was not ready within 3000 ms" in upgrade.text, upgrade.text)
    check(f"{HANGS[when]}: the old one serves", lbd.get("/v1/status")["pid"], pid)
    done = lbd.lbadm("backend", "drain", "web", "b1")
    check(f"{HANGS[when]}: now the change is taken", (done.returncode, done.stderr), (0, ""))
    lbd.lbadm("backend", "enable", "web", "b1")
    check(f"{HANGS[when]}: and the file", lbd.lbadm("config", "reload").returncode, 0)
    check(f"{HANGS[when]}: which counts now", lbd.get("/v1/pools/turns")["algorithm"], "maglev")
    lbd.write_config(good)
    lbd.lbadm("config", "reload")


def test_meanwhile():
    with Lab("tc") as lab, lab.lbd(services(None)) as lbd:
        for when in HANGS:
            try_meanwhile(lab, lbd, when)
        check("then an upgrade is done", lbd.lbadm("upgrade").returncode, 0)
        follow(lab, lbd)
        check("and requests are answered", request(lab, WEB)[0], 200)


def stop_while(lab, when):
    """SIGTERM: the new one is ended, the old one drains as ever."""
    with lab.lbd(services("tc")) as lbd:
        held = hold(lab, NAT, 4)
        kept = connect(lab, WEB)
        ask(kept)
        hang(lbd, when)
        new = lbd.get("/v1/upgrade")["started"]
        process = lbd.process
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        ok(f"{HANGS[when]}: stopped, lbd says that the upgrade is off",
           lbd.wait_log("this lbd goes on: this lbd was told to stop"))
        check(f"{HANGS[when]}: a kept connection is answered once more, and told",
              ask(kept) in ALL, True)
        kept.close()
        ok(f"{HANGS[when]}: lbd ends", wait_for(lambda: process.poll() is not None, 20))
        check(f"{HANGS[when]}: with status 0", process.returncode, 0)
        at_most(f"{HANGS[when]}: long before the time to drain is over, in seconds",
                time.monotonic() - began, 15 * SLOW)
        ok(f"{HANGS[when]}: and nobody is left behind",
           wait_for(lambda: not is_running(new)), new)
        check(f"{HANGS[when]}: flows go on without it", [ask(sock) for _, sock in held],
              [name for name, _ in held])
        check(f"{HANGS[when]}: new ones too", outcome(lab, NAT) in ALL, True)
        lbd.start()
        check(f"{HANGS[when]}: started again it has them", [ask(sock) for _, sock in held],
              [name for name, _ in held])
        check(f"{HANGS[when]}: and serves", request(lab, WEB)[0], 200)
        release(held)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_stop():
    with Lab("tc") as lab:
        for when in HANGS:
            stop_while(lab, when)


def test_reloads():
    """Reloads without an end, by signal, while upgrades are done: each is done or refused."""
    with Lab("tc") as lab, lab.lbd(services(None)) as lbd:
        wrk, fresh = Wrk(lab, f"http://{WEB}/", 8), Wrk(lab, f"http://{WEB}/", 4, close=True)
        over = threading.Event()

        def reload():
            while not over.wait(0.01):
                lbd.process.send_signal(signal.SIGHUP)
        thread = threading.Thread(target=reload, daemon=True)
        thread.start()
        for count in (1, 2, 3):
            check(f"upgrade {count} among reloads is done", lbd.lbadm("upgrade").returncode, 0)
            follow(lab, lbd)
            busy(0.2)
        over.set()
        thread.join()
        for name, load in (("kept connections", wrk), ("new connections", fresh)):
            done, failed, text = load.stop()
            ok(f"not one request on {name} failed", failed == 0 and done > 50, text)
        text = lbd.log_text()
        at_least("reloads were done", text.count("info: reloaded"), 3)
        check("and refused for no other reason than an upgrade",
              text.count("not reloaded"), text.count("not reloaded, nothing was changed: an upgrade"))
        check("a last one is done", lbd.lbadm("config", "reload").returncode, 0)
        ok("only one is left", wait_for(lambda: not lbd.get("/v1/status")["draining"], 40))


if __name__ == "__main__":
    main(test_kernel, test_meanwhile, test_stop, test_reloads)
