#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Path MTU discovery through the balancer, with 1400 bytes in one of three places:

    far --- near router --- balancer --- back router --- b1, b2
             (client)         (lb)           (sw)

"near" and "back": a router's route takes no more, so that its ICMP errors are about packets the
balancer rewrote; "own": the balancer's own route to the backends. Nothing but these errors tells an
end about it: without them large transfers stand still. dsr wants its backends on the balancer's
link, so "back" is nothing to it; the other modes have routers on both sides.
"""
import errno
import json
import os
import socket
import struct
import sys
import tempfile

from lab import BUILD, NO_CHECK, VIP, VIP6, Lab, config
from tap import check, main, ok, wait_for
from test_modes import ECHO_SERVER, join

MTU = 1400
BODY = 10 << 20
FAR, SERVERS = "b3", ["b1", "b2"]  # the client is one of the lab's servers, on another cable
FAR4, FAR6 = "10.9.0.2", "fd00:9::2"
OVERHEAD = {"ipip": {False: 20, True: 40}, "gue": {False: 28, True: 48}}
# <linux/in.h>, <linux/in6.h>, <linux/errqueue.h>
IP_MTU_DISCOVER, IP_RECVERR, IPV6_MTU_DISCOVER, IPV6_RECVERR, PMTUDISC_DO = 10, 11, 23, 25, 2
MSG_ERRQUEUE = 0x2000
GATEWAY = "10.2.0.2", "fd00:2::2"


def run_ip(lab, name, *lines):
    for line in lines:
        lab.must(name, "ip", *line.split())


def move_far(lab):
    """The far client: its cable goes to the client's namespace, which becomes a router."""
    run_ip(lab, FAR, "link set eth0 down",
           f"link add far type veth peer name r netns {lab.prefix}-client")
    lab.must(FAR, "ethtool", "-K", "far", *(["tx", "off", "gro", "on"]
                                            if lab.profile == "xdp" else ["gro", "on"]))
    run_ip(lab, FAR, "link set far up", f"addr add {FAR4}/24 dev far",
           f"addr add {FAR6}/64 dev far nodad", "route add default via 10.9.0.1",
           "-6 route add default via fd00:9::1")
    make_router(lab, "client")
    run_ip(lab, "client", "link set r up", "addr add 10.9.0.1/24 dev r",
           "addr add fd00:9::1/64 dev r nodad")
    run_ip(lab, "lb", "route add 10.9.0.0/24 via 10.0.0.2", "-6 route add fd00:9::/64 via fd00::2")


def make_router(lab, name):
    lab.must(name, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
             "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
             "net.ipv4.conf.all.send_redirects=0")


def move_backends(lab):
    """The switch becomes the back router: the balancer's cable leaves the bridge."""
    run_ip(lab, "sw", "link set lb nomaster", "addr add 10.2.0.2/24 dev lb",
           "addr add fd00:2::2/64 dev lb nodad", "addr add 10.0.1.1/24 dev br0",
           "addr add fd00:0:0:1::1/64 dev br0 nodad", "route add default via 10.2.0.1",
           "-6 route add default via fd00:2::1")
    make_router(lab, "sw")
    run_ip(lab, "lb", "addr del 10.0.1.1/24 dev be0", "addr del fd00:0:0:1::1/64 dev be0",
           "addr add 10.2.0.1/24 dev be0",
           "addr add fd00:2::1/64 dev be0 nodad", "route add 10.0.1.0/24 via 10.2.0.2",
           "-6 route add fd00:0:0:1::/64 via fd00:2::2")
    for name in ("lb", *SERVERS):  # their gateway has moved
        run_ip(lab, name, "neigh flush all", "-6 neigh flush all")


