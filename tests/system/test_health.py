#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# runs alone: it measures how soon
"""A backend that stops leaves the choice in time and without a failed request; one that returns
comes back. Both paths share one pool and its check."""
import collections
import os
import signal
import socket
import time

from lab import PROXY, VIP, Lab, address_of, config, nat, pool
from tap import at_least, at_most, check, main, note, ok, wait_for
from traffic import Stream, connect, outcome, request, share

ALL = ["b1", "b2", "b3"]
KERNEL, WEB = f"{VIP}:80", f"{PROXY}:80"
INTERVAL, TIMEOUT, FALL, RISE, BACKOFF_MAX = 200, 200, 3, 2, 1600
# What may pass from the failure, however it looks, to the last connection that the backend gets.
LIMIT_MS = FALL * INTERVAL + TIMEOUT + 100
ARP_AGAIN = 1000  # arp(7), retrans_time_ms: a question that a dead link lost is asked again so late
CHECK = {"type": "http", "path": "/healthz", "interval": f"{INTERVAL}ms",
         "timeout": f"{TIMEOUT}ms", "rise": RISE, "fall": FALL,
         "backoff-max": f"{BACKOFF_MAX}ms"}


def services(hook):
    return config(hook, {"web": pool(ALL, health=CHECK)}, {
        "kernel": nat(KERNEL, "web"),
        "proxy": {"listen": WEB, "protocol": "http", "pool": "web",
                  "timeouts": {"connect": "500ms", "response-header": "1s"}},
    })


def failure(lab, lbd, what, break_it, mend_it, silent=False):
    """
    Breaks b2 under traffic on both paths, and mends it. A backend that refuses costs no request at
    all; one that falls <silent> costs those that it had, until it is out.
    """
    ok(f"{what}: all are eligible before", lbd.wait_eligible("web", ALL), lbd.backends("web"))
    with Stream(lambda: outcome(lab, KERNEL)) as kernel, \
            Stream(lambda: request(lab, WEB)[0]) as proxy:
        kernel.wait_more(30)
        began = time.monotonic()
        break_it()
        left = lbd.wait_eligible("web", ["b1", "b3"], 5)
        took_ms = (time.monotonic() - began) * 1000
        note(f"{what}: {took_ms:.0f} ms")
        ok(f"{what}: b2 leaves the choice", left, lbd.backends("web"))
        at_most(f"{what}: within fall * interval + timeout + 100 ms", round(took_ms), LIMIT_MS)
        out = now = time.monotonic()
        kernel.wait_more(60)
        proxy.wait_more(60)
        check(f"{what}: after that no new kernel connection fails",
              bad(kernel.since(now), {"b1", "b3"}), {})
        check(f"{what}: nor any idempotent request through the proxy",
              bad(proxy.since(now), {200}), {})
        mend_it()
        began = time.monotonic()
        ok(f"{what}: b2 comes back by itself", lbd.wait_eligible("web", ALL, 10),
           lbd.backends("web"))
        took_ms = (time.monotonic() - began) * 1000
        at_most(f"{what}: within the longest backoff and the rise", round(took_ms),
                BACKOFF_MAX + (RISE - 1) * INTERVAL + TIMEOUT + 200 + ARP_AGAIN * silent)
        now = time.monotonic()
        kernel.wait_more(30)
        check(f"{what}: then it gets connections again", "b2" in kernel.since(now), True)
    check(f"{what}: no request through the proxy failed" + (" from then on" if silent else ""),
          bad(proxy.since(out if silent else 0), {200}), {})


def bad(results, good):
    return dict(collections.Counter(r for r in results if r not in good))


def test_process(lab, lbd, hook):
    failure(lab, lbd, f"{hook}, server killed", lambda: lab.kill_nginx("b2"),
            lambda: lab.start_nginx("b2"))


def test_link(lab, lbd, hook):
    failure(lab, lbd, f"{hook}, link down", lambda: lab.link("b2", "down"),
            lambda: lab.link("b2", "up"), silent=True)


def test_hang(lab, lbd, hook):
    """A stopped process accepts in the kernel and never answers."""
    pid = lab.nginx_pid("b2")

    def mend():
        reason = lbd.backends("web")["b2"]["health_reason"]
        ok(f"{hook}, server hangs: the reason is a timeout", "timeout" in reason, reason)
        os.kill(pid, signal.SIGCONT)

    try:
        failure(lab, lbd, f"{hook}, server hangs", lambda: os.kill(pid, signal.SIGSTOP), mend,
                silent=True)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_quiet(lab, lbd, hook):
    """Without traffic that could fail, probes alone find it; the phase is another each time."""
    pid = lab.nginx_pid("b2")
    worst = 0
    for _ in range(4):
        lbd.wait_eligible("web", ALL)
        began = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        try:
            lbd.wait_eligible("web", ["b1", "b3"])
            worst = max(worst, (time.monotonic() - began) * 1000)
        finally:
            os.kill(pid, signal.SIGCONT)
    at_most(f"{hook}: without traffic a server that hangs is out within the same time",
            round(worst), LIMIT_MS)
    note(f"{hook}: at most {worst:.0f} ms")
    lbd.wait_eligible("web", ALL)


def test_backoff(lab, lbd, _hook):
    """While down, probes become rarer. They are counted at a listener that is not nginx."""
    lab.kill_nginx("b3")
    lbd.wait_eligible("web", ["b1", "b2"])
    seen = []
    with lab.socket("b3") as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address_of("b3"), 80))
        listener.listen(16)
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            listener.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                client, _ = listener.accept()
            except TimeoutError:
                break
            seen.append(time.monotonic())
            client.close()  # without an answer: the probe fails
    at_least("a backend that is down is still probed", len(seen), 2)
    at_most("but less often than one that is up, by backoff", len(seen),
            4000 // INTERVAL // 2)
    lab.start_nginx("b3")
    ok("and it comes back", lbd.wait_eligible("web", ALL, 10), lbd.backends("web"))


def test_all_down(lab, lbd, hook):
    for name in ALL:
        lab.kill_nginx(name)
    ok(f"{hook}: all backends can be down", lbd.wait_eligible("web", []), lbd.backends("web"))
    check(f"{hook}: then the kernel path refuses", outcome(lab, KERNEL), "refused")
    check(f"{hook}: and the proxy answers 503", request(lab, WEB)[0], 503)
    why = lbd.lbadm("backend", "why", "web", "b1").stdout
    ok(f"{hook}: backend why names the reason", "refused" in why or "down" in why, why)
    for name in ALL:
        lab.start_nginx(name)
    ok(f"{hook}: and all come back", lbd.wait_eligible("web", ALL, 10), lbd.backends("web"))
    ok(f"{hook}: and share again",
       wait_for(lambda: share(lab, KERNEL, 9) == {"b1": 3, "b2": 3, "b3": 3}))


def run_all(lab, hook, label):
    with lab.lbd(services(hook)) as lbd:
        lbd.wait_eligible("web", ALL)
        connect(lab, KERNEL).close()
        tests = [test_process, test_link, test_hang]
        if hook == "tc":  # the same for both hooks
            tests += [test_quiet, test_backoff, test_all_down]
        for test in tests:
            test(lab, lbd, label)


def test_xdp():
    with Lab("xdp") as lab:
        run_all(lab, "native", "xdp")


def test_tc():
    with Lab("tc") as lab:
        run_all(lab, "tc", "tc")


if __name__ == "__main__":
    main(test_xdp, test_tc)
