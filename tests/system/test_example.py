#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The example configurations, those of the README too, are ones that lbd takes. No privilege needed."""
import os
import re
import subprocess
import tempfile

from build import BUILD
from tap import check, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def check_file(name, path):
    done = subprocess.run([f"{BUILD}/lbd", "-t", "-c", path], capture_output=True, text=True,
                          timeout=30, check=False)
    check(f"{name} is a good configuration",
          (done.returncode, done.stderr if done.returncode else ""), (0, ""))


def test_example():
    for name in sorted(os.listdir(f"{ROOT}/tools/examples")):
        check_file(f"tools/examples/{name}", f"{ROOT}/tools/examples/{name}")


def test_readme():
    """Its whole configurations; other blocks are parts of one."""
    with open(f"{ROOT}/README.md", encoding="utf-8") as file:
        blocks = re.findall(r"^```yaml\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)
    whole = [block for block in blocks if re.search("^services:", block, re.MULTILINE)]
    check("the README has two whole configurations", len(whole), 2)
    for number, block in enumerate(whole, 1):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(block)
            file.flush()
            check_file(f"configuration {number} of the README", file.name)


if __name__ == "__main__":
    main(test_example, test_readme)
