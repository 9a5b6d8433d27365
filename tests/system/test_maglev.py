#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Hash tables at run time: what a removal and an addition move, and what they leave alone."""
import collections
import contextlib
import os
import socket
import struct

from lab import VIP, Lab, config, nat, pool
from mapsum import Map
from tap import at_most, check, main, ok
from traffic import ask, release, reset

ALL, GONE = ["b1", "b2", "b3", "b4"], "b2"
WEIGHTS = {"b1": 1, "b2": 2, "b3": 1, "b4": 1}
WEB, CLIENT = f"{VIP}:80", "10.0.0.2"
SLOTS = 16381  # of a pool without table-size
HELD, ASKED = range(41000, 41060), range(42000, 42200)  # client ports
POOL, BACKEND = 96, 192  # bytes of struct lb_pool and lb_backend (include/lb/abi.h)


def setup(order):
    return config("native", {"web": pool(order, "maglev", weights=[WEIGHTS[n] for n in order])},
                  {"web": nat(WEB, "web")})


# ---- Tables --------------------------------------------------------------------------------------

def read(lab, name):
    each = Map(f"{lab.pin_path}/maps/{name}")
    with contextlib.closing(os.fdopen(each.fd)):
        return each.read()


def ids_of_slots(lab):
    pools, slots = (read(lab, n) for n in ("lb_pools", "lb_slots"))
    word, = (struct.unpack_from("=Q", pools, at)[0] for at in range(0, len(pools), POOL)
             if pools[at + 32:at + 36] == b"web\0")
    return struct.unpack_from(f"={word >> 32}H", slots, 2 * (word & 0xffffffff))


def table(lab):
    """The slots of the pool as the kernel has them, by address."""
    backends = read(lab, "lb_backends")
    return [bytes(backends[id * BACKEND:id * BACKEND + 18])   # address and port
            for id in ids_of_slots(lab)]


def key(name):
    """As table() has it: IPv4 is mapped to IPv6."""
    return bytes(10) + b"\xff\xff" + socket.inet_aton(f"10.0.1.{10 + int(name[1:])}") + b"\0P"


def moved(before, after):
    """(all slots that lead to another backend, those of them whose backend is still there)"""
    there = set(after)
    changed = [a for a, b in zip(before, after) if a != b]
    return len(changed), sum(a in there for a in changed)


# ---- Clients -------------------------------------------------------------------------------------

def connect_from(lab, port):
    sock = lab.socket()
    sock.settimeout(3)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((CLIENT, port))
    sock.connect((VIP, 80))
    return sock


def hold(lab):
    held = []
    for port in HELD:
        sock = connect_from(lab, port)
        held.append((ask(sock), sock))
    return held


def answers(lab):
    """Who gets a new connection from each port; a RST leaves nothing behind."""
    got = {}
    for port in ASKED:
        sock = connect_from(lab, port)
        got[port] = ask(sock)
        reset(sock)
    return got


def check_held(held, when):
    check(f"every connection stays with its backend {when}", [ask(s) for _, s in held],
          [name for name, _ in held])


# ---- Tests ---------------------------------------------------------------------------------------

def check_shares(slots, names, when):
    counts, weights = collections.Counter(slots), sum(WEIGHTS[n] for n in names)
    due = {n: len(slots) * WEIGHTS[n] / weights for n in names}
    ok(f"shares are within 2% of the weights {when}",
       len(counts) == len(due) and all(abs(counts[key(n)] - due[n]) <= 0.02 * due[n] for n in due),
       f"expected {due}, got {counts}")


def change(lab, lbd, verb, before, *more):
    """By lbadm, rehearsed first; the table after it."""
    said, = lbd.lbadm_json("backend", verb, "web", GONE, *more, "--dry-run")["pools"]
    check(f"a dry run of backend {verb} changes no slot", table(lab) == before, True)
    done = lbd.lbadm("backend", verb, "web", GONE, *more)
    check(f"backend {verb} is done", (done.returncode, done.stderr), (0, ""))
    after = table(lab)
    total, of_others = moved(before, after)
    check(f"backend {verb}: the dry run said what moved",
          (said["slots_before"], said["slots_after"], said["moved_slots"],
           round(said["needed"] * SLOTS)), (SLOTS, SLOTS, total, total - of_others))
    return after, total, of_others


def check_answers(lab, before, slots, of_others):
    """New connections of the same clients. These are few: what slots say holds but for chance."""
    after = answers(lab)
    gone = [port for port in ASKED if before[port] == GONE]
    check("nobody gets the backend that is gone", GONE in after.values(), False)
    at_most("clients of the others stay with theirs, but for those whose slots moved",
            sum(after[p] != before[p] for p in ASKED if p not in gone),
            3 + len(ASKED) * of_others // SLOTS)
    at_most("as many clients move as the dry run said, to 0.15 of all",
            abs(sum(after[p] != before[p] for p in ASKED) / len(ASKED) - slots / SLOTS), 0.15)


def test_removal_and_addition(lab, lbd):
    first = table(lab)
    check("the kernel's table has the size of all pools", len(first), SLOTS)
    check_shares(first, ALL, "of four")
    held, before = hold(lab), answers(lab)
    check("connections are held on every backend", sorted({n for n, _ in held}), ALL)

    after, total, of_others = change(lab, lbd, "remove", first)
    at_most("a removal moves few slots of the others", of_others, SLOTS // 200)
    check_shares(after, [n for n in ALL if n != GONE], "of three")
    check_held(held, "when a backend is removed")
    check_answers(lab, before, total, of_others)

    again, _, _ = change(lab, lbd, "add", after, "--address", "10.0.1.12:80", "--weight",
                      str(WEIGHTS[GONE]))
    check("with the backend back the table is what it was", again == first, True)
    check_held(held, "when it is added again")
    check("and every client gets the backend it got before", answers(lab), before)
    check_held(held, "after all this")
    check("the counts agree with the flow table", lbd.drift("web"), {})
    release(held)
    return first


def test_table_size(lab, lbd):
    said, = lbd.lbadm_json("pool", "set", "web", "--table-size", "1021", "--dry-run")["pools"]
    check("a dry run says that the table would have another size",
          (said["slots_before"], said["slots_after"], len(table(lab))), (SLOTS, 1021, SLOTS))
    check("table-size is taken", lbd.lbadm("pool", "set", "web", "--table-size", "1021").returncode,
          0)
    small = table(lab)
    check("and is the size of the kernel's table", len(small), 1021)
    shown = lbd.get("/v1/pools/web")
    check("and is shown", (shown["table_size"], shown["slots"]), (1021, 1021))
    check_shares(small, ALL, "with 1021 slots")
    refused = lbd.lbadm("pool", "set", "web", "--table-size", "250")
    ok("one that is too small is refused, with what would be right",
       refused.returncode == 1 and "251" in refused.stderr, refused.stderr)


def test_maglev():
    with Lab("xdp", backends=len(ALL)) as lab:
        with lab.lbd(setup(ALL)) as lbd:
            ids = ids_of_slots(lab)
            first = test_removal_and_addition(lab, lbd)
            test_table_size(lab, lbd)
        with lab.lbd(setup(ALL[::-1])):
            check("an lbd told in the opposite order gives other ids", ids_of_slots(lab) != ids,
                  True)
            check("but its table is the same by address", table(lab) == first, True)


if __name__ == "__main__":
    main(test_maglev)
