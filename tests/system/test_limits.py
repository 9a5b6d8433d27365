#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Shares of requests by every algorithm, slow start, passive checks, limits. No BPF is touched."""
import collections

from lab import PROXY, Lab, backends, config, pool
from tap import check, main, ok, wait_for
from traffic import Connection, request

ALL = ["b1", "b2", "b3"]
WEIGHTS = [3, 2, 1]
ALGORITHMS = ["round-robin", "weighted-round-robin", "least-connections", "maglev", "source-hash",
              "random-two", "least-latency"]
# One client, requests one after another: what each backend has to get of 60, from and to.
EXACT = {"round-robin": {"b1": 20, "b2": 20, "b3": 20},
         "weighted-round-robin": {"b1": 30, "b2": 20, "b3": 10}}
SLOW, PASSIVE, LIMITED = (f"{PROXY}:{port}" for port in (90, 91, 92))


def http(listen, pool_name, **more):
    return {"listen": listen, "protocol": "http", "pool": pool_name, **more}


def services():
    pools = {name: pool(ALL, name, weights=WEIGHTS) for name in ALGORITHMS}
    listeners = {name: http(f"{PROXY}:{100 + i}", name) for i, name in enumerate(ALGORITHMS)}
    pools["slow"] = pool(ALL, **{"slow-start": "3s"})
    # Nothing listens at the port of b1.
    rows = backends(["b1"], 9) + backends(["b2", "b3"])
    pools["passive"] = {"algorithm": "round-robin", "health": {"type": "none"}, "backends": rows,
                        "passive": {"failures": 3, "window": "10s"}}
    pools["limited"] = pool(["b1"], **{"max-connections": 5})
    listeners |= {"slow": http(SLOW, "slow"), "passive": http(PASSIVE, "passive"),
                  "limited": http(LIMITED, "limited", **{"max-connections-per-source": 2})}
    return config(None, pools, listeners, workers=2, limits={"connections": 1000})


def shares(lab, address, count):
    got = collections.Counter()
    connection = Connection(lab, address)
    for _ in range(count):
        got[request(lab, address, connection=connection)[1].decode().strip()] += 1
    connection.close()
    return dict(got)


def test_algorithms(lab, _lbd):
    for i, name in enumerate(ALGORITHMS):
        got = shares(lab, f"{PROXY}:{100 + i}", 60)
        check(f"{name}: every request is answered", sum(got.values()), 60)
        if name in EXACT:
            check(f"{name}: the shares are exact", got, EXACT[name])
        elif name in ("maglev", "source-hash"):
            check(f"{name}: one client stays at one backend", len(got), 1)
        else:
            check(f"{name}: every backend has its share", sorted(got), ALL)


def weight(lbd, name):
    return lbd.backends("slow")[name]["effective_weight"]


def test_slow_start(lab, lbd):
    check("who is there from the start has its weight", weight(lbd, "b1"), 1)
    for verb in ("disable", "enable"):
        lbd.lbadm("backend", verb, "slow", "b1")
    ok("who is enabled among others starts with less", 0 < weight(lbd, "b1") < 1,
       weight(lbd, "b1"))
    got = shares(lab, SLOW, 40)
    ok("and gets fewer requests", 0 < got.get("b1", 0) < 12, got)
    ok("until it has its weight", wait_for(lambda: weight(lbd, "b1") == 1), weight(lbd, "b1"))
    check("then the shares are even", shares(lab, SLOW, 60), {"b1": 20, "b2": 20, "b3": 20})


def test_passive(lab, lbd):
    statuses = collections.Counter(request(lab, PASSIVE)[0] for _ in range(30))
    check("a refused connect is tried elsewhere", dict(statuses), {200: 30})
    ok("a backend that nobody checks is taken out after three failures",
       wait_for(lambda: lbd.backends("passive")["b1"]["health"] == "down"),
       lbd.backends("passive")["b1"])
    failed = lbd.backends("passive")["b1"]["failed"]
    ok("and tried again later", wait_for(
        lambda: request(lab, PASSIVE)[0] == 200 and
        lbd.backends("passive")["b1"]["failed"] > failed))


def test_limits(lab, lbd):
    check("the limit of a backend is shown", lbd.backends("limited")["b1"]["max_connections"], 5)
    check("the queue of a pool is shown",
          {key: lbd.get("/v1/pools/limited")[key] for key in ("queue", "queued")},
          {"queue": {"size": 1000, "timeout_ms": 5000}, "queued": 0})
    check("the limit of all is shown", lbd.get("/v1/status")["limits"]["connections"], 1000)
    kept = [Connection(lab, LIMITED) for _ in range(2)]
    check("two connections of a source are served",
          [request(lab, LIMITED, connection=each)[0] for each in kept], [200, 200])
    status, _, headers = request(lab, LIMITED)
    check("a third is answered with 429", (status, "retry-after" in headers), (429, True))
    for each in kept:
        each.close()
    ok("until one has gone", wait_for(lambda: request(lab, LIMITED)[0] == 200))


def test_all():
    with Lab("tc") as lab, lab.lbd(services()) as lbd:
        for test in (test_algorithms, test_slow_start, test_passive, test_limits):
            try:
                test(lab, lbd)
            except Exception as error:
                ok(f"{test.__name__} runs to its end", False, repr(error))


if __name__ == "__main__":
    main(test_all)
