#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lbadm trace http: what would become of a request, found by asking the router and the balancers,
who must not notice. No BPF is touched."""
import socket

from lab import NO_CHECK, PROXY, Lab, address_of, config, pool
from tap import check, main, ok, wait_for
from traffic import connect, request

WEB, SECOND = f"{PROXY}:80", f"{PROXY}:81"
MUTE = 9999  # of b1: takes requests and says nothing
NAMED = "http://shop.example.com"


def services():
    pools = {
        "api": pool(["b1", "b2", "b3"]),
        "few": pool(["b1", "b2"], algorithm="least-connections", weights=[1, 0]),
        "nobody": pool(["b1"], weights=[0]),
        "left": pool(["b1"]),
        "right": pool(["b2"]),
        "tight": {"algorithm": "round-robin", "health": NO_CHECK, "queue": {"size": 1},
                  "backends": [{"address": f"{address_of('b1')}:{MUTE}", "name": "b1",
                                "max-connections": 1}]},
    }
    routes = [
        {"host": "shop.example.com", "path": "/api/", "method": ["GET", "POST"], "pool": "api",
         "headers": {"set": {"X-Client": "${client_ip}"}, "remove": ["X-Secret"]}},
        {"host": "turn.example.com", "pool": "api"},
        {"host": "few.example.com", "pool": "few"},
        {"host": "tight.example.com", "pool": "tight"},
        {"host": "nobody.example.com", "pool": "nobody"},
        {"host": "both.example.com", "pools": [{"pool": "left", "weight": 1},
                                               {"pool": "right", "weight": 1}]},
        {"host": "old.example.com", "redirect": {"to": "https://new.example.com${target}",
                                                 "code": 308}},
    ]
    return config(None, pools, {
        "web": {"listen": WEB, "protocol": "http", "routes": routes,
                "trusted-proxies": ["10.9.0.0/16"]},
        "second": {"listen": SECOND, "protocol": "http", "pool": "left",
                   "proxy-protocol": {"send": "v2"}},
        "relay": {"listen": f"{PROXY}:82", "protocol": "tcp", "path": "proxy", "pool": "left"},
    }, workers=2)


def trace(lbd, url, *more, method="GET", source="10.0.0.2"):
    return lbd.lbadm_json("trace", "http", method, url, "--from", source, *more)


def some(answer, *keys):
    return [answer.get(key) for key in keys]


def test_ways(_lab, lbd):
    answer = trace(lbd, f"{NAMED}/api/x?a=1#top")
    check("a request that is forwarded: service, pool, end",
          some(answer, "service", "pool", "algorithm", "end"),
          ["web", "api", "round-robin", "forwarded"])
    check("its route", answer["route"], {"index": 0, "host": "shop.example.com", "path": "/api/",
                                         "method": ["GET", "POST"]})
    check("the candidates are those of the pool",
          [(c["name"], c["weight"], c["open"], c["eligible"], c["why"])
           for c in answer["candidates"]],
          [(name, 1, 0, True, "") for name in ("b1", "b2", "b3")])
    check("the one picked is the backend",
          [c["address"] for c in answer["candidates"] if c["chosen"]], [answer["backend"]])
    for name, method, url, want in (
            ("a redirect", "GET", "http://old.example.com/a?b",
             {"end": "redirected", "status": 308, "location": "https://new.example.com/a?b"}),
            ("a path that no route takes", "GET", f"{NAMED}/", {"status": 404,
                                                               "reason": "no_route"}),
            ("a method that no route takes", "PUT", f"{NAMED}/api/", {"status": 404}),
            ("a path that hides behind dots", "GET", f"{NAMED}/x/../api/y",
             {"end": "forwarded", "pool": "api"}),
            ("a method that lbd refuses", "TRACE", f"{NAMED}/api/",
             {"status": 405, "reason": "method_not_allowed", "route": None}),
            ("a target with a space", "GET", f"{NAMED}/a b", {"status": 400, "end": "refused"}),
            ("a method that is none", "G(T", f"{NAMED}/api/", {"status": 400, "offset": 1}),
            ("a pool without an eligible backend", "GET", "http://nobody.example.com/",
             {"status": 503, "reason": "no_backend", "pool": "nobody", "backend": None}),
            ("an address", "GET", f"http://{SECOND}/", {"service": "second", "pool": "left",
                                                        "proxy_protocol": "v2"})):
        answer = trace(lbd, url, method=method)
        check(f"{name}: {method} {url}", {key: answer.get(key) for key in want}, want)
    check("who is not eligible is shown with the reason",
          [(c["name"], c["eligible"], c["why"], c["chosen"])
           for c in trace(lbd, "http://few.example.com/")["candidates"]],
          [("b1", True, "", True), ("b2", False, "weight is 0", False)])


def head_of(answer):
    line, *headers = answer["head"].split("\r\n")
    return line, {name: value for name, _, value in (h.partition(": ") for h in headers) if name}


def test_heads(_lab, lbd):
    line, headers = head_of(trace(lbd, f"{NAMED}/api/x", "--header", "X-Secret: 1"))
    check("the head as the backend would get it: its first line", line, "GET /api/x HTTP/1.1")
    check("the route's headers are set, added and removed",
          some(headers, "Host", "X-Client", "X-Forwarded-For", "X-Secret"),
          ["shop.example.com", "10.0.0.2", "10.0.0.2", None])
    forwarded = "X-Forwarded-For: 192.0.2.7"
    for source, trusted, client in (("10.0.0.2", False, "10.0.0.2"),
                                    ("10.9.0.1", True, "192.0.2.7")):
        answer = trace(lbd, f"{NAMED}/api/", "--header", forwarded, source=source)
        check(f"what {source} says of the client is {'' if trusted else 'not '}believed",
              [*some(answer, "trusted", "client"), head_of(answer)[1]["X-Client"]],
              [trusted, client, client])


def test_order(lab, lbd):
    def counts():
        return ([(b["name"], b["opened"], b["open"]) for b in lbd.backends("api").values()],
                lbd.get("/v1/services/web")["opened"])

    for host, pools in (("turn.example.com", ["api"]), ("both.example.com", ["left", "right"])):
        for turn in range(7):
            before = counts()
            said = [trace(lbd, f"http://{host}/") for _ in range(3)]
            check(f"{host}, turn {turn}: nothing is counted", counts(), before)
            chosen = {c["name"] for answer in said for c in answer["candidates"] if c["chosen"]}
            ok(f"{host}, turn {turn}: one pool of {pools}", said[0]["pool"] in pools, said[0])
            check(f"{host}, turn {turn}: the next request gets what each trace has said",
                  {request(lab, WEB, headers={"Host": host})[1].decode().strip()}, chosen)


def test_full(lab, lbd):
    url = "http://tight.example.com/"
    with lab.socket("b1") as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address_of("b1"), MUTE))
        listener.listen(4)
        listener.settimeout(5)
        for _ in range(3):
            check("a backend with room for one", trace(lbd, url)["end"], "forwarded")
        with connect(lab, WEB) as first:
            first.sendall(b"GET / HTTP/1.1\r\nHost: tight.example.com\r\n\r\n")
            server, _ = listener.accept()
            answer = trace(lbd, url)
            check("when it has that one, the next would be queued",
                  [answer["end"], answer["backend"], answer["candidates"][0]["why"]],
                  ["queued", None, "full: max-connections is 1"])
            with connect(lab, WEB) as second:
                second.sendall(b"GET / HTTP/1.1\r\nHost: tight.example.com\r\n\r\n")
                ok("with the queue full, it would be refused", wait_for(
                    lambda: trace(lbd, url).get("reason") == "queue_full"), trace(lbd, url))
            server.close()


def test_mistakes(_lab, lbd):
    for name, args, code, says in (
            ("no client", ("trace", "http", "GET", NAMED), 2, "--from is needed"),
            ("an option of packets", ("trace", "http", "GET", NAMED, "--in", "eth0"), 2,
             "--in is not for 'trace http'"),
            ("a client that is none", ("trace", "http", "GET", NAMED, "--from", "me"), 1, "'me'"),
            ("TLS", ("trace", "http", "GET", "https://a/", "--from", "10.0.0.2"), 1, "TLS"),
            ("no host", ("trace", "http", "GET", "http:///x", "--from", "10.0.0.2"), 1,
             "names no host"),
            ("a port where nobody listens",
             ("trace", "http", "GET", "http://a:99/", "--from", "10.0.0.2"), 1, "service"),
            ("a service that is none",
             ("trace", "http", "GET", NAMED, "--from", "10.0.0.2", "--service", "wob"), 1, "wob"),
            ("a service of another protocol",
             ("trace", "http", "GET", NAMED, "--from", "10.0.0.2", "--service", "relay"), 1,
             "not http")):
        done = lbd.lbadm(*args)
        ok(f"{name}: exit status {code} and '{says}'",
           done.returncode == code and says in done.stderr, (done.returncode, done.stderr))
    check("--service goes before the URL", trace(lbd, NAMED, "--service", "second")["service"],
          "second")
    text = lbd.lbadm("trace", "http", "GET", f"{NAMED}/api/x", "--from", "10.0.0.2").stdout
    ok("for people: the route, the candidates and the head", all(part in text for part in (
        "service    web", "route      0: host shop.example.com, path /api/, method GET POST",
        "forwarded  10.0.1.", "\nGET /api/x HTTP/1.1\nHost: shop.example.com\n")), text)


def test_trace_http():
    with Lab() as lab, lab.lbd(services()) as lbd:
        for test in (test_ways, test_heads, test_order, test_full, test_mistakes):
            test(lab, lbd)


if __name__ == "__main__":
    main(test_trace_http)
