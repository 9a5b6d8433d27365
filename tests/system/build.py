# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The build under test: where it is, how slow it may be, and what its sanitizers have to say.

LBD_BUILD names it (build). The options of the sanitizers are in tests/run.
"""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("LBD_BUILD", "build"))
REPORT = re.compile(r"(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:")
REPORT_LINES = 200
SLOWER = {b"__asan_init": 4, b"__tsan_init": 8}  # a symbol of the run-time library -> times


def _slowdown():
    try:
        with open(f"{BUILD}/lbd", "rb") as file:
            text = file.read()
    except OSError:
        return 1
    return max((times for symbol, times in SLOWER.items() if symbol in text), default=1)


SLOW = _slowdown()  # limits of time that are about lbd's own work are multiplied by it


def report_in(text):
    """The first report of a sanitizer in <text>, or "" """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if REPORT.search(line):
            return "\n".join(lines[max(number - 1, 0):number + REPORT_LINES])
    return ""
