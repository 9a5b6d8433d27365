#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Shares of requests by every algorithm, slow start, passive checks, limits. No BPF is touched."""
import collections

from lab import PROXY, Lab, address_of, backends, config, pool
from tap import check, main, ok, wait_for
from traffic import Connection, connect, request

ALL = ["b1", "b2", "b3"]
WEIGHTS = [3, 2, 1]
ALGORITHMS = ["round-robin", "weighted-round-robin", "least-connections", "maglev", "source-hash",
              "random-two", "least-latency"]
# One client, requests one after another: what each backend has to get of 60, from and to.
EXACT = {"round-robin": {"b1": 20, "b2": 20, "b3": 20},
         "weighted-round-robin": {"b1": 30, "b2": 20, "b3": 10}}
SLOW, PASSIVE, LIMITED, FULL = (f"{PROXY}:{port}" for port in (90, 91, 92, 93))
MUTE = 9999  # of b1: a port that takes connections and says nothing


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
    pools["full"] = pool(["b1"], port=MUTE, **{"max-connections": 1, "queue": {"size": 0}})
    pools["limited"] = pool(["b1"], **{"max-connections": 5})
    listeners |= {"slow": http(SLOW, "slow"), "passive": http(PASSIVE, "passive"),
                  "full": http(FULL, "full"),
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
    check("and counted", lbd.get("/v1/services/limited")["refused"], 1)
    done = lbd.lbadm("stats")
    row = next((line.split() for line in done.stdout.splitlines() if line.startswith("limited ")),
               [])
    head = done.stdout.splitlines()[0].replace("NO ROOM", "NO_ROOM").split()
    check("lbadm stats has it", dict(zip(head, row)).get("REFUSED"), "1")
    for each in kept:
        each.close()
    ok("until one has gone", wait_for(lambda: request(lab, LIMITED)[0] == 200))


def test_no_room(lab, lbd):
    with connect(lab, FULL) as first:
        first.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        ok("a request is at the backend", wait_for(
            lambda: [row["state"] for row in lbd.get("/v1/sessions")["sessions"]
                     if row["service"] == "full"] == ["requesting"]))
        check("a request that finds no room is answered with 503", request(lab, FULL)[0], 503)
    check("and counted", lbd.get("/v1/services/full")["no_room"], 1)
    check("no report of a failing backend was dropped", lbd.get("/v1/stats")["failure_reports"],
          {"dropped": 0})


def test_all():
    with Lab("tc") as lab, lab.socket("b1") as mute, lab.lbd(services()) as lbd:
        mute.bind((address_of("b1"), MUTE))
        mute.listen(16)
        for test in (test_algorithms, test_slow_start, test_passive, test_limits, test_no_room):
            try:
                test(lab, lbd)
            except Exception as error:
                ok(f"{test.__name__} runs to its end", False, repr(error))


if __name__ == "__main__":
    main(test_all)
