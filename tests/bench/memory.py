# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the kernel keeps for flows, as it says itself (bpf_map_mem_usage, kernel/bpf/syscall.c)."""
import json
import os
import subprocess

from balancer import MILLION, one_service
from lab import Lab
from table import Table

FEW = 65536
TARGET_MB = 192
BPFTOOL = next((path for path in ("/usr/sbin/bpftool", "/sbin/bpftool") if os.path.exists(path)),
               "bpftool")


def map_bytes(path):
    done = subprocess.run([BPFTOOL, "-j", "map", "show", "pinned", path], capture_output=True,
                          text=True, check=True)
    return int(json.loads(done.stdout)["bytes_memlock"])


def sizes(lab, flows):
    """Bytes of each pinned map of an lbd for so many flows."""
    with lab.lbd(one_service("native", flows=flows)):
        pins = [os.path.join(where, name) for where, _, names in os.walk(lab.pin_path)
                for name in names]
        found = {}
        for pin in pins:
            try:
                found[os.path.basename(pin)] = map_bytes(pin)
            except (subprocess.CalledProcessError, KeyError, TypeError):
                continue  # a program or a link
        return found


def memory(_helpers):
    table = Table("lbd: memory of the maps of the kernel path for a million flows", "MB", 1e6)
    with Lab("xdp", 1) as lab:
        few, many = sizes(lab, FEW), sizes(lab, MILLION)
    for name in sorted(many, key=many.get, reverse=True):
        grown = many[name] - few.get(name, 0)
        if grown > 0:
            table.add(f"{name}, {grown / (MILLION - FEW):.1f} bytes a flow", many[name])
    table.add("all that depend on the number of flows",
              sum(many[name] for name in many if many[name] > few.get(name, 0)), TARGET_MB)
    table.add("the others", sum(many[name] for name in many if many[name] <= few.get(name, 0)))
    table.show()
