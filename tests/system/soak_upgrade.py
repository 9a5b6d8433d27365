#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Upgrades to a build of another LB_CTL_ABI, which makes maps of its own beside those of the old:
those that fail on the way, and then one that does not. LBD_OTHER_BUILD: that build's program."""
import os
import tempfile

from lab import Lab
from restarts import TABLES, other_build
from tap import check, main
from upgradefail import fail_at_each, outlive, services, succeed


def run(lab, hook, program):
    with lab.lbd(services(hook)) as lbd:
        fail_at_each(lab, lbd, program=program)
        outlive(lab, lbd)
        succeed(lab, lbd, program, "to the other build")
        succeed(lab, lbd, lbd.program, "and back")
        outlive(lab, lbd)


def test_other_abi():
    built = os.environ.get("LBD_OTHER_BUILD")
    with tempfile.TemporaryDirectory() as directory:
        program = built or other_build(directory, TABLES)
        check("there is another build", os.access(program, os.X_OK), True)
        with Lab("tc") as lab:
            run(lab, "tc", program)
        with Lab("xdp") as lab:
            lab.take_xdp_tx()
            run(lab, "native", program)


if __name__ == "__main__":
    main(test_other_abi)
