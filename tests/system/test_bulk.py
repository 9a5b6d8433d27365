#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# runs alone: it measures a rate
"""Bulk data through a nat service is not slower than through the kernel's plain routing.

The floors here are loose, because other things run beside the tests; tests/bench measures.
"""
import os

from bulk import Bulk, median
from lab import VIP, Lab, config, nat
from tap import at_least, main, note, ok

RUNS = int(os.environ.get("LBD_BULK_RUNS", "1"))
MOST_RUNS = 9 * RUNS  # where the first one says no: a busy machine is not slow nine times of nine
LENGTH = "-t", "1"
FLOOR = float(os.environ.get("LBD_BULK_FLOOR", "0.80"))


def services(hook):
    one = {"algorithm": "round-robin", "health": {"type": "none"},
           "backends": [{"address": "10.0.1.11:5201", "name": "b1"}]}
    return config(hook, {"bulk": one}, {"bulk": nat(f"{VIP}:5201", "bulk")})


def ratio(rates, way):
    return round(median(rates["nat", way]) / max(median(rates["route", way]), 1), 2)


def compare(lab, hook, label):
    """Routing without lbd and nat with it, in turns, so that both see the same neighbours."""
    rates = {(how, way): [] for how in ("nat", "route") for way in ("up", "down")}
    with Bulk(lab) as bulk:
        for turn in range(MOST_RUNS):
            if turn >= RUNS and all(ratio(rates, way) >= FLOOR for way in ("up", "down")):
                break
            with lab.lbd(services(hook)):
                for way in ("up", "down"):
                    rates["nat", way].append(bulk.run(VIP, way, *LENGTH))
            for way in ("up", "down"):
                rates["route", way].append(bulk.run("10.0.1.11", way, *LENGTH))
    for way in ("up", "down"):
        nat_rate, route = median(rates["nat", way]), median(rates["route", way])
        note(f"{label}, {way}: nat {nat_rate / 1e9:.2f} Gb/s, routing {route / 1e9:.2f} Gb/s")
        at_least(f"{label}: data {way} the nat service flows as fast as routed",
                 ratio(rates, way), FLOOR)


def segments(lab, hook, label):
    with Bulk(lab) as bulk, lab.lbd(services(hook)):
        for way, link in (("up", "be0"), ("down", "cl0")):
            largest = bulk.largest_packet(link, VIP, way)
            ok(f"{label}: packets {way} leave the balancer larger than the MTU, as GSO",
               largest > 1514, f"the largest packet on {link} had {largest} bytes")


def test_xdp():
    with Lab("xdp", 1) as lab:
        compare(lab, "native", "xdp")


def test_tc():
    with Lab("tc", 1) as lab:
        compare(lab, "tc", "tc")
        segments(lab, "tc", "tc")


def test_tc_without_tx():
    with Lab("tc", 1) as lab:
        lab.balancer_tx("off")
        compare(lab, "tc", "tc, balancer tx off")


if __name__ == "__main__":
    main(test_xdp, test_tc, test_tc_without_tx)
