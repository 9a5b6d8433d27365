# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How the benchmarks' figures are collected and shown."""
import os
import statistics

RUNS = int(os.environ.get("LBD_BENCH_RUNS", "5"))


def judged(good):
    return "met" if good else "MISSED"


class Table:
    """Contestants' figures; a figure that could not be taken is None and shown as such."""

    def __init__(self, title, unit, scale=1.0, digits=2):
        self.title, self.unit, self.scale, self.digits = title, unit, scale, digits
        self.rows = {}
        self.targets = {}

    def add(self, name, value, at_most=None):
        """<at_most>: the target of this row, in the table's unit."""
        self.rows.setdefault(name, []).append(value)
        if at_most is not None:
            self.targets[name] = at_most

    def median(self, name):
        values = [v for v in self.rows.get(name, []) if v is not None]
        return statistics.median(values) if values else None

    def _text(self, value):
        return f"{value / self.scale:.{self.digits}f}"

    def _row(self, name):
        values = self.rows[name]
        good = [v for v in values if v is not None]
        if not good:
            return "none: every run failed"
        text = (f"{self._text(self.median(name)):>8}  "
                f"{f'({self._text(min(good))} - {self._text(max(good))})':18}")
        if name in self.targets:
            limit = self.targets[name]
            text += f"  {limit:>6g}  {judged(self.median(name) / self.scale <= limit)}"
        if len(good) < len(values):
            text += f"  {len(values) - len(good)} runs failed"
        return text.rstrip()

    def _ratio(self, name, other, at_least=None, at_most=None):
        if self.median(name) is None or not self.median(other):
            return
        ratio = self.median(name) / self.median(other)
        text = f"  {name} / {other}: {ratio:.2f}"
        if at_least is not None:
            text += f", target at least {at_least:g}: {judged(ratio >= at_least)}"
        if at_most is not None:
            text += f", target at most {at_most:g}: {judged(ratio <= at_most)}"
        print(text)

    def show(self, ratios=()):
        """<ratios>: (name, other[, {"at_least"|"at_most": target}]), quotients worth a line."""
        head = ", median of the runs (range)" + (", target at most" if self.targets else "")
        print(f"\n{self.title} [{self.unit}]{head}")
        width = max(map(len, self.rows), default=0)
        for name in self.rows:
            print(f"  {name:{width}}  {self._row(name)}")
        for name, other, *target in ratios:
            self._ratio(name, other, **(target[0] if target else {}))
        print(end="", flush=True)
