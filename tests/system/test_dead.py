#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Link addresses change while lbd is dead: its kernel path finds the new ones by itself.

What moves first announces itself, as a machine does that takes over an address; the balancer's
kernel then knows, and the program must ask it again although its flows remember the old one.
"""
import time

from lab import VIP, VIP6, Lab, config, nat, pool, settle
from tap import main, note, ok, wait_for
from traffic import ask, connect, hold, release

WITHIN_S = 2
WEB, WEB6 = f"{VIP}:80", f"[{VIP6}]:80"
NEW = "02:00:00:00:00:%02x"
# Gratuitous ARP (RFC 5227 section 3) and an unsolicited neighbour advertisement (RFC 4861, 7.2.6).
ANNOUNCE = """
import sys
from scapy.all import ARP, Ether, ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6, sendp
mac, link, v4, v6 = sys.argv[1:]
all4, all6 = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01"
sendp([Ether(src=mac, dst=all4) / ARP(op=2, hwsrc=mac, psrc=v4, hwdst=all4, pdst=v4),
       Ether(src=mac, dst=all6) / IPv6(src=v6, dst="ff02::1") /
       ICMPv6ND_NA(tgt=v6, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)],
      iface=link, verbose=False)
"""


def services(hook):
    row = {"address": "[fd00:0:0:1::11]:80", "name": "b1"}
    six = {**pool(["b1"]), "backends": [row]}
    return config(hook, {"web": pool(["b1"]), "six": six},
                  {"web": nat(WEB, "web"), "six": nat(WEB6, "six")})


def move(lab, name, number, v4, v6):
    """A new link address, which the machine then tells everybody."""
    mac = NEW % number
    lab.must(name, "ip", "link", "set", "eth0", "address", mac)
    lab.must(name, "/usr/bin/python3", "-c", ANNOUNCE, mac, "eth0", v4, v6)


def recovery(held):
    """Seconds until all connections have answered again."""
    began = time.monotonic()
    for backend, sock in held:
        sock.settimeout(10)
        if ask(sock) != backend:
            return "another backend answered"
    return round(time.monotonic() - began, 2)


def attempts(lab, address):
    """Seconds until a new connection is answered."""
    began = time.monotonic()

    def answered():
        try:
            with connect(lab, address, 0.3) as sock:
                return ask(sock)
        except OSError:
            return None

    return round(time.monotonic() - began, 2) if wait_for(answered, 10) else "never"


def test_move(lab, lbd, hook, who, number, v4, v6):
    name = "client" if who == "gateway" else "b1"
    held = hold(lab, WEB, 5) + hold(lab, WEB6, 5)
    lbd.kill()
    settle(0.1)
    move(lab, name, number, v4, v6)
    label = f"{hook}: lbd is dead and the {who} has another link address"
    took = recovery(held)
    ok(f"{label}: the same connections go on within {WITHIN_S} s",
       isinstance(took, float) and took <= WITHIN_S, f"took: {took}")
    for address in (WEB, WEB6):
        took = attempts(lab, address)
        ok(f"{label}: new ones to {address} too", isinstance(took, float) and took <= WITHIN_S,
           f"took: {took}")
    release(held)
    lbd.start()


def test_hook(profile, hook):
    with Lab(profile) as lab:
        if profile == "xdp":
            lab.take_xdp_tx()
        with lab.lbd(services(hook)) as lbd:
            for address in (WEB, WEB6):
                wait_for(lambda a=address: attempts(lab, a) != "never")
            test_move(lab, lbd, hook, "gateway", 1, "10.0.0.2", "fd00::2")
            test_move(lab, lbd, hook, "backend", 2, "10.0.1.11", "fd00:0:0:1::11")


def test_xdp():
    test_hook("xdp", "native")


def test_tc():
    test_hook("tc", "tc")


if __name__ == "__main__":
    main(test_xdp, test_tc)
