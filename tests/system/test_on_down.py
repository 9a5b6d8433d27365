#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""on-down: what becomes of the flows, relays and requests of a backend that goes down while its
connections live on. Its health is a port of its own, which the test opens and closes."""
import select
import socket

from lab import PROXY, VIP, Lab, address_of, config, nat, pool
from successor import follow
from tap import check, main, ok, wait_for
from traffic import connect

NAMES = ["b1", "b2"]
PORT, HEALTH = 7000, 7999
PATIENCE_S = 10
CHECK = {"type": "tcp", "port": HEALTH, "interval": "100ms", "timeout": "100ms", "rise": 1,
         "fall": 1, "backoff-max": "200ms"}
RULES = ("reset", "keep")
KERNEL = {"reset": f"{VIP}:80", "keep": f"{VIP}:81"}
RELAY = {"reset": f"{PROXY}:9001", "keep": f"{PROXY}:9002"}
HTTP = {"reset": f"{PROXY}:9003", "keep": f"{PROXY}:9004"}
BLANK = b"\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: h" + BLANK
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0" + BLANK
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close" + BLANK


def settings():
    pools, services = {}, {}
    for rule in RULES:
        pools[rule] = pool(NAMES, health=CHECK, port=PORT)
        services[f"kernel-{rule}"] = nat(KERNEL[rule], rule)
        services[f"relay-{rule}"] = {"listen": RELAY[rule], "protocol": "tcp", "path": "proxy",
                                     "pool": rule}
        services[f"http-{rule}"] = {"listen": HTTP[rule], "protocol": "http", "pool": rule}
    pools["reset"]["on-down"] = "reset"
    return config("tc", pools, services, workers=1)


def listen(lab, name, port):
    sock = lab.socket(name)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address_of(name), port))
    sock.listen(4096)
    sock.settimeout(PATIENCE_S)
    return sock


class Backends:
    """Their connections are served by the test itself."""

    def __init__(self, lab):
        self.lab = lab
        self.listeners = {listen(lab, name, PORT): name for name in NAMES}
        self.health = {name: listen(lab, name, HEALTH) for name in NAMES}

    def fail(self, name):
        self.health.pop(name).close()

    def mend(self, name):
        self.health[name] = listen(self.lab, name, HEALTH)

    def accept(self):
        ready, _, _ = select.select(list(self.listeners), [], [], PATIENCE_S)
        if not ready:
            raise TimeoutError("no backend got the connection")
        sock, _ = ready[0].accept()
        sock.settimeout(PATIENCE_S)
        return self.listeners[ready[0]], sock

    def pairs(self, address, first=b"hello", until=b"hello"):
        """One connection to each backend: {name: (client, backend's end)}."""
        found = {}
        for _ in NAMES:
            client = connect(self.lab, address, PATIENCE_S)
            client.sendall(first)
            name, server = self.accept()
            read_until(server, until)
            found[name] = (client, server)
        check(f"{address}: one connection goes to each backend", sorted(found), NAMES)
        return found

    def close(self):
        for sock in [*self.listeners, *self.health.values()]:
            sock.close()


def read_until(sock, text):
    """What comes, until <text> has; b"reset" in place of what a reset ended."""
    got = b""
    try:
        while text not in got:
            more = sock.recv(4096)
            if not more:
                break
            got += more
    except ConnectionResetError:
        return b"reset"
    return got


def first_line(sock):
    return read_until(sock, BLANK).partition(b"\r\n")[0]


def lives(pair):
    client, server = pair
    try:
        client.sendall(b"ping")
        server.sendall(b"pong")
        return (read_until(server, b"ping"), read_until(client, b"pong")) == (b"ping", b"pong")
    except OSError:
        return False


def close_all(*found):
    for pairs in found:
        for client, server in pairs.values():
            client.close()
            server.close()


def send(sock, text):
    """Where that meets a reset, reading says so."""
    try:
        sock.sendall(text)
    except OSError:
        pass


class Held:
    """Of one rule, each kind of connection at each backend."""

    def __init__(self, backends, rule):
        self.kernel = backends.pairs(KERNEL[rule])
        self.relay = backends.pairs(RELAY[rule])
        self.get = backends.pairs(HTTP[rule], GET, BLANK)
        self.post = backends.pairs(HTTP[rule], POST, BLANK)
        self.half = backends.pairs(HTTP[rule], GET, BLANK)
        for client, server in self.half.values():
            server.sendall(HEAD + b"ans")
            read_until(client, b"ans")

    def close(self):
        close_all(self.kernel, self.relay, self.get, self.post, self.half)


def fall(lbd, backends, name):
    backends.fail(name)
    left = [other for other in NAMES if other != name]
    for rule in RULES:
        ok(f"{name} leaves pool '{rule}'", lbd.wait_eligible(rule, left), lbd.backends(rule))


def rise(lbd, backends, name):
    backends.mend(name)
    for rule in RULES:
        ok(f"{name} comes back to pool '{rule}'", lbd.wait_eligible(rule, NAMES),
           lbd.backends(rule))


def test_keep(_lab, _lbd, _backends, held):
    for name in NAMES:
        ok(f"keep: a flow of the kernel path at {name} goes on", lives(held.kernel[name]))
        ok(f"keep: so does a relay at {name}", lives(held.relay[name]))
        client, server = held.half[name]
        server.sendall(b"wer")
        check(f"keep: and an answer that {name} has begun", read_until(client, b"wer"), b"wer")
        for kind, (client, server) in (("GET", held.get[name]), ("POST", held.post[name])):
            server.sendall(HEAD + b"answer")
            check(f"keep: {name} may still answer a {kind}", first_line(client),
                  b"HTTP/1.1 200 OK")


def test_reset(_lab, lbd, backends, held):
    ok("reset: the log says what was ended",
       lbd.wait_log("on-down: reset ended 1 flows and 4 sessions of 1 backends"), lbd.log())
    client, server = held.kernel["b1"]
    send(client, b"ping")
    check("reset: the next packet of a flow is answered by RST", read_until(client, b"x"),
          b"reset")
    client, server = held.relay["b1"]
    check("reset: a relay is reset for both sides",
          (read_until(client, b"x"), read_until(server, b"x")), (b"reset", b"reset"))
    name, server = backends.accept()
    read_until(server, BLANK)
    server.sendall(HEAD + b"answer")
    check("reset: a GET without an answer goes to another backend",
          (name, first_line(held.get["b1"][0])), ("b2", b"HTTP/1.1 200 OK"))
    server.close()
    check("reset: a POST is not sent twice", first_line(held.post["b1"][0]),
          b"HTTP/1.1 502 Bad Gateway")
    check("reset: an answer that was begun is cut", read_until(held.half["b1"][0], b"wer"), b"")
    ok("reset: a flow at the other backend goes on", lives(held.kernel["b2"]))
    ok("reset: so does a relay", lives(held.relay["b2"]))
    client, server = held.half["b2"]
    server.sendall(b"wer")
    check("reset: and an answer", read_until(client, b"wer"), b"wer")


def test_tools(_lab, lbd, _backends, _held):
    check("a pool says its rule", [lbd.get(f"/v1/pools/{rule}")["on_down"] for rule in RULES],
          list(RULES))
    done = lbd.lbadm("pool", "set", "keep", "--on-down", "restet")
    ok("a wrong word is refused with a hint",
       done.returncode == 1 and "did you mean 'reset'?" in done.stderr, done.stderr)
    lbd.lbadm("pool", "set", "keep", "--on-down", "reset")
    check("the rule can be changed", lbd.get("/v1/pools/keep")["on_down"], "reset")
    lbd.lbadm("pool", "set", "keep", "--on-down", "keep")


def test_draining(_lab, lbd, backends, _held):
    relay = backends.pairs(RELAY["reset"])
    lbd.lbadm("backend", "drain", "reset", "b1")
    ok("a relay of a draining backend goes on", lives(relay["b1"]))
    backends.fail("b1")
    check("until that goes down", read_until(relay["b1"][0], b"x"), b"reset")
    lbd.lbadm("backend", "enable", "reset", "b1")
    rise(lbd, backends, "b1")
    close_all(relay)


def test_older(lab, lbd, backends, _held):
    """A process that an upgrade has replaced does not check health itself."""
    relay = backends.pairs(RELAY["reset"])
    kept = backends.pairs(RELAY["keep"])
    done = lbd.lbadm("upgrade")
    check("an upgrade is done", done.returncode, 0)
    follow(lab, lbd)
    ok("the old process reports", wait_for(
        lambda: [row["sessions"] for row in lbd.get("/v1/status")["draining"]] == [4]))
    fall(lbd, backends, "b1")
    check("a relay of the old process is reset when its backend goes down",
          read_until(relay["b1"][0], b"x"), b"reset")
    ok("another one goes on", lives(relay["b2"]))
    ok("and those of a pool that keeps them", lives(kept["b1"]) and lives(kept["b2"]))
    rise(lbd, backends, "b1")
    close_all(relay, kept)


def test_on_down():
    with Lab("tc", 2) as lab:
        backends = Backends(lab)
        with lab.lbd(settings()) as lbd:
            for rule in RULES:
                lbd.wait_eligible(rule, NAMES)
            for rule, test in (("keep", test_keep), ("reset", test_reset)):
                held = Held(backends, rule)
                fall(lbd, backends, "b1")
                test(lab, lbd, backends, held)
                rise(lbd, backends, "b1")
                held.close()
            test_tools(lab, lbd, backends, None)
            test_draining(lab, lbd, backends, None)
            test_older(lab, lbd, backends, None)
            ok("all is counted as closed", wait_for(lambda: not any(
                row["open"] for rule in RULES for row in lbd.backends(rule).values())),
                [lbd.backends(rule) for rule in RULES])
        backends.close()


if __name__ == "__main__":
    main(test_on_down)
