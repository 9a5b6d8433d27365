#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The proxy: HTTP requests and relayed connections, as clients see them. No BPF is touched."""
import collections
import hashlib
import os
import signal
import socket

from lab import FAST_CHECK, PROXY, Lab, backends, config, pool
from tap import at_least, check, main, ok, wait_for
from traffic import (Connection, Stream, ask, connect, hold, names, outcome, raw, release, request,
                     share)

ALL = ["b1", "b2", "b3"]
WEB, WEIGHTED, RELAY, NOBODY, ODD, ROUTED = (f"{PROXY}:{port}"
                                             for port in (80, 81, 82, 83, 84, 85))


def proxy(listen, protocol, pool_name, **more):
    return {"listen": listen, "protocol": protocol, "path": "proxy", "pool": pool_name, **more}


def http(listen, pool_name, **more):
    return {"listen": listen, "protocol": "http", "pool": pool_name, **more}


def services(web=tuple(ALL)):
    pools = {
        "web": pool(web, health=FAST_CHECK),
        "weighted": pool(ALL, "weighted-round-robin", port=8080, weights=[3, 2, 1]),
        "least": pool(ALL, "least-connections"),
        "nobody": pool(ALL, weights=[0, 0, 0]),
        # Nothing listens at the first port; the second accepts and never answers.
        "odd": {"algorithm": "round-robin", "health": {"type": "none"},
                "backends": backends(["b1"], 9)},
        "mute": {"algorithm": "round-robin", "health": {"type": "none"},
                 "backends": backends(["b1"], 9999)},
        "one": pool(["b3"]),
    }
    routed = http(ROUTED, "web")
    del routed["pool"]
    routed["routes"] = [{"path": "/healthz", "pool": "one"},
                        {"host": "mute.example", "pool": "mute"},
                        {"host": "odd.example", "pool": "odd"}, {"pool": "web"}]
    return config(None, pools, {
        "web": http(WEB, "web"),
        "weighted": http(WEIGHTED, "weighted"),
        "relay": proxy(RELAY, "tcp", "least"),
        "nobody": http(NOBODY, "nobody"),
        "odd": http(ODD, "odd"),
        "routed": {**routed, "timeouts": {"response-header": "300ms", "connect": "500ms"}},
    }, workers=2)


def test_shares(lab, _lbd):
    got = collections.Counter()
    connection = Connection(lab, WEB)
    for _ in range(60):
        got[request(lab, WEB, connection=connection)[1].decode().strip()] += 1
    connection.close()
    check("60 requests on one keep-alive connection are shared round-robin", dict(got),
          {"b1": 20, "b2": 20, "b3": 20})
    check("60 requests on 60 connections by weights 3:2:1 are shared exactly",
          share(lab, WEIGHTED, 60), {"b1": 30, "b2": 20, "b3": 10})
    check("requests are shared by path",
          {request(lab, ROUTED, "/healthz")[1] for _ in range(6)}, {b"ok\n"})


