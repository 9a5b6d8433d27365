#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A backend that comes up gets its share little by little: of flows of the kernel path, by each
kind of choice there is, and of requests.

While b2 climbs, batches of connections are counted. What a batch may have is known from the weights
that the API tells before and after it. By turns and by counts the share is exact but for what a
change of the table shifts; by hash it is chance, and the bounds are those that a batch crosses once
in ten thousand million times (ODDS).
"""
import math
import time

from lab import FAST_CHECK, PROXY, VIP, Lab, config, nat, pool
from tap import at_least, at_most, check, main, note, ok, wait_for
from traffic import Connection, hold, names, release, request, share

BOTH = ["b1", "b2"]
SLOW_MS = 8000
STEPS = 16  # RAMP_STEPS of user/pool/ramp.h
ODDS = 1e-10
# Who is killed refuses; nobody is down for a second in which a loaded machine delayed answers.
HEALTH = {**FAST_CHECK, "fall": 5, "backoff-max": "200ms"}
NEAR = 2  # connections that the beginning and end of a batch and each step within it may shift
TURNS, HASH, COUNTS, WEB = f"{VIP}:80", f"{VIP}:81", f"{VIP}:82", f"{PROXY}:80"


def services(hook):
    def slow(algorithm, port):
        return pool(BOTH, algorithm, HEALTH, port, **{"slow-start": f"{SLOW_MS}ms"})
    pools = {"turns": slow("round-robin", 80), "hash": slow("maglev", 8080),
             "counts": slow("least-connections", 8081)}
    return config(hook, pools, {"turns": nat(TURNS, "turns"), "hash": nat(HASH, "hash"),
                                "counts": nat(COUNTS, "counts"),
                                "web": {"listen": WEB, "protocol": "http", "pool": "turns"}})


def chance(n, p, k):
    return math.comb(n, k) * p ** k * (1 - p) ** (n - k)


def least_by_chance(n, p):
    """The lowest count of <n> that is not less likely than ODDS."""
    k, below = 0, chance(n, p, 0)
    while below < ODDS:
        k += 1
        below += chance(n, p, k)
    return k


def by_chance(n, steps):
    low, high = (step / (STEPS + step) for step in steps)
    return least_by_chance(n, low), n - least_by_chance(n, 1 - high)


def exact(n, steps):
    low, high = (n * step / (STEPS + step) for step in steps)
    shifts = NEAR * (1 + steps[1] - steps[0])
    return max(0, math.floor(low) - shifts), math.ceil(high) + shifts


def by_turns(lab, _lbd):
    return 34, share(lab, TURNS, 34)


def by_hash(lab, _lbd):
    return 100, share(lab, HASH, 100)


def by_counts(lab, lbd):
    """All of a batch are open at a time."""
    held = hold(lab, COUNTS, 34)
    release(held)
    wait_for(lambda: not any(b["open"] for b in lbd.backends("counts").values()))
    return 34, names(held)


def by_request(lab, _lbd):
    got = {}
    connection = Connection(lab, WEB)
    for _ in range(34):
        name = request(lab, WEB, connection=connection)[1].decode().strip()
        got[name] = got.get(name, 0) + 1
    connection.close()
    return 34, got


KINDS = [("round-robin flows", "turns", by_turns, exact),
         ("maglev flows", "hash", by_hash, by_chance),
         ("least-connections flows", "counts", by_counts, exact),
         ("round-robin requests", "turns", by_request, exact)]


def step_of(lbd, pool_name):
    """1..STEPS, as the API tells it; 0: not eligible."""
    return round(lbd.backends(pool_name)["b2"]["effective_weight"] * STEPS)


class Climb:
    """What one kind of traffic saw while b2 climbed."""

    def __init__(self, name, pool_name, sample, bounds):
        self.name, self.pool_name, self.sample, self.bounds = name, pool_name, sample, bounds
        self.parts, self.steps, self.wrong = [], [], []

    def look(self, lab, lbd):
        """One batch; False when b2 has been at the top before."""
        before = step_of(lbd, self.pool_name)
        n, got = self.sample(lab, lbd)
        # The kernel's tables follow the step that the API tells within a moment, not before it.
        steps = max(1, before - 1), step_of(lbd, self.pool_name)
        low, high = self.bounds(n, steps)
        if not low <= got.get("b2", 0) <= high:
            self.wrong.append(f"steps {steps}: {got} where b2 has {low}..{high}")
        self.parts.append(got.get("b2", 0) / n)
        self.steps.append(before)
        return before < STEPS

    def judge(self, hook):
        name = f"{hook}, {self.name}"
        check(f"{name}: every batch has the share of its time", self.wrong, [])
        at_least(f"{name}: the climb was seen at different heights", len(set(self.steps)), 4)
        at_most(f"{name}: the first share is small", self.parts[0], 0.35)
        ok(f"{name}: it rises", self.parts[0] < self.parts[len(self.parts) // 2] < 0.65 and
           self.parts[0] < self.parts[-1], f"{self.steps} {self.parts}")


def test_climb(lab, lbd, hook):
    pools = sorted({pool_name for _, pool_name, _, _ in KINDS})
    lab.kill_nginx("b2")
    for pool_name in pools:
        ok(f"{hook}: b2 is down in {pool_name}", lbd.wait_eligible(pool_name, ["b1"]))
    began = time.monotonic()
    lab.start_nginx("b2")
    for pool_name in pools:
        ok(f"{hook}: b2 comes back in {pool_name}", lbd.wait_eligible(pool_name, BOTH))
    step, seconds = step_of(lbd, "turns"), time.monotonic() - began
    at_most(f"{hook}: it is no higher than the time since then allows", step,
            max(1, math.ceil(seconds * 1000 * STEPS / SLOW_MS)))
    climbs = [Climb(*kind) for kind in KINDS]
    while any([climb.look(lab, lbd) for climb in climbs]):
        pass
    at_least(f"{hook}: the climb took its time, in ms", (time.monotonic() - began) * 1000, SLOW_MS)
    for climb in climbs:
        note(f"{climb.name}: " + " ".join(f"{s}:{p:.2f}" for s, p in zip(climb.steps,
                                                                         climb.parts)))
        climb.judge(hook)
    check(f"{hook}: at the top the turns are exact", share(lab, TURNS, 40), {"b1": 20, "b2": 20})


def run_all(profile, hook):
    with Lab(profile, backends=2) as lab, lab.lbd(services(hook)) as lbd:
        if hook == "native":
            lab.take_xdp_tx()
        check(f"{hook}: backends that start together have all of their weight at once",
              share(lab, TURNS, 40), {"b1": 20, "b2": 20})
        test_climb(lab, lbd, hook)


def test_tc():
    run_all("tc", "tc")


def test_xdp():
    run_all("xdp", "native")


if __name__ == "__main__":
    main(test_tc, test_xdp)
