#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The access log: one line for each request, whatever became of it, and never in its way."""
import json
import os
import re
import signal
import socket
import threading
import time

from lab import PROXY, Lab, config, pool
from tap import at_least, at_most, check, main, ok, wait_for
from traffic import Connection, connect, raw, request, reset

WEB, NOBODY, ODD, MUTE, JSON, FIFO = (f"{PROXY}:{port}" for port in (80, 81, 82, 83, 84, 85))
RELAY, RELAY_IDLE, RELAY_NOBODY, RELAY_ODD, RELAY_PROXY, RELAY_NAMED, HTTP_PROXY = (
    f"{PROXY}:{port}" for port in range(90, 97))
FIELDS = ("${service} ${pool}/${backend} \"${request}\" ${status} ${reason} ${retries} "
          "${protocol} ${host}")
RELAY_FIELDS = ("${service} ${protocol} ${client_ip} ${pool}/${backend} ${reason} ${bytes_in} "
                "${bytes_out} ${queue_ms} ${connect_ms} ${total_ms}")


def http(listen, pool_name, **more):
    return {"listen": listen, "protocol": "http", "pool": pool_name, **more}


def relays(log):
    def relay(listen, pool_name, **more):
        return {"listen": listen, "protocol": "tcp", "path": "proxy", "pool": pool_name,
                "access-log": log("relay", RELAY_FIELDS), **more}

    accept = {"proxy-protocol": {"accept": "true"}}
    named = relay(RELAY_NAMED, "mute", routes=[{"host": "a.example", "pool": "mute"}])
    del named["pool"]
    return {
        "relay": relay(RELAY, "mute"),
        "relay-idle": relay(RELAY_IDLE, "mute", timeouts={"tunnel": "200ms"}),
        "relay-nobody": relay(RELAY_NOBODY, "nobody"),
        "relay-odd": relay(RELAY_ODD, "odd"),
        "relay-proxy": relay(RELAY_PROXY, "mute", **accept),
        "relay-named": named,
        "http-proxy": http(HTTP_PROXY, "web", **accept,
                           **{"access-log": log("relay", RELAY_FIELDS)}),
    }


def services(directory):
    def log(name, text=FIELDS):
        return {"format": text, "file": f"{directory}/{name}"}

    pools = {
        "web": pool(["b1"]),
        "nobody": pool(["b1"], weights=[0]),
        "odd": pool(["b1"], port=9),
        "mute": pool(["b1"], port=9999),
    }
    return config(None, pools, {
        "web": http(WEB, "web", **{"access-log": log("web")}),
        "nobody": http(NOBODY, "nobody", **{"access-log": log("web")}),
        "odd": http(ODD, "odd", **{"access-log": log("web")}),
        "mute": http(MUTE, "mute", timeouts={"response-header": "200ms"},
                     **{"access-log": log("web")}),
        "routed": {"listen": f"{PROXY}:86", "protocol": "http",
                   "routes": [{"host": "known.example", "pool": "web"}],
                   "access-log": log("web")},
        "json": http(JSON, "web", **{"access-log": {"format": "json",
                                                    "file": f"{directory}/json"}}),
        "fifo": http(FIFO, "web", **{"access-log": log("fifo")}),
        **relays(log),
    }, workers=2)


def lines_of(path):
    try:
        with open(path, encoding="latin-1") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


class Tail:
    """What comes to a log from now on."""

    def __init__(self, path):
        self.path, self.seen = path, len(lines_of(path))

    def next(self, count=1):
        wait_for(lambda: len(lines_of(self.path)) >= self.seen + count, 3)
        lines = lines_of(self.path)[self.seen:]
        self.seen += len(lines)
        return lines


def expect(name, tail, *lines):
    check(f"{name}: its line", tail.next(len(lines)), list(lines))


def leave(lab, address, text):
    """Says <text> and goes away at once."""
    with connect(lab, address) as sock:
        sock.sendall(text)


