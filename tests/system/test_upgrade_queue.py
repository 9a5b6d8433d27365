#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Requests that wait for room at a backend while one lbd replaces another: they stay with the one
that took them, in their order, until they are served or their time in the queue is over. Each of
the two lets in as many as max-connections says: nobody counts over both."""
import http.client
import socket
import threading
import time

from build import SLOW
from lab import config
from loopback import Loopback
from successor import Wrk, busy
from tap import at_least, at_most, check, main, ok, wait_for
from test_upgrade import upgrade

ADDRESS, WEB, RELAY = "127.0.0.1:9000", "127.0.0.1:8080", "127.0.0.1:8082"
WAITING = 6  # behind the one request that is let in


class Origin:
    """Answers a request when it is told to. What came, in order: .seen."""

    def __init__(self):
        self.seen, self.turns = [], {}
        self.listener = socket.create_server(("127.0.0.1", 9000), backlog=512)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with sock, sock.makefile("rb") as lines:
            while True:
                path = lines.readline().split(b" ")[1:2]
                if not path:
                    return
                while lines.readline() not in (b"\r\n", b""):
                    pass
                path = path[0].decode()
                turn = self.turns.setdefault(path, threading.Event())
                self.seen.append(path)
                turn.wait(30 * SLOW)
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def let(self, path):
        self.turns.setdefault(path, threading.Event()).set()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for turn in list(self.turns.values()):
            turn.set()


def queued(queue_timeout, drain="30s"):
    pool = {"algorithm": "round-robin", "health": {"type": "none"},
            "backends": [{"address": ADDRESS, "name": "b1", "max-connections": 1}],
            "queue": {"size": 100, "timeout": queue_timeout}}
    return config(None, {"one": pool}, {
        "web": {"listen": WEB, "protocol": "http", "pool": "one", "timeouts": {"drain": drain}},
        "relay": {"listen": RELAY, "protocol": "tcp", "path": "proxy", "pool": "one",
                  "timeouts": {"drain": drain}}}, workers=2)


class Request(threading.Thread):
    """(status, body, whether the connection ends) or what went wrong, and when."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.answer = path, None
        self.began, self.ended = time.monotonic(), None
        self.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60 * SLOW)
        try:
            connection.request("GET", self.path)
            answer = connection.getresponse()
            self.answer = answer.status, answer.read(), answer.getheader("Connection")
        except (OSError, http.client.HTTPException) as error:
            self.answer = repr(error)
        self.ended = time.monotonic()
        connection.close()

    def done(self, seconds=10):
        self.join(seconds * SLOW)
        return self.answer


def states(lbd):
    """Of the process that serves now."""
    pid = lbd.get("/v1/status")["pid"]
    return [row["state"] for row in lbd.get("/v1/sessions")["sessions"] if row["pid"] == pid]


def begin(lbd, origin, name):
    """One request inside, and WAITING that came one after another."""
    requests = [Request(f"/{name}")]
    ok("a request is let in", wait_for(lambda: f"/{name}" in origin.seen))
    for n in range(WAITING):
        requests.append(Request(f"/{name}{n}"))
        wait_for(lambda n=n: states(lbd).count("queued") == n + 1)
    check("the others wait for it", states(lbd).count("queued"), WAITING)
    return requests


def gone(process):
    """It has drained; its status is known only of a child of ours."""
    ok("the old one ends then", wait_for(lambda: process.poll() is not None, 10))


def test_served():
    with Loopback() as lab, lab.lbd(queued("30s")) as lbd:
        origin = Origin()
        requests = begin(lbd, origin, "old")
        before = lbd.process
        check("an upgrade with a queue is done", upgrade(lab, lbd)[0], 0)
        ok("its requests are left with the old one", wait_for(
            lambda: [d["sessions"] for d in lbd.get("/v1/status")["draining"]] == [1 + WAITING]),
           lbd.get("/v1/status")["draining"])
        new = begin(lbd, origin, "new")
        check("none of the waiting has been let in for that", origin.seen, ["/old", "/new"])
        check("nor answered", [r.answer for r in requests], [None] * len(requests))
        for n, request in enumerate(requests):
            origin.let(request.path)
            check(f"request {n} of the old one is served in its turn, and told that it ends",
                  request.done(), (200, b"ok", "close"))
            check("and those after it wait", [r.answer for r in requests[n + 1:]],
                  [None] * (WAITING - n))
        check("the old one's reached the backend in their order",
              [path for path in origin.seen if path.startswith("/old")],
              [r.path for r in requests])
        gone(before)
        for request in new:
            origin.let(request.path)
        check("those of the new one are served too", [r.done() for r in new],
              [(200, b"ok", None)] * len(new))
        ok("at the end nothing is counted as open",
           wait_for(lambda: lbd.backends("one")["b1"]["open"] == 0), lbd.backends("one"))
        origin.close()


