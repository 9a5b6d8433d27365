# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a system test prints: TAP lines, what went wrong, and how to run it again.

A test is a function that calls check() and ok(), each with a sentence. main() runs the functions
named on the command line, or all of them.
"""
import os
import signal
import sys
import time
import traceback

from build import SLOW, report_in

_failed = _count = 0
_on_failure = []  # functions that return text to print, e.g. a daemon's log


def on_failure(report):
    _on_failure.append(report)


def forget(report):
    _on_failure.remove(report)


def note(text):
    print("\n".join("# " + line for line in str(text).splitlines()), flush=True)


def ok(name, good, why=""):
    """One test. <why> is printed when it is not <good>."""
    global _failed, _count
    _count += 1
    print(f"{'ok' if good else 'not ok'} {_count} - {name}", flush=True)
    if good:
        return True
    _failed += 1
    if why:
        note(why)
    for report in _on_failure:
        note(report())
    note(f"rerun: {sys.argv[0]}")
    return False


def check(name, got, expected):
    return ok(name, got == expected, f"expected: {expected!r}\ngot:      {got!r}")


def at_most(name, got, limit):
    return ok(name, got <= limit, f"expected at most {limit}, got {got}")


def at_least(name, got, limit):
    return ok(name, got >= limit, f"expected at least {limit}, got {got}")


def no_report(who, text):
    """A sanitizer's report in what <who> wrote is a failure; that there is none is no news."""
    report = report_in(text)
    return not report or ok(f"{who} has no report of a sanitizer", False, report)


def wait_for(what, seconds=5.0, every=0.01):
    """Calls <what> until it returns something true, and returns that; its last answer if never."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        answer = what()
        if answer or time.monotonic() >= deadline:
            return answer
        time.sleep(every)


def _on_signal(number, _):
    """To be ended is an exception, so that every lab and lbd is left as it should be."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(f"signal {number}")


def main(*tests):
    """Runs <tests>; an exception in one is its failure, and the others still run."""
    if os.geteuid() != 0:
        ok("system tests run as root", False, "network namespaces and BPF need root")
        sys.exit(1)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _on_signal)
    wanted = sys.argv[1:]
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        try:
            test()
        except Exception:  # whatever it is, it is this test's failure
            ok(f"{test.__name__} runs to its end", False, traceback.format_exc())
    print(f"1..{_count}", flush=True)
    sys.exit(1 if _failed else 0)
