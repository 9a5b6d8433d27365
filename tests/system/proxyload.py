# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The proxy at full load while something is done to it or to its backends. The seconds are the
caller's: test_proxy_load.py is the short form, soak_proxy.py the long one.

No request of a client may fail: wrk's socket errors and its answers other than 2xx count, and what
lbd has counted must agree.
"""
import contextlib
import http.client
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time

from build import SLOW
from lab import NO_CHECK, WITH_US
from successor import follow
from tap import at_least, at_most, check, note, ok, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
LISTEN = ("127.0.0.1", 7000)
URL = "http://127.0.0.1:7000"
ALL = ["b1", "b2", "b3"]
CONNECTIONS = 32

NGINX = """\
pid {run}/{name}.pid;
error_log {run}/{name}.log;
worker_processes 1;
master_process off;
daemon off;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {run}/body;
    proxy_temp_path {run}/proxy;
    fastcgi_temp_path {run}/fastcgi;
    uwsgi_temp_path {run}/uwsgi;
    scgi_temp_path {run}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 "{name}\\n"; }}
    }}
}}
"""


def port_of(backend):
    return 7010 + int(backend[1:])


def configuration(names=tuple(ALL), workers=2, service=None, **pool):
    return {"workers": workers,
            "pools": {"web": {"algorithm": "round-robin", "health": NO_CHECK, **pool,
                              "backends": [{"name": n, "address": f"127.0.0.1:{port_of(n)}"}
                                           for n in names]}},
            "services": {"web": {"listen": "127.0.0.1:7000", "protocol": "http", "pool": "web",
                                 **(service or {})}}}


def with_slow(client_header):
    """A second service for slow connections, on a backend of its own."""
    config = configuration()
    config["pools"]["slow"] = {**config["pools"]["web"],
                               "backends": [{"name": "b9", "address": "127.0.0.1:7019"}]}
    config["services"]["slow"] = {"listen": "127.0.0.1:7009", "protocol": "http", "pool": "slow",
                                  "timeouts": {"client-header": client_header}}
    return config


# ---- Backends and clients --------------------------------------------------------------------

def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Servers:
    """nginx for each name, to be killed and started again."""

    def __init__(self, lab, names=tuple(ALL)):
        self.lab, self.names, self.processes = lab, names, {}

    def __enter__(self):
        for name in self.names:
            self.start(name)
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            self.lab.end(process, signal.SIGKILL)

    def start(self, name):
        path = f"{self.lab.run_dir}/{name}.conf"
        with open(path, "w", encoding="ascii") as file:
            file.write(NGINX.format(run=self.lab.run_dir, name=name, port=port_of(name)))
        self.processes[name] = self.lab.popen("client", "/usr/sbin/nginx", "-e", "/dev/null", "-c",
                                              path, stderr=subprocess.DEVNULL)
        if not wait_for(lambda: listens(port_of(name))):
            raise RuntimeError(f"nginx of {name} does not listen")

    def kill(self, name):
        self.lab.end(self.processes.pop(name), signal.SIGKILL)


@contextlib.contextmanager
def origin(lab, name="b1"):
    """The misbehaving server; yields its process."""
    process = lab.popen("client", f"{HERE}/origin.py", str(port_of(name)))
    if not wait_for(lambda: listens(port_of(name))):
        raise RuntimeError("origin.py does not listen")
    try:
        yield process
    finally:
        lab.end(process, signal.SIGKILL)


class Wrk:
    """Full load in the background; result() after its end."""

    def __init__(self, lab, seconds, connections=CONNECTIONS, close=False):
        headers = ["-H", "Connection: close"] if close else []
        self.process = lab.popen("client", "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                                 "--latency", "--timeout", "10s", *headers, f"{URL}/",
                                 stdout=subprocess.PIPE, text=True)
        self.lab, self.seconds = lab, seconds

    def running(self):
        return self.process.poll() is None

    def result(self):
        """{"requests", "rate", "p99_ms", "failed": text or ""}."""
        text = self.process.communicate(timeout=self.seconds + 30)[0]
        self.lab.end(self.process)
        failed = re.findall(r"Socket errors:.*|Non-2xx.*", text)
        p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
        scale = {"us": 0.001, "ms": 1, "s": 1000}
        return {"requests": int(re.search(r"(\d+) requests in", text).group(1)),
                "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
                "p99_ms": float(p99.group(1)) * scale[p99.group(2)],
                "failed": "; ".join(line.strip() for line in failed)}


def counted(lbd):
    return {"requests": lbd.get("/v1/services/web")["requests"],
            "failed": sum(b["failed"] for b in lbd.backends("web").values())}


def judge(what, lbd, before, result, may_fail=False):
    """<may_fail>: backends do, on purpose; clients must not see it."""
    note(f"{what}: {result['requests']} requests, {result['rate']:.0f}/s,"
         f" p99 {result['p99_ms']:.2f} ms")
    check(f"{what}: no request has failed", result["failed"], "")
    after = counted(lbd)
    served = after["requests"] - before["requests"]
    ok(f"{what}: lbd has counted as many requests as its clients",
       0 <= served - result["requests"] <= 2 * CONNECTIONS, (served, result))
    if not may_fail:
        check(f"{what}: lbd has counted no failure of a backend",
              after["failed"] - before["failed"], 0)
    idle = lambda: all(b["open"] == 0 for b in lbd.backends("web").values())  # noqa: E731
    ok(f"{what}: no request is counted as open at the end", wait_for(idle), lbd.backends("web"))


# ---- What is done ----------------------------------------------------------------------------

def reloads(lab, lbd, seconds, every=0.1):
    """The configuration is reloaded all the time: pools, weights, routes and time-outs change."""
    files = [configuration(),
             configuration(["b1", "b2"], algorithm="least-connections"),
             configuration(["b3", "b2", "b1"], service={"timeouts": {"client-idle": "7s"}})]
    before = counted(lbd)
    wrk = Wrk(lab, seconds)
    count, refused = 0, []
    while wrk.running():
        began = time.monotonic()
        count += 1
        lbd.write_config(files[count % len(files)])
        status, answer = lbd.api("POST", "/v1/config/reload")
        if status != 200:
            refused.append(answer)
        time.sleep(max(0, every - (time.monotonic() - began)))
    judge(f"{seconds} s of reloads", lbd, before, wrk.result())
    check("every reload was taken", refused, [])
    at_least(f"so many reloads in {seconds} s", count, seconds / every / 2 / SLOW)
    lbd.write_config(files[0])
    lbd.reload()


def drains(lab, lbd, seconds):
    """A backend is drained and enabled again, and another one disabled."""
    before = counted(lbd)
    wrk = Wrk(lab, seconds)
    count, wrong = 0, []
    while wrk.running():
        for verb, name in (("drain", "b1"), ("disable", "b2"), ("enable", "b1"), ("enable", "b2")):
            done = lbd.lbadm("backend", verb, "web", name)
            wrong += [done.stderr] if done.returncode else []
            count += 1
            time.sleep(0.05)
    judge(f"{seconds} s of drains", lbd, before, wrk.result())
    check("every change was taken", wrong, [])
    at_least(f"so many changes in {seconds} s", count, seconds)


def upgrades(lab, lbd, seconds, count):
    """lbd is replaced <count> times, under kept and under new connections."""
    before = counted(lbd)
    kept, fresh = Wrk(lab, seconds), Wrk(lab, seconds, 8, close=True)
    done, wrong = 0, []
    began = time.monotonic()
    while kept.running() and done < count:
        answer = lbd.lbadm("upgrade")
        if answer.returncode:
            wrong.append(answer.stderr)
            break
        follow(lab, lbd)
        done += 1
        time.sleep(max(0, began + done * seconds * 0.8 / count - time.monotonic()))
    result, other = kept.result(), fresh.result()
    check(f"{done} upgrades: no request on a new connection has failed", other["failed"], "")
    result["requests"] += other["requests"]
    judge(f"{done} upgrades", lbd, before, result)
    check("every upgrade was done", (done, wrong), (count, []))
    ok("the old ones have ended", wait_for(lambda: not lbd.get("/v1/status")["draining"], 40),
       lbd.get("/v1/status"))


class Getter:
    """One keep-alive connection that asks and counts, each answer looked at."""

    def __init__(self):
        self.good, self.wrong, self._stop = 0, [], threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        connection = http.client.HTTPConnection(*LISTEN, timeout=10)
        while not self._stop.is_set():
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read()
                if (answer.status, body[:1], len(body)) == (200, b"b", 3):
                    self.good += 1
                else:
                    self.wrong.append((answer.status, body))
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                connection.close()

    def stop(self):
        self._stop.set()
        self._thread.join(15)


def kills(lab, lbd, servers, seconds, seed=1):
    """Backends are killed and started again at random; one is always alive."""
    chance = random.Random(seed)
    before = counted(lbd)
    wrk, getter = Wrk(lab, seconds), Getter()
    dead, count = [], 0
    while wrk.running():
        if dead and (len(dead) == len(ALL) - 1 or chance.random() < 0.5):
            servers.start(dead.pop(chance.randrange(len(dead))))
        else:
            name = chance.choice([n for n in ALL if n not in dead])
            servers.kill(name)
            dead.append(name)
            count += 1
        time.sleep(chance.uniform(0.01, 0.15))
    getter.stop()
    result = wrk.result()
    for name in dead:
        servers.start(name)
    check(f"{seconds} s of kills: a client that looks at each answer got no wrong one",
          getter.wrong[:5], [])
    at_least("and it got some", getter.good, 10)
    result["requests"] += getter.good
    judge(f"{seconds} s of kills", lbd, before, result, may_fail=True)
    at_least(f"so many kills in {seconds} s", count, seconds)


# ---- Truncation ------------------------------------------------------------------------------

def ask(path, minor):
    """A connection that has the head and the first part of a body, and that head."""
    sock = socket.create_connection(LISTEN, 10)
    sock.sendall(f"GET {path} HTTP/1.{minor}\r\nHost: a\r\n\r\n".encode())
    text = b""
    while len(text) < 20000:
        more = sock.recv(65536)
        if not more:
            break
        text += more
    return sock, text


def ending(sock, text):
    """How the answer ends for a client that knows HTTP: "whole" or what shows it is not."""
    try:
        while more := sock.recv(65536):
            text += more
    except ConnectionResetError:
        return "reset"
    except TimeoutError:
        return "never"
    head, _, body = text.partition(b"\r\n\r\n")
    if b"chunked" in head:
        return "whole" if body.endswith(b"0\r\n\r\n") else "no last chunk"
    length = re.search(rb"Content-Length: (\d+)", head)
    if length:
        return "whole" if len(body) == int(length.group(1)) else "short"
    return "whole"


TRUNCATIONS = [("/length", 1, "short"), ("/length", 0, "short"),
               ("/chunked", 1, "no last chunk"), ("/chunked", 0, "reset"),
               ("/close", 1, "no last chunk"), ("/close", 0, "reset")]


def truncations(lab, lbd, each):
    """A backend is killed while <each> clients of each kind are in the middle of its bodies."""
    before = counted(lbd)["failed"]
    with origin(lab) as process:
        asked = [(row, ask(*row[:2])) for row in TRUNCATIONS for _ in range(each)]
        lab.end(process, signal.SIGKILL)
        for path, minor, expected in TRUNCATIONS:
            seen = [ending(sock, text) for row, (sock, text) in asked
                    if row == (path, minor, expected)]
            check(f"{each} bodies of {path} to HTTP/1.{minor} clients are seen to be cut short",
                  seen, [expected] * each)
    for _, (sock, _) in asked:
        sock.close()
    check("each is counted as a failure of the backend, once",
          counted(lbd)["failed"] - before, len(asked))


# ---- Slow ones -------------------------------------------------------------------------------

def private_kb(lbd):
    with open(f"/proc/{lbd.process.pid}/smaps_rollup", encoding="ascii") as file:
        text = file.read()
    return sum(int(n) for n in re.findall(r"Private_\w+:\s+(\d+)", text))


def kernel_kb(lab):
    """What the kernel holds for lbd's sockets of the slow service: skmem's r, t, f, w."""
    text = lab.run("client", "ss", "-tmnH", "sport = :7009 or dport = :7019").stdout
    return sum(int(n) for n in re.findall(r"[(,][rtfw](\d+)", text)) >> 10


def steady(what, seconds=10):
    """Waits until <what>() stops growing: the buffers of endless bodies are full."""
    last = [0]

    def same():
        before, last[0] = last[0], what()
        return last[0] <= before * 1.01
    return wait_for(same, seconds, 0.5)


def latency(lab, seconds):
    return Wrk(lab, seconds, 2).result()


def crowd(lab, kind, count, port=7009):
    """slow.py with <count> connections, once all of them are made."""
    process = lab.popen("client", f"{HERE}/slow.py", kind, str(count), str(port),
                        stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline().strip()
    if line != "ready":
        raise RuntimeError(f"slow.py {kind}: {line or 'ended'}")
    return process


KINDS = ["reader", "drip", "uploader", "sink"]


def beside_a_crowd(lab, each, seconds):
    """What others see while the same crowd asks the backend itself: it needs processors, too."""
    crowds = [crowd(lab, kind, each, 7019) for kind in KINDS]
    seen = latency(lab, seconds)
    for process in crowds:
        lab.end(process)
    return seen


def slow(lab, lbd, each, seconds, limit_kb=32):
    """Endless bodies at 1 KB/s: clients that read or send so, backends that send or read so.
    (99th percentile of others beside the crowd, and while it goes through lbd)"""
    with origin(lab, "b9"):
        alone = latency(lab, seconds)
        quiet = beside_a_crowd(lab, each, seconds)
        memory, kernel = private_kb(lbd), kernel_kb(lab)
        crowds = [crowd(lab, kind, each) for kind in KINDS]
        steady(lambda: kernel_kb(lab))
        during = latency(lab, seconds)
        grown, held = private_kb(lbd) - memory, kernel_kb(lab) - kernel
        n_open = lbd.get("/v1/services/slow")["open"]
        log = lbd.log_text()
        for process in crowds:
            lab.end(process)
    check("every slow connection is open to the end", n_open, each * len(KINDS))
    check("no other client has failed beside them",
          alone["failed"] + quiet["failed"] + during["failed"], "")
    note(f"{n_open} slow connections for {seconds} s: lbd {grown / n_open:.1f} KB for each, kernel"
         f" {held / n_open:.1f} KB; p99 of others alone {alone['p99_ms']:.2f} ms, with the crowd"
         f" past lbd {quiet['p99_ms']:.2f}, through lbd {during['p99_ms']:.2f}")
    at_most("lbd's memory has grown by at most so many KB for each", grown / n_open,
            limit_kb * SLOW)  # sanitizers keep what is freed, and shadows
    ok("lbd logs no failure of them", "failed" not in log, log[-500:])
    ok("all is released after them",
       wait_for(lambda: lbd.get("/v1/services/slow")["open"] == 0),
       lbd.get("/v1/services/slow"))
    return quiet["p99_ms"], during["p99_ms"]


def slowloris(lab, lbd, count, seconds):
    """<count> connections that send a head byte by byte do not keep new clients out."""
    quiet = latency(lab, seconds)
    memory = private_kb(lbd)
    process = crowd(lab, "loris", count)
    n_open = lambda: lbd.get("/v1/services/slow")["open"]  # noqa: E731
    wait_for(lambda: n_open() >= count)
    held = n_open()
    during = latency(lab, seconds)
    fresh = []
    for _ in range(50):
        began = time.monotonic()
        connection = http.client.HTTPConnection(*LISTEN, timeout=5)
        connection.request("GET", "/")
        status = connection.getresponse().status
        connection.close()
        fresh.append((status, time.monotonic() - began))
    grown = private_kb(lbd) - memory
    at_least(f"{count} slowloris connections are held", held, count)
    note(f"{held} slowloris connections: lbd {grown / held:.2f} KB for each; p99"
         f" {quiet['p99_ms']:.2f} -> {during['p99_ms']:.2f} ms; new clients' worst"
         f" {max(t for _, t in fresh) * 1000:.1f} ms")
    check("no other client has failed beside them", during["failed"], "")
    check("and new clients are served", [s for s, _ in fresh if s != 200], [])
    at_most("at once: the slowest within a second", max(t for _, t in fresh), 1.0 * SLOW)
    at_most("lbd's memory has grown by at most so many KB for each", grown / held, 20 * SLOW)
    ok("those that do not end their head in time are closed",
       wait_for(lambda: lbd.get("/v1/services/slow")["open"] == 0, 20),
       lbd.get("/v1/services/slow"))
    lab.end(process)
