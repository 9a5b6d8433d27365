#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# runs alone: it measures times under load
"""The proxy under load, shortly; soak_proxy.py is the long form."""
import proxyload as load
from loopback import Loopback
from tap import at_most, main

SECONDS = 2
NOISE_MS = 100  # what other programs of this machine may do to a p99 in so short a time


def test_changes():
    with Loopback() as lab, load.Servers(lab) as servers, \
            lab.lbd(load.configuration()) as lbd:
        load.reloads(lab, lbd, SECONDS)
        load.drains(lab, lbd, SECONDS)
        load.kills(lab, lbd, servers, SECONDS)
        load.upgrades(lab, lbd, SECONDS, 2)


def test_truncations():
    with Loopback() as lab, lab.lbd(load.configuration(["b1"])) as lbd:
        load.truncations(lab, lbd, 5)


def test_slow():
    with Loopback() as lab, load.Servers(lab), lab.lbd(load.with_slow("2s")) as lbd:
        before, during = load.slow(lab, lbd, 100, SECONDS)
        at_most("other clients' p99 does not grow beyond what the machine does", during,
                max(2 * before, before + NOISE_MS))
        load.slowloris(lab, lbd, 1000, 1)


if __name__ == "__main__":
    main(test_changes, test_truncations, test_slow)
