#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The proxy among clients, backends and operators that do anything. LBD_CHAOS_SEED repeats one."""
import os
import time

import chaos
from loopback import Loopback
from tap import main

SECONDS = int(os.environ.get("LBD_CHAOS_SECONDS", "300"))


def test_chaos():
    with Loopback() as lab:
        chaos.run(lab, SECONDS, int(os.environ.get("LBD_CHAOS_SEED", time.time_ns() % 1000000)))


if __name__ == "__main__":
    main(test_chaos)
