#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Floods of spoofed packets, 30 s each at 80% of a core, do not hurt real connections."""
import flood
from lab import Lab
from tap import main

SIZE = flood.Size(seconds=30, core_share=0.9, at_once=0.99, timeout="2s",
                  round=200000)


def test_xdp():
    with Lab("xdp") as lab:
        flood.run(lab, "native", ["syn", "udp", "ack"], SIZE)


def test_tc():
    with Lab("tc") as lab:
        flood.run(lab, "tc", ["syn", "udp", "ack"], SIZE)


if __name__ == "__main__":
    main(test_xdp, test_tc)
