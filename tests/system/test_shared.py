#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""One pool, two speeds: what the kernel path holds counts for the proxy's choice, and the other way
round."""
from lab import PROXY, VIP, Lab, config, nat, pool
from tap import check, main, ok, wait_for
from traffic import ask, connect, names, release

BOTH = ["b1", "b2"]
NAT, WEB, RELAY = f"{VIP}:80", f"{PROXY}:80", f"{PROXY}:82"
N = 6  # what b1 has before b2 may be chosen
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: lab\r\nContent-Length: 2\r\n\r\n-"


def services(hook):
    return config(hook, {"both": pool(BOTH, "least-connections")}, {
        "nat": nat(NAT, "both"),
        "web": {"listen": WEB, "protocol": "http", "pool": "both"},
        "relay": {"listen": RELAY, "protocol": "tcp", "path": "proxy", "pool": "both"},
    }, workers=2)


def opens(lbd):
    return {name: backend["open"] for name, backend in lbd.backends("both").items()}


def wait_open(lbd, **expected):
    wait_for(lambda: opens(lbd) == expected)
    return opens(lbd)


class Flows:
    """Held by an open connection through the kernel."""
    name = "kernel flows"

    @staticmethod
    def begin(lab):
        sock = connect(lab, NAT)
        return ask(sock), sock

    end = staticmethod(release)


class Relayed(Flows):
    """Held by an open connection through the relay."""
    name = "relayed connections"

    @staticmethod
    def begin(lab):
        sock = connect(lab, RELAY)
        return ask(sock), sock


class Requests:
    """Held by a request whose body wants its last byte. Who has it is seen in the counts: the
    backend says nothing before the end."""
    name = "requests"

    @staticmethod
    def begin(lab):
        sock = connect(lab, WEB)
        sock.sendall(UPLOAD)
        return None, sock

    @staticmethod
    def end(held):
        for _, sock in held:
            sock.sendall(b"-")
            sock.recv(4096)
            sock.close()


def hold(lab, lbd, kind, count):
    """One after another; each is counted before the next comes."""
    held = []
    for _ in range(count):
        before = sum(opens(lbd).values())
        held.append(kind.begin(lab))
        wait_for(lambda: sum(opens(lbd).values()) == before + 1)
    return held


def test_pair(lab, lbd, first, second):
    """<first> are all on b1 when b2 comes: <second> make up for that."""
    both = f"{first.name}, then {second.name}"
    check(f"{both}: b2 is disabled", lbd.lbadm("backend", "disable", "both", "b2").returncode, 0)
    held = hold(lab, lbd, first, N)
    check(f"{both}: the first are all with b1", wait_open(lbd, b1=N, b2=0), {"b1": N, "b2": 0})
    lbd.lbadm("backend", "enable", "both", "b2")
    ok(f"{both}: b2 is enabled", lbd.wait_eligible("both", BOTH))
    more = hold(lab, lbd, second, N)
    check(f"{both}: the others go to b2 until it has as many", wait_open(lbd, b1=N, b2=N),
          {"b1": N, "b2": N})
    more += hold(lab, lbd, second, 4)
    check(f"{both}: from then on in turns", wait_open(lbd, b1=N + 2, b2=N + 2),
          {"b1": N + 2, "b2": N + 2})
    if second is not Requests:
        check(f"{both}: the backends that answer are those that were counted", names(more),
              {"b1": 2, "b2": N + 2})
    first.end(held)
    check(f"{both}: the end of the first is counted", wait_open(lbd, b1=2, b2=N + 2),
          {"b1": 2, "b2": N + 2})
    back = hold(lab, lbd, first, N)
    check(f"{both}: so that what comes next goes to b1", wait_open(lbd, b1=N + 2, b2=N + 2),
          {"b1": N + 2, "b2": N + 2})
    first.end(back)
    second.end(more)
    check(f"{both}: at the end nothing is open", wait_open(lbd, b1=0, b2=0), {"b1": 0, "b2": 0})


def test_killed(lab, lbd):
    """Flows outlive an lbd; requests do not, and are not counted for ever."""
    lbd.lbadm("backend", "disable", "both", "b2")
    flows = hold(lab, lbd, Flows, N)
    requests = hold(lab, lbd, Requests, N)
    check("flows and requests of one backend are counted together", wait_open(lbd, b1=2 * N, b2=0),
          {"b1": 2 * N, "b2": 0})
    lbd.kill()
    for _, sock in requests:
        sock.close()
    lbd.start()
    check("after kill -9 the flows are counted, and the requests no more",
          wait_open(lbd, b1=N, b2=0), {"b1": N, "b2": 0})
    lbd.lbadm("backend", "enable", "both", "b2")
    ok("b2 is enabled again", lbd.wait_eligible("both", BOTH))
    requests = hold(lab, lbd, Requests, N)
    check("requests to the new lbd make up for flows older than it", wait_open(lbd, b1=N, b2=N),
          {"b1": N, "b2": N})
    Requests.end(requests)
    release(flows)
    check("and all end", wait_open(lbd, b1=0, b2=0), {"b1": 0, "b2": 0})
    check("the counts agree with the flow table", lbd.api("POST", "/v1/audit")[1]["drift"], 0)


def run_all(profile, hook):
    with Lab(profile, backends=2) as lab, lab.lbd(services(hook)) as lbd:
        if hook == "native":
            lab.take_xdp_tx()
        for first, second in ((Flows, Requests), (Requests, Flows), (Flows, Relayed),
                              (Relayed, Flows)):
            test_pair(lab, lbd, first, second)
        test_killed(lab, lbd)


def test_tc():
    run_all("tc", "tc")


def test_xdp():
    run_all("xdp", "native")


if __name__ == "__main__":
    main(test_tc, test_xdp)
