# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How the benchmarks' figures are collected and shown."""
import os
import statistics

RUNS = int(os.environ.get("LBD_BENCH_RUNS", "5"))


class Table:
    """Contestants' figures; a figure that could not be taken is None and shown as such."""

    def __init__(self, title, unit, scale=1.0, digits=2):
        self.title, self.unit, self.scale, self.digits = title, unit, scale, digits
        self.rows = {}

    def add(self, name, value):
        self.rows.setdefault(name, []).append(value)

    def median(self, name):
        values = [v for v in self.rows.get(name, []) if v is not None]
        return statistics.median(values) if values else None

    def _text(self, value):
        return f"{value / self.scale:.{self.digits}f}"

    def show(self, ratios=()):
        """<ratios>: pairs (name, other) whose quotient is worth a line."""
        print(f"\n{self.title} [{self.unit}], median of {RUNS} (range)")
        width = max(map(len, self.rows), default=0)
        for name, values in self.rows.items():
            good = [v for v in values if v is not None]
            failed = f"  {len(values) - len(good)} runs failed" if len(good) < len(values) else ""
            if not good:
                print(f"  {name:{width}}  none: every run failed")
                continue
            print(f"  {name:{width}}  {self._text(self.median(name)):>8}"
                  f"  ({self._text(min(good))} - {self._text(max(good))}){failed}")
        for name, other in ratios:
            if self.median(name) and self.median(other):
                print(f"  {name} / {other}: {self.median(name) / self.median(other):.2f}")
        print(end="", flush=True)