def narrow(lab, where, narrowed, routed):
    """Sets or takes back the one narrow route; and everybody forgets what it has learnt."""
    via4, via6 = (f"via {GATEWAY[0]}", f"via {GATEWAY[1]}") if routed else ("dev be0", "dev be0")
    name, *routes = {
        "near": ("client", f"{FAR4}/32 dev r", f"{FAR6}/128 dev r"),
        "back": ("sw", "10.0.1.0/25 dev br0", "fd00:0:0:1::/65 dev br0"),
        "own": ("lb", f"10.0.1.0/25 {via4}", f"fd00:0:0:1::/65 {via6}"),
    }[where]
    for version, route in zip(("-4", "-6"), routes):
        run_ip(lab, name, f"{version} route " + (f"add {route} mtu lock {MTU}" if narrowed
                                                 else f"del {route}"))
    for name in ["lb", "client", "sw", FAR, *SERVERS]:
        run_ip(lab, name, "route flush cache", "-6 route flush cache")


def setup(hook, mode, v6, outer6, routed):
    vip, source = (VIP6, "fd00:2::1") if v6 else (VIP, "10.2.0.1")
    if not routed:
        source = "fd00:0:0:1::1" if v6 else "10.0.1.1"
    more = {"snat-addresses": [source]} if mode == "snat" else {}

    def pool(port):
        ends = [f"fd00:0:0:1::{10 + int(n[1:])}" if outer6 else f"10.0.1.{10 + int(n[1:])}"
                for n in SERVERS]
        return {"algorithm": "round-robin", "health": NO_CHECK, "backends": [
            {"address": join(end, port), "name": n} for end, n in zip(ends, SERVERS)]}

    def service(protocol, port, name):
        return {"listen": join(vip, port), "protocol": protocol, "forward": mode, "pool": name,
                **more}

    return config(hook, {"web": pool(80), "echo": pool(7), "none": pool(9)}, {
        "web": service("tcp", 80, "web"), "echo": service("udp", 7, "echo"),
        "none": service("udp", 9, "none")})


# ---- What the far client sees ------------------------------------------------------------------


def curl(lab, *args):
    done = lab.run(FAR, "curl", "-gs", "--max-time", "10", "-w", "%{http_code} %{size_download} "
                   "%{size_upload}", "-o", "/dev/null", *args, timeout=20)
    return done.stdout or done.stderr


def upload(lab, vip, file):
    return curl(lab, "-H", "Expect:", "--data-binary", f"@{file}", f"http://{join(vip, 80)}/upload")


def download(lab, vip):
    return curl(lab, "-r", f"0-{BODY - 1}", f"http://{join(vip, 80)}/64m")


