#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The proxy among clients, backends and operators that do anything, for a moment; soak_chaos.py is
the long form."""
import chaos
from loopback import Loopback
from tap import main


def test_chaos():
    with Loopback() as lab:
        chaos.run(lab, seconds=10, seed=1, upgrade_s=3)


if __name__ == "__main__":
    main(test_chaos)
