#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Ten restarts under traffic at each hook; soak_restart.py: a hundred, with another build too."""
import restarts
from lab import Lab
from tap import main

COUNT = 10


def test_xdp():
    with Lab("xdp") as lab:
        restarts.run(lab, "native", COUNT)


def test_tc():
    with Lab("tc") as lab:
        restarts.run(lab, "tc", COUNT)


if __name__ == "__main__":
    main(test_xdp, test_tc)