def test_time_out():
    """Two seconds in the queue are two seconds, whoever serves meanwhile."""
    with Loopback() as lab, lab.lbd(queued("2s")) as lbd:
        origin = Origin()
        requests = begin(lbd, origin, "old")
        before = lbd.process
        check("an upgrade is done", upgrade(lab, lbd)[0], 0)
        check("who waited too long is told so, by the old one",
              {r.done()[::2] for r in requests[1:]}, {(503, "close")})
        times = [r.ended - r.began for r in requests[1:]]
        at_least("not before the time of the queue is over, in seconds", min(times), 2)
        at_most("and not long after it", max(times), 3 * SLOW)
        check("the one that was inside is still there", requests[0].answer, None)
        origin.let("/old")
        check("and is served", requests[0].done(), (200, b"ok", "close"))
        gone(before)
        check("no other ever reached the backend", origin.seen, ["/old"])
        origin.close()


def test_client_leaves():
    """Who leaves the queue of an old one is no more waited for."""
    with Loopback() as lab, lab.lbd(queued("30s")) as lbd:
        origin = Origin()
        inside = Request("/old")
        wait_for(lambda: "/old" in origin.seen)
        leaver = socket.create_connection(("127.0.0.1", 8080))
        leaver.sendall(b"GET /leaver HTTP/1.1\r\nHost: h\r\n\r\n")
        ok("a request waits", wait_for(lambda: states(lbd).count("queued") == 1))
        last = Request("/last")
        ok("and another behind it", wait_for(lambda: states(lbd).count("queued") == 2))
        check("an upgrade is done", upgrade(lab, lbd)[0], 0)
        leaver.close()
        ok("the old one has seen that it left", wait_for(
            lambda: [d["sessions"] for d in lbd.get("/v1/status")["draining"]] == [2]))
        for path in ("/old", "/last"):
            origin.let(path)
        check("the others are served", [inside.done(), last.done()],
              [(200, b"ok", "close")] * 2)
        check("it never reached the backend", origin.seen, ["/old", "/last"])
        origin.close()


def test_relay():
    """Connections of the relay wait in the same queue."""
    with Loopback() as lab, lab.lbd(queued("30s")) as lbd:
        origin = Origin()
        inside = Request("/old")
        wait_for(lambda: "/old" in origin.seen)
        relayed = socket.create_connection(("127.0.0.1", 8082))
        relayed.settimeout(10 * SLOW)
        relayed.sendall(b"GET /relayed HTTP/1.1\r\nHost: h\r\n\r\n")
        ok("a connection waits", wait_for(lambda: len(states(lbd)) == 2), states(lbd))
        check("an upgrade is done", upgrade(lab, lbd)[0], 0)
        check("it has not reached the backend", origin.seen, ["/old"])
        for path in ("/old", "/relayed"):
            origin.let(path)
        check("the request is served", inside.done(), (200, b"ok", "close"))
        check("and then the connection", relayed.recv(4096)[:15], b"HTTP/1.1 200 OK")
        relayed.close()
        origin.close()


def test_load():
    """Thirty-two clients for one place, over three upgrades."""
    with Loopback() as lab, lab.lbd(queued("30s")) as lbd:
        origin = Origin()
        origin.let("/")
        wrk = Wrk(lab, f"http://{WEB}/")
        ok("there is a queue", wait_for(lambda: states(lbd).count("queued") > 20))
        for count in (1, 2, 3):
            check(f"upgrade {count} is done", upgrade(lab, lbd)[0], 0)
            busy(0.3)
        done, failed, text = wrk.stop()
        ok("not one of them failed", failed == 0 and done > 100, text)
        origin.close()


if __name__ == "__main__":
    main(test_served, test_time_out, test_client_leaves, test_relay, test_load)
