#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The kernel path in nat mode, as clients and the operator see it, on each hook."""
import json

from lab import VIP, Lab, config, nat, pool, settle
from tap import at_most, check, main, ok, wait_for
from traffic import (ask, connect, hold, hold_at_once, names, outcome, release, reset, share,
                     stray_ack)

ALL = ["b1", "b2", "b3"]
ROUND, WEIGHTED, LEAST, NOBODY = (f"{VIP}:{port}" for port in (80, 81, 82, 83))


def services(hook):
    # Each pool has a port of its own: a client port that two services of one backend port use at a
    # time would be a collision, which the kernel path answers by another backend.
    pools = {
        "round": pool(ALL),
        "weighted": pool(ALL, "weighted-round-robin", port=8081, weights=[3, 2, 1]),
        "least": pool(ALL, "least-connections", port=8080),
        "nobody": pool(ALL, weights=[0, 0, 0]),
    }
    return config(hook, pools, {
        "round": nat(ROUND, "round"),
        "weighted": nat(WEIGHTED, "weighted"),
        "least": nat(LEAST, "least"),
        "nobody": nat(NOBODY, "nobody"),
    })


def test_shares(lab, lbd, hook):
    check(f"{hook}: 600 new connections round-robin are shared exactly",
          share(lab, ROUND, 600), {"b1": 200, "b2": 200, "b3": 200})
    check(f"{hook}: 600 new connections by weights 3:2:1 are shared exactly",
          share(lab, WEIGHTED, 600), {"b1": 300, "b2": 200, "b3": 100})
    check(f"{hook}: after that the counts agree with the flow table",
          (lbd.drift("round"), lbd.drift("weighted")), ({}, {}))


def test_least(lab, lbd, hook):
    held, worst = [], 0
    for _ in range(60):
        held += hold(lab, LEAST, 1)
        counts = [names(held).get(name, 0) for name in ALL]
        worst = max(worst, max(counts) - min(counts))
    at_most(f"{hook}: least-connections held open one by one never differ by more than one",
            worst, 1)
    release(held)
    ok(f"{hook}: closed connections leave the count at zero",
       wait_for(lambda: all(b["open"] == 0 for b in lbd.backends("least").values())),
       [(n, b["open"]) for n, b in lbd.backends("least").items()])

    held = hold_at_once(lab, LEAST, 300)
    counts = [names(held).get(name, 0) for name in ALL]
    at_most(f"{hook}: least-connections differ by at most two after 300 at once",
            max(counts) - min(counts), 2)
    release(held)


def test_refusals(lab, _lbd, hook):
    check(f"{hook}: with no eligible backend a connection is refused at once",
          outcome(lab, NOBODY), "refused")
    check(f"{hook}: a packet without a flow that is no SYN is answered by a RST that fits it",
          stray_ack(lab, VIP, 80, ack=1000), ("RST", 1000))


def test_drain(lab, lbd, hook):
    held = hold(lab, ROUND, 9)
    check(f"{hook}: before the drain all three have connections", names(held),
          {"b1": 3, "b2": 3, "b3": 3})
    done = lbd.lbadm("backend", "drain", "round", "b2")
    check(f"{hook}: lbadm backend drain succeeds", (done.returncode, done.stderr), (0, ""))
    after = share(lab, ROUND, 60)
    check(f"{hook}: a draining backend gets no new connection", after.get("b2", 0), 0)
    check(f"{hook}: the others get them all", sum(after.values()), 60)
    check(f"{hook}: connections to a draining backend go on", [ask(s) for _, s in held],
          [name for name, _ in held])
    check(f"{hook}: the API says draining",
          lbd.backends("round")["b2"]["admin"], "draining")
    lbd.lbadm("backend", "enable", "round", "b2")
    check(f"{hook}: enabled again it gets its share", share(lab, ROUND, 60).get("b2"), 20)
    release(held)


def test_views(lab, lbd, hook):
    held = hold(lab, ROUND, 6)
    flows = lbd.lbadm_json("flow", "list", "--service", "round")["flows"]
    mine = {sock.getsockname()[1] for _, sock in held}
    listed = json.dumps(flows)
    check(f"{hook}: flow list names every open connection",
          [port for port in sorted(mine) if f":{port}" not in listed], [])
    counted = lbd.lbadm_json("flow", "count", "--service", "round")["count"]
    check(f"{hook}: flow count agrees with flow list", counted, len(flows))
    opens = {name: b["open"] for name, b in lbd.backends("round").items()}
    check(f"{hook}: backend list shows the open connections", opens, {"b1": 2, "b2": 2, "b3": 2})
    release(held)

    dump = json.loads(lab.must("lb", "bpftool", "-j", "map", "dump", "pinned",
                               f"{lab.pin_path}/maps/lb_backends"))
    rows = [r["formatted"]["value"] if "formatted" in r else r["value"] for r in dump]
    names_seen = sorted(_text(r["name"]) for r in rows if r.get("weight"))
    ok(f"{hook}: bpftool shows the pinned lb_backends with named fields", "b1" in names_seen,
       names_seen[:10])


def _text(value):
    if isinstance(value, str):
        return value
    return "".join(c if isinstance(c, str) else chr(c) for c in value).rstrip("\0")


def test_counts(lab, lbd, hook):
    held = hold(lab, LEAST, 30)
    for _, sock in held[:10]:
        reset(sock)
    release(held[10:])
    ok(f"{hook}: resets and ordinary closes both end the count",
       wait_for(lambda: all(b["open"] == 0 for b in lbd.backends("least").values())),
       [(n, b["open"]) for n, b in lbd.backends("least").items()])
    settle(0.05)  # the last ACKs
    check(f"{hook}: and they agree with the flow table", lbd.drift("least"), {})


def run_all(lab, hook, label):
    with lab.lbd(services(hook)) as lbd:
        connect(lab, ROUND).close()  # one to resolve the neighbours
        share(lab, ROUND, 2)
        for test in (test_shares, test_least, test_refusals, test_drain, test_views, test_counts):
            test(lab, lbd, label)


def test_xdp():
    with Lab("xdp") as lab:
        lab.take_xdp_tx()
        run_all(lab, "native", "xdp")


def test_tc():
    with Lab("tc") as lab:
        run_all(lab, "tc", "tc")
        lab.balancer_tx("off")
        run_all(lab, "tc", "tc, balancer tx off")


if __name__ == "__main__":
    main(test_xdp, test_tc)
