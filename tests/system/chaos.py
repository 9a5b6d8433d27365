# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Everything at once, by chance: clients and backends that say anything, reloads, changes, kills of
sessions, other numbers of workers, upgrades.

What single answers are is not looked at. What must hold: lbd lives, its API answers, a sanitizer
has nothing to say, and when all have gone nothing is counted as open.
"""
import contextlib
import random
import signal
import socket
import ssl
import struct
import threading
import time

import vectors
from proxyload import HERE, listens, port_of
from successor import follow
from tap import at_least, check, note, ok, wait_for

NAMES = ["b1", "b2", "b3"]
HTTP, PROXIED, RELAY, NAMED, FEW = 7000, 7001, 7002, 7003, 7004
PORTS = (HTTP, HTTP, HTTP, PROXIED, RELAY, NAMED, FEW)
REQUESTS = [v["send"] for v in vectors.load("requests")[0]]
ALGORITHMS = ("round-robin", "weighted-round-robin", "least-connections", "maglev", "source-hash",
              "random-two", "least-latency")
TIMEOUTS = {"client-header": "300ms", "client-body": "300ms", "client-idle": "300ms",
            "connect": "200ms", "response-header": "300ms", "response-idle": "300ms",
            "queue": "100ms", "tunnel": "500ms", "drain": "1s"}


# ---- The configuration -------------------------------------------------------------------------

def _pool(chance, **more):
    names = [name for name in NAMES if chance.random() < 0.9] or NAMES
    rows = [{"name": name, "address": f"127.0.0.1:{port_of(name)}",
             "weight": chance.choice((0, 1, 1, 2, 3))} for name in names]
    rows.append({"name": "nobody", "address": "127.0.0.1:7099"})
    return {"algorithm": chance.choice(ALGORITHMS), "backends": rows,
            "health": {"type": "http", "path": "/healthz", "interval": "100ms", "timeout": "100ms",
                       "rise": 1, "fall": 2, "backoff-max": "200ms"},
            "on-down": chance.choice(("keep", "reset")), "slow-start": chance.choice(("0s", "1s")),
            "retries": {"attempts": chance.randint(0, 4),
                        "on": ["connect", "closed", "timeout", "502", "503", "504"]},
            "passive": {"failures": 3, "window": "1s"}, **more}


def _routes(chance):
    edits = {"remove": ["X-A"], "set": {"X-B": "${client_ip} ${request_id}"},
             "add": {"X-C": "${service} ${pool} ${method} ${path}"}}
    shares = [{"pool": "web", "weight": 2}, {"pool": "few", "weight": 1}]
    return [{"path": "/old", "redirect": {"to": "https://${host}/new${target}", "code": 308}},
            {"path": "/split", "pools": shares},
            {"path": "/edited", "pool": "web", "headers": edits, "response-headers": edits,
             "timeouts": {"response-header": "50ms"}},
            {"pool": chance.choice(("web", "few"))}]


def configuration(directory, chance):
    log = {"format": "json", "file": f"{directory}/access"}
    web = {"protocol": "http", "timeouts": TIMEOUTS, "access-log": log}
    tcp = {"protocol": "tcp", "path": "proxy", "timeouts": TIMEOUTS, "access-log": log}
    services = {
        "http": {**web, "listen": f"127.0.0.1:{HTTP}", "routes": _routes(chance),
                 "sticky": {"cookie": "LBD"}, "trusted-proxies": ["127.0.0.0/8"]},
        "proxied": {**web, "listen": f"127.0.0.1:{PROXIED}", "pool": "web",
                    "proxy-protocol": {"accept": "true", "send": chance.choice(("v1", "v2"))}},
        "relay": {**tcp, "listen": f"127.0.0.1:{RELAY}", "pool": "web",
                  "proxy-protocol": {"accept": "true", "send": chance.choice(("v1", "v2"))}},
        "named": {**tcp, "listen": f"127.0.0.1:{NAMED}",
                  "routes": [{"host": "a.example", "pool": "web"}, {"pool": "few"}]},
        "few": {**web, "listen": f"127.0.0.1:{FEW}", "pool": "few",
                "max-connections": chance.randint(1, 8), "max-connections-per-source": 6,
                "rate": {"new": 50, "per": "1s"}},
    }
    for name in list(services):
        if chance.random() < 0.1:
            del services[name]
    pools = {"web": _pool(chance),
             "few": _pool(chance, **{"max-connections": chance.randint(1, 3),
                                     "queue": {"size": chance.randint(1, 8), "timeout": "200ms"}})}
    return {"workers": chance.randint(1, 3), "pools": pools, "services": services}


# ---- Clients -----------------------------------------------------------------------------------

def _hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="a.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


HELLO = _hello()


def _request(chance):
    path = chance.choice((b"/", b"/old", b"/split", b"/edited", b"/x?y=%20"))
    more = chance.choice((b"", b"", b"X-A: 1\r\n", b"Cookie: LBD=123; a=b\r\n",
                          b"Connection: close\r\n"))
    body = bytes(chance.choice((1, 100, 40000)))
    kind = chance.randrange(6)
    if kind == 0:
        return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (
            path, more, len(body), body)
    if kind == 1:
        return (b"PUT %b HTTP/1.1\r\nHost: a\r\n%bTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (path, more, len(body), body))
    if kind == 2:
        return (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    if kind == 3:
        return (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n" + body)
    return b"%b %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (chance.choice((b"GET", b"HEAD")), path, more)


def _proxy_header(chance):
    if chance.random() < 0.1:
        return chance.choice((b"PROXY nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"))
    if chance.random() < 0.5:
        return b"PROXY TCP4 10.9.8.%d 127.0.0.1 1000 80\r\n" % chance.randint(1, 9)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(
        "!BBH4s4sHH", 0x21, 0x11, 12, bytes((10, 9, 8, 7)), bytes((127, 0, 0, 1)), 1000, 80)


def _speech(chance, port):
    text = b"".join(chance.choice(REQUESTS) if chance.random() < 0.3 else _request(chance)
                    for _ in range(chance.choice((1, 1, 2, 5))))
    if port == NAMED and chance.random() < 0.8:
        text = HELLO
    if port in (PROXIED, RELAY):
        text = _proxy_header(chance) + text
    if chance.random() < 0.2:
        text = text[:chance.randrange(len(text) + 1)]
    return text


def _talk(chance, sock, port):
    sock.settimeout(chance.choice((0.01, 0.1, 0.1, 1)))
    text = _speech(chance, port)
    step = chance.choice((1 << 20, 1 << 20, 1 << 20, 5000, max(1, len(text) // 20)))
    for at in range(0, len(text), step):
        sock.sendall(text[at:at + step])
    if chance.random() < 0.2:
        sock.shutdown(socket.SHUT_WR)
    for _ in range(chance.choice((0, 2, 50))):
        if not sock.recv(chance.choice((100, 65536))):
            break
    if chance.random() < 0.3:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Client:
    """A thread that talks until stop()."""

    def __init__(self, seed):
        self.chance, self.talks = random.Random(seed), 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.is_set():
            port = self.chance.choice(PORTS)
            with contextlib.suppress(OSError), \
                    socket.create_connection(("127.0.0.1", port), 1) as sock:
                _talk(self.chance, sock, port)
                self.talks += 1

    def stop(self):
        self._over.set()
        self._thread.join(10)
        return self.talks


# ---- The operator ------------------------------------------------------------------------------

def _reload(lab, lbd, chance):
    lbd.write_config(configuration(lbd.directory, chance))
    return lbd.api("POST", "/v1/config/reload?discard-runtime=true")


def _change(lab, lbd, chance):
    path = f"/v1/pools/{chance.choice(('web', 'few'))}/backends/{chance.choice(NAMES)}"
    if chance.random() < 0.2:
        return lbd.api("DELETE", path)
    if chance.random() < 0.2:
        return lbd.api("POST", path + "/kill")
    return lbd.api("PATCH", path, {"admin": chance.choice(("enabled", "enabled", "draining",
                                                            "disabled")),
                                   "weight": chance.choice((0, 1, 2, 5))})


def _kill(lab, lbd, chance):
    what = chance.choice(("service=http", "service=relay", "service=named",
                          f"backend=127.0.0.1:{port_of(chance.choice(NAMES))}"))
    return lbd.api("DELETE", f"/v1/sessions?{what}")


def _look(lab, lbd, chance):
    return lbd.api("GET", chance.choice(("/v1/sessions", "/v1/errors", "/v1/status", "/v1/stats",
                                         "/v1/services", "/v1/pools", "/v1/config",
                                         "/v1/sessions/count?service=http")))


def _trace(lab, lbd, chance):
    return lbd.api("POST", "/v1/trace",
                   {"protocol": "http", "method": "GET", "from": "127.0.0.1",
                    "url": f"http://127.0.0.1:{chance.choice(PORTS)}/split"})


def _signal(lab, lbd, chance):
    lbd.process.send_signal(chance.choice((signal.SIGUSR1, signal.SIGHUP)))


def _upgrade(lab, lbd, chance):
    answer = lbd.api("POST", "/v1/upgrade")
    if answer[0] < 300:
        follow(lab, lbd)
    return answer


ACTS = (_reload, _reload, _change, _change, _change, _kill, _look, _look, _look, _trace, _signal)


def _operate(lab, lbd, chance, seconds, upgrade_s):
    """{act and status: how often}; {act and status: example} of what an lbd should not answer."""
    done, odd = {}, {}
    end = time.monotonic() + seconds
    next_upgrade = time.monotonic() + upgrade_s
    while time.monotonic() < end:
        act = chance.choice(ACTS)
        if time.monotonic() > next_upgrade:
            act, next_upgrade = _upgrade, time.monotonic() + upgrade_s
        status, body = act(lab, lbd, chance) or ("", None)
        what = f"{act.__name__[1:]} {status}"
        done[what] = done.get(what, 0) + 1
        if status and status >= 500:
            odd[what] = body
        time.sleep(chance.choice((0, 0.02, 0.1)))
    return done, odd


# ---- The test ----------------------------------------------------------------------------------

@contextlib.contextmanager
def rogues(lab, seed):
    for name in NAMES:
        lab.popen("client", f"{HERE}/rogue.py", str(port_of(name)), str(seed))
    for name in NAMES:
        if not wait_for(lambda name=name: listens(port_of(name))):
            raise RuntimeError("rogue.py does not listen")
    yield


def _open(lbd):
    """What is counted as open: services, backends, sessions, what drains."""
    found = {s["name"]: s["open"] for s in lbd.get("/v1/services")["services"] if s["open"]}
    for name in ("web", "few"):
        found.update({f"{name}/{b}": row["open"] for b, row in lbd.backends(name).items()
                      if row["open"]})
    if lbd.get("/v1/sessions/count")["count"]:
        found["sessions"] = lbd.get("/v1/sessions")["sessions"]
    if lbd.get("/v1/status").get("draining"):
        found["draining"] = lbd.get("/v1/status")["draining"]
    return found


def run(lab, seconds, seed, clients=12, upgrade_s=5):
    label = f"chaos of seed {seed}"
    chance = random.Random(seed)
    with rogues(lab, seed), lab.lbd({}) as lbd:
        lbd.write_config(configuration(lbd.directory, chance))
        _operator(lab, lbd, chance, (seconds, upgrade_s), [Client(seed + 1 + i)
                                                           for i in range(clients)], label)


def _operator(lab, lbd, chance, times, crowd, label):
    try:
        done, odd = _operate(lab, lbd, chance, *times)
    finally:
        talks = sum(client.stop() for client in crowd)
    note(f"{label}: {talks} connections; {done}")
    at_least(f"{label}: clients could connect", talks, 10 * times[0])
    check(f"{label}: the API had no trouble of its own", odd, {})
    ok(f"{label}: at its end nothing is open", wait_for(lambda: not _open(lbd), 15), _open(lbd))
    check(f"{label}: lbd ends with status 0", lbd.stop(), 0)
