#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# runs alone: it measures gaps in what is delivered
"""The kernel path goes on without lbd, and the next lbd finds everything as it was."""
import os

from lab import BUILD, VIP, Lab, config, nat, pool, settle
from tap import at_least, at_most, check, main, ok, wait_for
from traffic import BIG, Download, ask, connect, hold, names, outcome, release, share

ALL = ["b1", "b2", "b3"]
ROUND, LEAST = f"{VIP}:80", f"{VIP}:81"


def services(hook, **more):
    # Backends of their own: a client's port that is open to a backend of one pool cannot be used to
    # the same backend through the other, and its connection would take the next in turn.
    return config(hook, {"round": pool(ALL), "least": pool(ALL, "least-connections", port=8080)},
                  {"round": nat(ROUND, "round"), "least": nat(LEAST, "least"), **more})


def answers(held):
    """What each connection answers now."""
    seen = []
    for _, sock in held:
        try:
            seen.append(ask(sock))
        except OSError as error:
            seen.append(type(error).__name__)
    return seen


def flows_of(lbd):
    return sorted((f["client"], f["vip"], f["backend"], f["state"], f["counted"])
                  for f in lbd.flows()
                  if f["state"] in ("open", "syn-ack"))


def opens_of(lbd):
    return {name: b["open"] for name, b in lbd.backends("least").items()}


def test_crash(lab, lbd, hook):
    control = Download(lab, ROUND).whole()

    held = hold(lab, LEAST, 100)
    expected = [name for name, _ in held]
    download = Download(lab, ROUND)
    settle(0.2)
    flows, opens = flows_of(lbd), opens_of(lbd)
    lbd.kill()
    check(f"{hook}: without lbd 100 connections go on", answers(held), expected)
    check(f"{hook}: without lbd new connections are balanced", share(lab, ROUND, 30),
          {"b1": 10, "b2": 10, "b3": 10})
    lbd.start()
    after_flows, after_opens = flows_of(lbd), opens_of(lbd)
    check(f"{hook}: after kill -9 the new lbd shows the same flows",
          [f for f in flows if f not in after_flows], [])
    check(f"{hook}: and the same counts", after_opens, opens)
    check(f"{hook}: the 100 connections are still there", answers(held), expected)
    ok(f"{hook}: the download is still running", download.running())
    result = download.whole()
    check(f"{hook}: the download of 1 GB has no error", result["error"], None)
    at_least(f"{hook}: and comes to its end", result["bytes"], BIG)
    at_most(f"{hook}: its longest gap is at most 50 ms over an undisturbed run",
            round(result["gap_ms"]), round(control["gap_ms"]) + 50)
    release(held)
    ok(f"{hook}: the counts return to zero",
       wait_for(lambda: set(opens_of(lbd).values()) == {0}), opens_of(lbd))
    held = hold(lab, LEAST, 9)
    check(f"{hook}: and least-connections goes on with them", names(held),
          {"b1": 3, "b2": 3, "b3": 3})
    release(held)


def test_second(lab, lbd, hook):
    done = lab.run("lb", f"{BUILD}/lbd", "-c", lbd.file, timeout=10)
    ok(f"{hook}: a second lbd is refused", done.returncode not in (0, -9), done.returncode)
    ok(f"{hook}: and says why in one line", len(done.stderr.strip().splitlines()) == 1 and
       lab.pin_path in done.stderr, done.stderr)
    check(f"{hook}: and the first one goes on", share(lab, ROUND, 6),
          {"b1": 2, "b2": 2, "b3": 2})


def test_term(lab, lbd, hook):
    held = hold(lab, LEAST, 9)
    expected = [name for name, _ in held]
    check(f"{hook}: SIGTERM ends lbd with status 0", lbd.stop(), 0)
    ok(f"{hook}: and it says that the kernel path goes on", "kernel path" in lbd.log_text())
    check(f"{hook}: after SIGTERM open connections go on", answers(held), expected)
    check(f"{hook}: and new connections are balanced", share(lab, ROUND, 9),
          {"b1": 3, "b2": 3, "b3": 3})
    lbd.start()
    check(f"{hook}: a new lbd adopts the kernel path",
          lbd.get("/v1/status")["kernel_path"]["adopted"], True)
    check(f"{hook}: with the connections", answers(held), expected)
    release(held)


def test_change_while_down(lab, lbd, hook):
    """What changed in the file while lbd was away holds after the start."""
    held = hold(lab, LEAST, 3)
    expected = [name for name, _ in held]
    lbd.kill()
    changed = services(hook)
    changed["pools"]["round"]["backends"].pop()
    lbd.write_config(changed)
    lbd.start()
    check("a backend taken from the file while lbd was away gets nothing",
          share(lab, ROUND, 10), {"b1": 5, "b2": 5})
    check("and the other pool's connections go on", answers(held), expected)
    release(held)
    lbd.lbadm("backend", "drain", "least", "b1")
    lbd.kill()
    lbd.start()
    check("a drain survives kill -9", lbd.backends("least")["b1"]["admin"], "draining")
    check("and holds", "b1" in share(lab, LEAST, 12), False)


def attached(lab):
    return {link: found for link in ("cl0", "be0") if (found := lab.attached(link))}


def teardown(lab, lbd):
    """(status, what it complained about)"""
    done = lab.run("lb", f"{BUILD}/lbd", "-c", lbd.file, "--teardown", timeout=10)
    return done.returncode, [line for line in done.stderr.splitlines() if " info: " not in line]


def test_teardown(lab, lbd, hook):
    check(f"{hook}: both interfaces have a program while lbd runs", sorted(attached(lab)),
          ["be0", "cl0"])
    lbd.stop()
    check(f"{hook}: --teardown succeeds", teardown(lab, lbd), (0, []))
    check(f"{hook}: --teardown leaves no pin", os.path.exists(lab.pin_path), False)
    check(f"{hook}: --teardown leaves nothing attached", attached(lab), {})
    check(f"{hook}: the address is nobody's then", outcome(lab, ROUND, 0.3) in
          ("timeout", "error 113"), True)
    check(f"{hook}: --teardown twice is fine", teardown(lab, lbd), (0, []))


def run_all(lab, hook, label, tests):
    with lab.lbd(services(hook)) as lbd:
        connect(lab, ROUND).close()
        share(lab, ROUND, 2)
        for test in tests:
            test(lab, lbd, hook if test is test_change_while_down else label)


def test_xdp():
    with Lab("xdp") as lab:
        run_all(lab, "native", "xdp", [test_crash, test_term, test_teardown])


def test_tc():
    with Lab("tc") as lab:
        run_all(lab, "tc", "tc", [test_crash, test_second, test_term, test_change_while_down,
                                  test_teardown])


if __name__ == "__main__":
    main(test_xdp, test_tc)