def test_refusals(lab, lbd):
    status, _, headers = request(lab, NOBODY)
    check("no eligible backend is answered with 503", status, 503)
    ok("the 503 says when to try again", "retry-after" in headers, headers)
    check("a backend that refuses is answered with 502", request(lab, ODD)[0], 502)
    failed = lbd.backends("odd")["b1"]["failed"]
    at_least("the refused connect is counted as failed", failed, 1)
    check("garbage is answered with 400 and the connection is closed",
          raw(lab, WEB, b"GARBAGE\r\n\r\n").partition(b"\r\n")[0].split(b" ")[1], b"400")
    check("two lengths that differ are answered with 400",
          raw(lab, WEB, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2"
              b"\r\n\r\nab").split(b" ")[1], b"400")
    check("a length beside chunked is answered with 400",
          raw(lab, WEB, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").split(b" ")[1], b"400")
    check("a request without Host is answered with 400",
          raw(lab, WEB, b"GET / HTTP/1.1\r\n\r\n").split(b" ")[1], b"400")
    check("a head larger than the buffer is answered with 431",
          raw(lab, WEB, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40000 + b"\r\n\r\n")
          .split(b" ")[1], b"431")


def test_timeout(lab, _lbd):
    with lab.socket("b1") as listener:  # accepts in the kernel and never answers
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("10.0.1.11", 9999))
        listener.listen(16)
        check("a backend that does not answer in time is 504",
              request(lab, ROUTED, headers={"Host": "mute.example"})[0], 504)
    check("a backend whose server went away is 502",
          request(lab, ROUTED, headers={"Host": "mute.example"})[0], 502)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def test_bodies(lab, _lbd):
    status, body, headers = request(lab, WEB, "/64m")
    check("64 MB arrive whole through the proxy",
          (status, hashlib.sha256(body).hexdigest()), (200, digest(f"{lab.run_dir}/files/64m")))
    check("the length of the response is the backend's", headers["content-length"], str(64 << 20))
    body = os.urandom(1 << 20) * 16
    status, answer, _ = request(lab, WEB, "/upload", "POST", body)
    check("16 MB with a length are uploaded whole", (status, answer.split()[1:]),
          (200, [str(len(body)).encode()]))
    connection = Connection(lab, WEB)
    connection.request("POST", "/upload", body=iter([body[:100000]] * 5), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
    answer = connection.getresponse()
    check("a chunked upload is accepted", (answer.status, answer.read()[:1]), (200, b"b"))
    connection.request("HEAD", "/1m")
    answer = connection.getresponse()
    check("HEAD has the length and no body",
          (answer.status, answer.headers["Content-Length"], answer.read()),
          (200, str(1 << 20), b""))
    connection.request("GET", "/healthz")
    check("the connection goes on after HEAD", connection.getresponse().read(), b"ok\n")
    connection.close()


def test_pipeline(lab, _lbd):
    text = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 9
    answer = raw(lab, WEB, text + b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    check("ten pipelined requests get ten answers in one connection",
          (answer.count(b"HTTP/1.1 200"), answer.count(b"ok\n")), (10, 10))


def test_relay(lab, lbd):
    held = hold(lab, RELAY, 30)
    check("relayed connections are held least-connections", names(held),
          {"b1": 10, "b2": 10, "b3": 10})
    check("and counted as open", {n: b["open"] for n, b in lbd.backends("least").items()},
          {"b1": 10, "b2": 10, "b3": 10})
    release(held)
    ok("and as closed after that",
       wait_for(lambda: all(b["open"] == 0 for b in lbd.backends("least").values())),
       [(n, b["open"]) for n, b in lbd.backends("least").items()])
    check("the relay carries 64 MB whole",
          hashlib.sha256(request(lab, RELAY, "/64m")[1]).hexdigest(),
          digest(f"{lab.run_dir}/files/64m"))


def test_failover(lab, lbd):
    ok("all three are eligible at first", lbd.wait_eligible("web", ALL), lbd.backends("web"))
    with Stream(lambda: request(lab, WEB)[0]) as stream:
        stream.wait_more(50)
        lab.kill_nginx("b2")
        stream.wait_more(200)
        gone = lbd.wait_eligible("web", ["b1", "b3"])
        stream.wait_more(50)
        lab.start_nginx("b2")
        back = lbd.wait_eligible("web", ALL)
        stream.wait_more(50)
    ok("a backend that stopped leaves and comes back by its check", gone and back,
       (gone, back, lbd.backends("web")))
    check("no idempotent request failed while it stopped and came back",
          collections.Counter(r for _, r in stream.seen if r != 200), {})


def test_reload(lab, lbd):
    kept = Connection(lab, WEB)
    check("a keep-alive connection is open before the reload",
          request(lab, WEB, connection=kept)[0], 200)
    port = kept.sock.getsockname()[1]
    relayed = connect(lab, RELAY)
    name = ask(relayed)
    with Stream(lambda: request(lab, WEB)[0]) as stream:
        stream.wait_more(20)
        lbd.write_config(services(["b1", "b3"]))
        lbd.reload()
        ok("a reload by SIGHUP takes a backend away", lbd.wait_eligible("web", ["b1", "b3"]),
           lbd.backends("web"))
        stream.wait_more(20)
    check("new requests go to the others", set(share(lab, WEB, 20)), {"b1", "b3"})
    check("no request failed during the reload",
          collections.Counter(r for _, r in stream.seen if r != 200), {})
    check("the keep-alive connection goes on after the reload",
          (request(lab, WEB, connection=kept)[0], kept.sock.getsockname()[1]), (200, port))
    check("the relayed connection goes on after the reload", ask(relayed), name)
    kept.close()
    relayed.close()


def test_bad_reload(lab, lbd):
    before = lbd.get("/v1/pools")
    with open(lbd.file, encoding="utf-8") as file:
        good = file.read()
    lbd.write_config(good.replace("round-robin", "round-robbin"))
    ok("a bad file is reported in the log", lbd.reload() and "round-robbin" in lbd.log())
    done = lbd.lbadm("config", "reload")
    check("lbadm config reload is refused with status 1", done.returncode, 1)
    ok("and says why, with the line", "round-robbin" in done.stderr and ".yaml:" in done.stderr,
       done.stderr)
    lbd.write_config(good)
    after = lbd.get("/v1/pools")
    check("and nothing is changed", _shape(after), _shape(before))
    check("and requests go on", set(share(lab, WEB, 12)), {"b1", "b3"})


def _shape(answer):
    return [(p["name"], p["algorithm"],
             sorted(b["name"] for b in p.get("backends", []))) for p in answer["pools"]]


def test_stop(lab, lbd):
    kept = Connection(lab, WEB)
    request(lab, WEB, connection=kept)
    slow = connect(lab, WEB)
    slow.sendall(b"GET /64m HTTP/1.1\r\nHost: a\r\n\r\n")
    received = len(slow.recv(1000).partition(b"\r\n\r\n")[2])
    lbd.process.send_signal(signal.SIGTERM)
    ok("after SIGTERM no new connection is accepted",
       wait_for(lambda: outcome(lab, WEB) == "refused"))
    # Its head said that the connection stays: a while, for a request that is under way.
    while received < 64 << 20:
        more = slow.recv(1 << 20)
        if not more:
            break
        received += len(more)
    at_least("a response that had begun is finished", received, 64 << 20)
    slow.close()
    kept.close()
    lbd.process.wait(10)
    check("then lbd ends with status 0", lbd.process.returncode, 0)


def test_http():
    with Lab("tc") as lab, lab.lbd(services()) as lbd:
        for test in (test_shares, test_refusals, test_timeout, test_bodies, test_pipeline,
                     test_relay, test_failover, test_reload, test_bad_reload, test_stop):
            try:
                test(lab, lbd)
            except Exception as error:
                ok(f"{test.__name__} runs to its end", False, repr(error))


if __name__ == "__main__":
    main(test_http)
