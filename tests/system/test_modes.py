#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Every forward mode carries TCP and UDP over IPv4 and IPv6 through both hooks, with real servers."""
import hashlib
import os
import socket
import sys

from lab import BUILD, NO_CHECK, VIP, VIP6, Lab, config
from tap import check, main, ok, wait_for
from traffic import ask, connect, request

ALL = ["b1", "b2", "b3"]
LB4, LB6 = "10.0.1.1", "fd00:0:0:1::1"
ECHO = 7
BODY = os.urandom(1 << 20) * 10  # 10 MB
ECHO_SERVER = """
import selectors, socket, sys
poll = selectors.DefaultSelector()
for family, any in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO: answer from the asked address
    sock.setsockopt(*((socket.IPPROTO_IP, 8, 1) if family == socket.AF_INET
                      else (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)))
    sock.bind((any, 7))
    poll.register(sock, selectors.EVENT_READ)
print("ready", flush=True)
name = sys.argv[1].encode()
while True:
    for key, _ in poll.select():
        data, extra, _, sender = key.fileobj.recvmsg(65536, 256)
        level, kind, info = extra[0]
        if level == socket.IPPROTO_IP:  # struct in_pktinfo: ifindex, address of ours, header's
            info = bytes(4) + info[8:12] + bytes(4)
        else:
            info = info[:16] + bytes(4)
        key.fileobj.sendmsg([name + b" " + data], [(level, kind, info)], 0, sender)
"""


def backend_address(name, v6):
    number = 10 + int(name[1:])
    return f"fd00:0:0:1::{number}" if v6 else f"10.0.1.{number}"


def join(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def pool_of(v6, port):
    return {"algorithm": "round-robin", "health": NO_CHECK, "backends": [
        {"address": join(backend_address(n, v6), port), "name": n} for n in ALL]}


def setup(hook, mode, v6, outer6):
    vip = VIP6 if v6 else VIP
    more = {"snat-addresses": [LB6 if v6 else LB4]} if mode == "snat" else {}
    return config(hook, {"web": pool_of(outer6, 80), "echo": pool_of(outer6, ECHO)}, {
        "web": {"listen": join(vip, 80), "protocol": "tcp", "forward": mode, "pool": "web", **more},
        "echo": {"listen": join(vip, ECHO), "protocol": "udp", "forward": mode, "pool": "echo",
                 **more}})


def echo(lab, address, payload, timeout=3.0):
    """(name of the backend, what came back)"""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.socket(family=family, kind=socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((address, ECHO))
        sock.send(payload)
        try:
            name, _, data = sock.recv(65536).partition(b" ")
            return name.decode(), data
        except TimeoutError:
            return "nothing", b""


def shares(lab, vip, count):
    got = {}
    for _ in range(count):
        try:
            with connect(lab, join(vip, 80)) as sock:
                name = ask(sock)
        except OSError as error:
            name = repr(error)
        got[name] = got.get(name, 0) + 1
    return dict(sorted(got.items()))


def upload(lab, vip):
    status, body, _ = request(lab, join(vip, 80), "/upload", "POST", BODY,
                              {"Content-Length": str(len(BODY))})
    return status, body.split()[1:]


def download(lab, vip):
    status, body, _ = request(lab, join(vip, 80), "/64m")
    return status, len(body)


def prepare_backends(lab, servers):
    for name in ALL:
        for vip in (f"{VIP}/32", f"{VIP6}/128"):
            lab.must(name, "ip", "addr", "add", vip, "dev", "lo")
        lab.must(name, f"{BUILD}/lbd", "decap", "attach", "eth0")
        server = lab.popen(name, sys.executable, "-c", ECHO_SERVER, name, stdout=-1, text=True)
        server.stdout.readline()
        servers.append(server)


def release_backends(lab):
    for name in ALL:
        check(f"{name}: lbd decap detach succeeds",
              lab.run(name, f"{BUILD}/lbd", "decap", "detach", "eth0").returncode, 0)


def test_one(lab, hook, mode, v6, outer6):
    vip = VIP6 if v6 else VIP
    label = f"{hook}: {mode}, IPv{6 if v6 else 4}" + (
        f" over IPv{6 if outer6 else 4}" if mode in ("ipip", "gue") else "")
    with lab.lbd(setup(hook, mode, v6, outer6)) as lbd:
        wait_for(lambda: echo(lab, vip, b"first", 0.2)[0] != "nothing", 3)
        check(f"{label}: 9 TCP connections reach the backends in turn", shares(lab, vip, 9),
              {"b1": 3, "b2": 3, "b3": 3})
        check(f"{label}: 10 MB go up", upload(lab, vip), (200, [str(len(BODY)).encode()]))
        check(f"{label}: 64 MB come down", download(lab, vip), (200, 64 << 20))
        names = set()
        for size in (1, 1000, 1400, 4000, 60000):
            payload = os.urandom(size)
            name, data = echo(lab, vip, payload)
            names.add(name)
            check(f"{label}: a UDP datagram of {size} bytes comes back",
                  (len(data), hashlib.sha256(data).hexdigest()),
                  (size, hashlib.sha256(payload).hexdigest()))
        check(f"{label}: UDP flows reach all backends", sorted(names), ALL)
        drift = wait_for(lambda: not lbd.drift("web"), 5)
        ok(f"{label}: counts agree with the flow table", drift, lbd.drift("web"))


CASES = [(mode, v6, v6) for mode in ("nat", "snat", "dsr") for v6 in (False, True)] + \
    [(mode, v6, outer6) for mode in ("ipip", "gue") for v6 in (False, True)
     for outer6 in (False, True)]


def test_hook(profile, hook):
    with Lab(profile) as lab:
        servers = []
        if profile == "xdp":
            lab.take_xdp_tx()
        prepare_backends(lab, servers)
        for mode, v6, outer6 in CASES:
            if not only or f"{mode}{6 if v6 else 4}{6 if outer6 else 4}".startswith(only):
                test_one(lab, hook, mode, v6, outer6)
        release_backends(lab)


def test_xdp():
    test_hook("xdp", "native")


def test_tc():
    test_hook("tc", "tc")


only = os.environ.get("LBD_MODE", "")

if __name__ == "__main__":
    main(test_xdp, test_tc)
