#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The example configuration is one that lbd takes. No privilege needed."""
import os
import subprocess

from build import BUILD
from tap import check, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def test_example():
    for name in sorted(os.listdir(f"{ROOT}/tools/examples")):
        done = subprocess.run([f"{BUILD}/lbd", "-t", "-c", f"{ROOT}/tools/examples/{name}"],
                              capture_output=True, text=True, timeout=30, check=False)
        check(f"tools/examples/{name} is a good configuration",
              (done.returncode, done.stderr if done.returncode else ""), (0, ""))


if __name__ == "__main__":
    main(test_example)
