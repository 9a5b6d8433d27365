#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The proxy under load for minutes; test_proxy_load.py is the short form."""
import proxyload as load
from loopback import Loopback
from tap import at_most, main


def test_reloads():
    with Loopback() as lab, load.Servers(lab), lab.lbd(load.configuration()) as lbd:
        load.reloads(lab, lbd, 20)


def test_drains():
    with Loopback() as lab, load.Servers(lab), lab.lbd(load.configuration()) as lbd:
        load.drains(lab, lbd, 20)


def test_upgrades():
    with Loopback() as lab, load.Servers(lab), lab.lbd(load.configuration()) as lbd:
        load.upgrades(lab, lbd, 20, 10)


def test_kills():
    with Loopback() as lab, load.Servers(lab) as servers, lab.lbd(load.configuration()) as lbd:
        for seed in range(3):
            load.kills(lab, lbd, servers, 20, seed)


def test_kills_with_limits():
    """Dead backends have room all the time, those that live have a queue: while a request waits
    there, the one that is alive becomes another."""
    limits = {"algorithm": "least-connections", "max-connections": 4, "retries": {"attempts": 8}}
    with Loopback() as lab, load.Servers(lab) as servers, \
            lab.lbd(load.configuration(**limits)) as lbd:
        load.kills(lab, lbd, servers, 20)


def test_truncations():
    with Loopback() as lab, lab.lbd(load.configuration(["b1"])) as lbd:
        for _ in range(5):
            load.truncations(lab, lbd, 50)


def test_slow():
    with Loopback() as lab, load.Servers(lab), lab.lbd(load.with_slow("10s")) as lbd:
        before, during = load.slow(lab, lbd, 200, 60)
        at_most("other clients' p99 does not double, beside what the crowd does to the machine",
                during, 2 * before)
        load.slowloris(lab, lbd, 5000, 5)


if __name__ == "__main__":
    main(test_reloads, test_drains, test_upgrades, test_kills, test_kills_with_limits,
         test_truncations, test_slow)
