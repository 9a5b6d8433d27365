# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The balancer that is measured: its configurations, its neighbours, its flows."""
import json
import subprocess
from typing import NamedTuple

from lab import NO_CHECK, VIP, VIP6, config

CLIENTS = 20  # the generator's: MAX_FLOWS / PORTS of pktgen.h
TABLE = 131072  # flows
MILLION = 1000000


class Family(NamedTuple):
    name: str
    vip: str
    client: str
    backend: str

    def join(self, address, port):
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


V4 = Family("IPv4", VIP, "10.0.0.2", "10.0.1.11")
V6 = Family("IPv6", VIP6, "fd00::2", "fd00:0:0:1::11")


def address(number):
    """Of the <number>th backend; only the first one is a machine."""
    return f"10.0.{1 + (number + 10) // 250}.{(number + 10) % 250 + 1}"


def backends(count, family=V4):
    if family is V6:
        return [{"address": family.join(family.backend, 80), "name": "b1"}]
    return [{"address": f"{address(i)}:80", "name": f"b{i + 1}"} for i in range(count)]


def pool(algorithm="round-robin", count=1, family=V4):
    return {"algorithm": algorithm, "health": NO_CHECK, "backends": backends(count, family)}


def service(forward="nat", family=V4, port=80, pool_name="web"):
    return {"listen": family.join(family.vip, port), "protocol": "tcp", "forward": forward,
            "pool": pool_name}


def one_service(hook, forward="nat", family=V4, flows=TABLE):
    return {**config(hook, {"web": pool(family=family)}, {"web": service(forward, family)}),
            "limits": {"flows": flows}}


def mac(lab, name, link):
    return json.loads(lab.must(name, "ip", "-j", "link", "show", link))[0]["address"]


def program_id(lab):
    found = lab.attached("cl0")
    if not found:
        raise RuntimeError("nothing is attached to cl0")
    return str(next(iter(found.values()))[0])


def neighbours(lab):
    """Who does not answer for itself: most backends, and the generator's clients."""
    backend, client = mac(lab, "b1", "eth0"), mac(lab, "client", "eth0")
    rows = [(address(i), backend, "be0") for i in range(1000)] + [(V6.backend, backend, "be0")]
    for i in range(CLIENTS):
        rows += [(f"10.0.0.{2 + i}", client, "cl0"), (f"fd00::{2 + i:x}", client, "cl0")]
    return [f"neigh replace {addr} lladdr {link} dev {dev} nud permanent"
            for addr, link, dev in rows]


def prepare(lab):
    """Frames that leave XDP need NAPI at the other end; neighbours do not answer a sink."""
    lab.must("lb", "ethtool", "-K", "cl0", "gro", "on")
    lab.must("sw", "ethtool", "-K", "lb", "gro", "on")
    lab.must("lb", "ip", "route", "replace", "10.0.0.0/21", "dev", "be0", "metric", "100")
    subprocess.run(lab.enter("lb") + ["ip", "-batch", "-"], input="\n".join(neighbours(lab)),
                   text=True, check=True)


def open_flows(lab, lbd, helpers, flows, family=V4):
    """The handshakes; no packet leaves the balancer for them."""
    lab.must("lb", f"{helpers}/pktgen", "open", program_id(lab), "cl0", "be0", family.client,
             family.vip, family.backend, str(flows))
    opened = sum(backend["open"] for backend in lbd.backends("web").values())
    if opened != flows:
        print(f"  (of {flows} flows {opened} were opened)", flush=True)
