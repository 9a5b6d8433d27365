#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# runs alone: it measures a rate
"""Floods of spoofed packets do not hurt real connections; soak_flood.py takes 30 s for each."""
import flood
from lab import Lab
from tap import main

# Half a core of two, which the tests and their hosts share.
SIZE = flood.Size(seconds=2, core_share=0.5, at_once=0.99, timeout="1s", round=50000)


def test_xdp():
    with Lab("xdp") as lab:
        flood.run(lab, "native", ["syn", "udp", "ack"], SIZE)


def test_tc():
    with Lab("tc") as lab:
        flood.run(lab, "tc", ["syn"], SIZE)


if __name__ == "__main__":
    main(test_xdp, test_tc)
