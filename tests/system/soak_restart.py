#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A hundred restarts under traffic at each hook; every third is to a build of another LB_CTL_ABI and
with tables of another size."""
import tempfile

import restarts
from build import BUILD
from lab import Lab
from tap import main

COUNT = 100


def run(profile, hook):
    with tempfile.TemporaryDirectory() as directory, Lab(profile) as lab:
        other = restarts.other_build(directory, restarts.TABLES)
        restarts.run(lab, hook, COUNT, [f"{BUILD}/lbd", f"{BUILD}/lbd", other])


def test_xdp():
    run("xdp", "native")


def test_tc():
    run("tc", "tc")


if __name__ == "__main__":
    main(test_xdp, test_tc)