def test_outcomes(lab, lbd):
    tail = Tail(f"{lbd.directory}/web")
    request(lab, WEB, "/healthz?a=1")
    expect("200", tail, f'web web/b1 "GET /healthz?a=1 HTTP/1.1" 200 ok 0 http {PROXY}')
    request(lab, WEB, "/nothing-here")
    expect("404 of a backend", tail,
           f'web web/b1 "GET /nothing-here HTTP/1.1" 404 ok 0 http {PROXY}')
    request(lab, f"{PROXY}:86", "/")
    expect("no route", tail, f'routed -/- "GET / HTTP/1.1" 404 no_route 0 http {PROXY}:86')
    request(lab, NOBODY)
    expect("no eligible backend", tail,
           f'nobody nobody/- "GET / HTTP/1.1" 503 no_backend 0 http {NOBODY}')
    request(lab, ODD)
    line = tail.next()
    ok("a refused connect: its line", len(line) == 1 and re.fullmatch(
        rf'odd odd/b1 "GET / HTTP/1.1" 502 connect_refused \d http {re.escape(ODD)}', line[0]),
       line)
    with lab.socket("b1") as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("10.0.1.11", 9999))
        listener.listen(16)
        request(lab, MUTE)
        expect("no answer in time", tail,
               f'mute mute/b1 "GET / HTTP/1.1" 504 response_timeout 0 http {MUTE}')
        leave(lab, MUTE, b"GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
        expect("a client that leaves", tail,
               'mute mute/b1 "GET /gone HTTP/1.1" 0 client_closed 0 http h')
    raw(lab, WEB, b"G\x01T /\"x\" HTTP/1.1\r\nHost: a\r\n\r\n")
    line = tail.next()
    ok("garbage: its first line, escaped", len(line) == 1 and line[0].startswith(
        'web -/- "G\\x01T /\\x22x\\x22 HTTP/1.1" 400 '), line)
    raw(lab, WEB, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40000 + b"\r\n\r\n")
    expect("a head that is too large", tail,
           'web -/- "GET / HTTP/1.1" 431 head_too_large 0 http -')
    leave(lab, WEB, b"GET / HT")
    expect("half a head", tail, 'web -/- "GET / HT" 0 client_closed 0 http -')
    text = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 4
    raw(lab, WEB, text + b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    expect("five pipelined", tail,
           *['web web/b1 "GET /healthz HTTP/1.1" 200 ok 0 http a'] * 5)
    with connect(lab, WEB):
        pass
    request(lab, WEB, "/healthz")
    expect("a connection without a request has no line", tail,
           f'web web/b1 "GET /healthz HTTP/1.1" 200 ok 0 http {PROXY}')


def relayed(lab, listener, address):
    """(client, the backend's end) of a relayed connection through which 3 bytes have gone up and
    5 down."""
    client = connect(lab, address)
    client.sendall(b"abc")
    server, _ = listener.accept()
    server.settimeout(3)
    check("what the client says arrives", server.recv(3), b"abc")
    server.sendall(b"hello")
    check("so does the answer", client.recv(5), b"hello")
    return client, server


def close_both(client, server):
    client.close()
    server.recv(1)
    server.close()


def expect_relay(tail, line, connected=True):
    """<line> is all but the times, of which the connect time is there if it came so far."""
    got = tail.next()
    times = r" [\d.]+ [\d.]+ [\d.]+" if connected else r" ([\d.]+|-) - [\d.]+"
    ok(f"its line: {line}", len(got) == 1 and re.fullmatch(re.escape(line) + times, got[0]), got)


def test_relays(lab, lbd):
    tail = Tail(f"{lbd.directory}/relay")
    with lab.socket("b1") as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("10.0.1.11", 9999))
        listener.listen(16)
        listener.settimeout(3)
        close_both(*relayed(lab, listener, RELAY))
        expect_relay(tail, "relay relay 10.0.0.2 mute/b1 ok 3 5")
        client, server = relayed(lab, listener, RELAY)
        reset(client)
        expect_relay(tail, "relay relay 10.0.0.2 mute/b1 tunnel_reset 3 5")
        server.close()
        client, server = relayed(lab, listener, RELAY_IDLE)
        expect_relay(tail, "relay-idle relay 10.0.0.2 mute/b1 tunnel_timeout 3 5")
        client.close()
        server.close()
        client, server = relayed(lab, listener, RELAY)
        check("it is killed", lbd.lbadm("session", "kill", "--service", "relay").returncode, 0)
        expect_relay(tail, "relay relay 10.0.0.2 mute/b1 killed 3 5")
        client.close()
        server.close()
        client = connect(lab, RELAY_PROXY)
        client.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\nabc")
        server, _ = listener.accept()
        check("what comes behind a PROXY header arrives", server.recv(3), b"abc")
        close_both(client, server)
        expect_relay(tail, "relay-proxy relay 192.0.2.7 mute/b1 ok 3 0")
    for address, said, line in (
            (RELAY_NOBODY, b"", "relay-nobody relay 10.0.0.2 nobody/- no_backend 0 0"),
            (RELAY_ODD, b"", "relay-odd relay 10.0.0.2 odd/b1 connect_refused 0 0"),
            (RELAY_NAMED, b"SSH-2.0\r\n", "relay-named relay 10.0.0.2 -/- no_route 9 0"),
            (RELAY_PROXY, b"GET / HTTP/1.1\r\n",
             "relay-proxy relay 10.0.0.2 -/- bad_proxy_header 0 0"),
            (HTTP_PROXY, b"GET / HTTP/1.1\r\n",
             "http-proxy http 10.0.0.2 -/- bad_proxy_header 0 0")):
        try:
            with connect(lab, address) as sock:
                sock.sendall(said)
                expect_relay(tail, line, connected=False)
        except ConnectionResetError:  # before connect() has returned
            expect_relay(tail, line, connected=False)


def parsed(line):
    """Strictly: a byte that is no UTF-8 is an exception."""
    return json.loads(line.encode("latin-1").decode("utf-8"))


def test_json(lab, lbd):
    tail = Tail(f"{lbd.directory}/json")
    connection = Connection(lab, JSON)
    connection.request("POST", "/upload", body=b"x" * 5000, headers={"User-Agent": "curl"})
    answer = connection.getresponse().read()
    connection.close()
    entry = json.loads(tail.next()[0])
    check("a JSON line says what was asked",
          {k: entry[k] for k in ("service", "pool", "backend", "method", "target", "status",
                                 "reason", "version", "retries", "user_agent", "referer",
                                 "protocol")},
          {"service": "json", "pool": "web", "backend": "b1", "method": "POST",
           "target": "/upload", "status": 200, "reason": "ok", "version": "HTTP/1.1",
           "retries": 0, "user_agent": "curl", "referer": None, "protocol": "http"})
    at_least("bytes_in has the body and its head", entry["bytes_in"], 5050)
    at_least("bytes_out has the answer", entry["bytes_out"], len(answer) + 50)
    ok("its timers are in order", 0 <= entry["queue_ms"] <= entry["total_ms"] and
       entry["connect_ms"] + entry["first_byte_ms"] <= entry["total_ms"] < 5000, entry)
    hostile = [b"a\"b\\c", b"\x80\xff\xfe", "ä€🙂".encode(), b"tab\there", b"\xc3", b"\xed\xa0\x80",
               b'","status":999,"x":"']
    entries = []
    for value in hostile:
        raw(lab, JSON, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: " +
            value + b"\r\n\r\n")
        entries += map(parsed, tail.next())
    raw(lab, JSON, b"\xff\x00GARBAGE \"\\\x01\r\n\r\n")
    entries += map(parsed, tail.next())
    check("every hostile value is one object", len(entries), len(hostile) + 1)
    check("values come back, bytes that are no UTF-8 as \\xHH",
          [e["user_agent"] for e in entries[:-1]],
          ['a"b\\c', "\\x80\\xFF\\xFE", "ä€🙂", "tab\there", "\\xC3", "\\xED\\xA0\\x80",
           '","status":999,"x":"'])
    check("none of them changed another field", {e["status"] for e in entries[:-1]}, {200})
    check("garbage is 400", entries[-1]["status"], 400)


def ask_many(lab, address, count, failed):
    connection = Connection(lab, address)
    for _ in range(count):
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        if (answer.status, answer.read()) != (200, b"ok\n"):
            failed.append(answer.status)
    connection.close()


def test_rotation(lab, lbd):
    path = f"{lbd.directory}/json"
    before = len(lines_of(path))
    failed = []
    threads = [threading.Thread(target=ask_many, args=(lab, JSON, 1000, failed)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(5):
        seen = len(lines_of(path))
        wait_for(lambda seen=seen: len(lines_of(path)) > seen + 50, 3)
        os.rename(path, f"{path}.{n}")
        lbd.process.send_signal(signal.SIGUSR1 if n % 2 else signal.SIGHUP)
        wait_for(lambda: os.path.exists(path), 3)
    for thread in threads:
        thread.join()
    files = [path] + [f"{path}.{n}" for n in range(5)]

    def total():
        return sum(len(lines_of(f)) for f in files)
    wait_for(lambda: total() >= before + 4000, 3)
    check("all requests were answered", failed, [])
    check("five renames under load lose no line", total(), before + 4000)
    check("and tear none", [line for f in files for line in lines_of(f) if not whole(line)], [])


def whole(line):
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def timed(lab, address, count):
    connection = Connection(lab, address)
    begin = time.monotonic()
    for _ in range(count):
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    connection.close()
    return time.monotonic() - begin


def test_fifo(lab, lbd):
    free = timed(lab, JSON, 1500)
    blocked = timed(lab, FIFO, 1500) + timed(lab, FIFO, 1500)
    at_most("requests whose log nobody reads take no longer", blocked, 4 * free + 2)
    for _ in range(3):
        timed(lab, FIFO, 1500)
    counts = lbd.get("/v1/stats")["access_log"]
    ok("what the FIFO does not take is counted or waits", counts["lines"] >= 7500, counts)
    fd = os.open(f"{lbd.directory}/fifo", os.O_RDONLY | os.O_NONBLOCK)
    text = b""

    def read_more():
        nonlocal text
        try:
            text += os.read(fd, 1 << 16)
        except BlockingIOError:
            pass
        return text.count(b"\n") > 1500
    ok("a reader that comes gets lines", wait_for(read_more, 5), len(text))
    os.close(fd)
    check("all of them whole", {line.split(b" ")[0] for line in text.split(b"\n")[:-1]}, {b"fifo"})


def test_config(_lab, lbd):
    good = services(lbd.directory)
    bad = json.loads(json.dumps(good))
    bad["services"]["web"]["access-log"]["file"] = "/nonexistent/log"
    lbd.write_config(bad)
    done = lbd.lbadm("config", "reload")
    ok("a file that cannot be opened refuses the reload and is named",
       done.returncode == 1 and "cannot open access log '/nonexistent/log': No such file or "
       "directory" in done.stderr, done.stderr)
    lbd.write_config(good)
    check("a good one is taken again", lbd.lbadm("config", "reload").returncode, 0)


def test_access_log():
    with Lab() as lab:
        lbd = lab.lbd({})
        os.mkfifo(f"{lbd.directory}/fifo")
        lbd.write_config(services(lbd.directory))
        with lbd:
            for test in (test_outcomes, test_relays, test_json, test_rotation, test_fifo, test_config):
                test(lab, lbd)


if __name__ == "__main__":
    main(test_access_log)
