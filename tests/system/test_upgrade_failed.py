#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An lbd that was to replace another fails on the way, once the other has stopped to write and
before; the other goes on. What else may be asked meanwhile is refused or done, never half."""
from lab import Lab
from tap import main
from upgradefail import fail_at_each, outlive, services


def test_kernel():
    with Lab("tc") as lab, lab.lbd(services("tc")) as lbd:
        fail_at_each(lab, lbd)
        outlive(lab, lbd)


if __name__ == "__main__":
    main(test_kernel)