def udp(lab, vip, port):
    """A connected socket that never fragments, whose errors come with their cause."""
    v6 = ":" in vip
    sock = lab.socket(FAR, socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    sock.setsockopt(level, IPV6_MTU_DISCOVER if v6 else IP_MTU_DISCOVER, PMTUDISC_DO)
    sock.setsockopt(level, IPV6_RECVERR if v6 else IP_RECVERR, 1)
    sock.settimeout(0.3)
    sock.connect((vip, port))
    return sock


def error_of(sock):
    """("EMSGSIZE", MTU) or (name of another error, 0) from the error queue; None: none is there."""
    try:
        _, extra, _, _ = sock.recvmsg(2048, 512, MSG_ERRQUEUE)
    except (BlockingIOError, TimeoutError):
        return None
    for level, _, data in extra:
        if level in (socket.IPPROTO_IP, socket.IPPROTO_IPV6):
            number, _, _, _, _, info, _ = struct.unpack_from("=IBBBBII", data)
            return errno.errorcode[number], info if number == errno.EMSGSIZE else 0
    return None


def first_error(sock, size, tries=10):
    """Sends datagrams until an error comes back. The first may tell the balancer, not us."""
    for _ in range(tries):
        try:
            sock.send(bytes(size))
            sock.recv(2048)
        except OSError:
            pass  # what it was is in the queue
        error = error_of(sock)
        if error:
            return error
    return None


def learnt(lab, name, address, source=None):
    """The MTU that a host believes the way to <address> has; 0: it never heard of one."""
    argv = ["ip", "-j", "route", "get", address] + (["from", source] if source else [])
    route = json.loads(lab.must(name, *argv))[0]
    return next((m["mtu"] for m in route.get("metrics", []) if "mtu" in m), 0)


# ---- The cases ---------------------------------------------------------------------------------


def test_transfers(lab, label, vip, file):
    check(f"{label}: 10 MB go up", upload(lab, vip, file), f"200 {len('b1 10485760') + 1} {BODY}")
    check(f"{label}: 10 MB come down", download(lab, vip), f"206 {BODY} 0")


def test_narrow_backend(lab, label, vip, expected):
    """The way towards the backends is narrow: the client must hear of it."""
    with udp(lab, vip, 7) as sock:
        check(f"{label}: 1450 bytes with DF are too large, and the error says for what",
              first_error(sock, 1450), ("EMSGSIZE", expected))
    check(f"{label}: and the client knows the MTU of the way", learnt(lab, FAR, vip), expected)


def test_narrow_client(lab, label, mode, vip, v6):
    """The way towards the client is narrow: the backend that sent must hear of it."""
    if mode == "snat":
        where, source = ("fd00:2::1" if v6 else "10.2.0.1"), None
    else:
        where, source = (FAR6 if v6 else FAR4), None if mode == "nat" else vip
    known = [learnt(lab, name, where, source) for name in SERVERS]
    ok(f"{label}: a backend that sent too much knows the MTU of the way",
       MTU in known and set(known) <= {0, MTU}, f"MTUs that {SERVERS} know: {known}")


def test_unreachable(lab, label, vip):
    with udp(lab, vip, 9) as sock:
        check(f"{label}: a port without a server is refused to the client", first_error(sock, 10),
              ("ECONNREFUSED", 0))


def test_mode(lab, hook, case, routed, file):
    mode, v6, outer6 = case
    vip = VIP6 if v6 else VIP
    expected = MTU - (OVERHEAD[mode][outer6] if mode in OVERHEAD else 0)
    for where in ("near", "own") + (("back",) if routed else ()):
        label = f"{hook}: {mode}, IPv{6 if v6 else 4}" + (
            f" over IPv{6 if outer6 else 4}" if mode in OVERHEAD else "") + f", narrow at {where}"
        narrow(lab, where, True, routed)
        with lab.lbd(setup(hook, mode, v6, outer6, routed)) as lbd:
            ok(f"{label}: the balancer forwards",
               wait_for(lambda v=vip: curl(lab, f"http://{join(v, 80)}/").startswith("200"), 3))
            test_transfers(lab, label, vip, file)
            if where == "near":
                test_narrow_client(lab, label, mode, vip, v6)
                test_unreachable(lab, label, vip)
            else:
                test_narrow_backend(lab, label, vip, expected)
            ok(f"{label}: counts agree with the flow table",
               wait_for(lambda d=lbd: not d.drift("web")), lbd.drift("web"))
        narrow(lab, where, False, routed)


def prepare(lab):
    if lab.profile == "xdp":
        lab.take_xdp_tx()
    move_far(lab)
    for name in SERVERS:
        for vip in (f"{VIP}/32", f"{VIP6}/128"):
            lab.must(name, "ip", "addr", "add", vip, "dev", "lo")
        lab.must(name, f"{BUILD}/lbd", "decap", "attach", "eth0")
        server = lab.popen(name, sys.executable, "-c", ECHO_SERVER, name, stdout=-1, text=True)
        server.stdout.readline()


DIRECT = [("dsr", v6, v6) for v6 in (False, True)]
ROUTED = [(mode, v6, v6) for mode in ("nat", "snat") for v6 in (False, True)] + \
    [(mode, v6, outer6) for mode in ("ipip", "gue") for v6, outer6 in
     ((False, False), (True, True), (False, True), (True, False))]
only = os.environ.get("LBD_MODE", "")


def test_hook(profile, hook):
    with Lab(profile) as lab, tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(BODY))
        file.flush()
        prepare(lab)
        for cases, routed in ((DIRECT, False), (ROUTED, True)):
            if routed:
                move_backends(lab)
            for mode, v6, outer6 in cases:
                if f"{mode}{6 if v6 else 4}{6 if outer6 else 4}".startswith(only):
                    test_mode(lab, hook, (mode, v6, outer6), routed, file.name)
        for name in SERVERS:
            lab.must(name, f"{BUILD}/lbd", "decap", "detach", "eth0")


def test_xdp():
    test_hook("xdp", "native")


def test_tc():
    test_hook("tc", "tc")


if __name__ == "__main__":
    main(test_xdp, test_tc)
