#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A few hundred random steps of clients, servers, operators and accidents; soak_property.py: more."""
from lab import Lab
from property import random_seed, run
from tap import main

STEPS, EVERY = 150, 75


def test_hook(profile, hook, seeds):
    with Lab(profile) as lab:
        if profile == "xdp":
            lab.take_xdp_tx()
        for seed in seeds:
            run(lab, hook, seed, STEPS, EVERY)


def test_xdp():
    test_hook("xdp", "native", [1, random_seed()])


def test_tc():
    test_hook("tc", "tc", [2])


if __name__ == "__main__":
    main(test_xdp, test_tc)
