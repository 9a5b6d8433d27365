#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lbadm trace http: what would become of a request, found by asking the router and the balancers,
who must not notice. No BPF is touched."""
import select
import socket

from lab import NO_CHECK, PROXY, Lab, address_of, config, pool
from tap import check, main, ok, wait_for
from traffic import connect, request

WEB, SECOND, STICKY, GUARDED, RATED, NARROW, PAIR = (
    f"{PROXY}:{port}" for port in (80, 81, 83, 84, 85, 86, 87))
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
    pools["pair"] = pool(["b1", "b2"], port=MUTE, **{"max-connections": 1})
    shares = [{"pool": "left", "weight": 1}, {"pool": "right", "weight": 1}]
    routes = [
        {"host": "shop.example.com", "path": "/api/", "method": ["GET", "POST"], "pool": "api",
         "headers": {"set": {"X-Client": "${client_ip}"}, "remove": ["X-Secret"]}},
        {"host": "turn.example.com", "pool": "api"},
        {"host": "few.example.com", "pool": "few"},
        {"host": "tight.example.com", "pool": "tight"},
        {"host": "nobody.example.com", "pool": "nobody"},
        {"host": "both.example.com", "pools": shares},
        {"host": "old.example.com", "redirect": {"to": "https://new.example.com${target}",
                                                 "code": 308}},
    ]
    return config(None, pools, {
        "web": {"listen": WEB, "protocol": "http", "routes": routes,
                "trusted-proxies": ["10.9.0.0/16"]},
        "second": {"listen": SECOND, "protocol": "http", "pool": "left",
                   "proxy-protocol": {"send": "v2"}},
        "sticky": {"listen": STICKY, "protocol": "http", "sticky": {"cookie": "srv"},
                   "routes": [{"host": "both.example.com", "pools": shares}, {"pool": "api"}]},
        "guarded": {"listen": GUARDED, "protocol": "http", "pool": "left",
                    "deny": ["10.99.0.0/16"], "max-connections-per-source": 1},
        "rated": {"listen": RATED, "protocol": "http", "pool": "left",
                  "rate": {"new": 2, "per": "1h"}},
        "narrow": {"listen": NARROW, "protocol": "http", "pool": "left", "max-connections": 1},
        "pair": {"listen": PAIR, "protocol": "http", "pool": "pair", "sticky": {"cookie": "srv"}},
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
            wait_for(lambda: not any(b["open"] for b in lbd.backends("api").values()))
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


def chosen(answer):
    return [c["name"] for c in answer["candidates"] if c["chosen"]]


def cookie_of(headers):
    return headers["set-cookie"].partition(";")[0]


def test_sticky(lab, lbd):
    url = f"http://{STICKY}/"
    for _ in range(3):
        _, body, headers = request(lab, STICKY)
        name, cookie = body.decode().strip(), cookie_of(headers)
        answer = trace(lbd, url, "--cookie", cookie)
        check(f"with the cookie of {name} the request goes there",
              [chosen(answer), answer["sticky"]],
              [[name], {"cookie": "srv", "is": "known", "backend": name}])
    check("another header may be given too",
          head_of(trace(lbd, url, "--cookie", cookie, "--header", "X-A: b"))[1].get("X-A"), "b")
    check("without a cookie it says so", trace(lbd, url)["sticky"],
          {"cookie": "srv", "is": "no_cookie"})
    answer = trace(lbd, url, "--cookie", "srv=0123456789abcdef")
    check("with that of nobody too", [answer["sticky"], answer["end"]],
          [{"cookie": "srv", "is": "no_such_backend"}, "forwarded"])
    for _ in range(4):
        _, body, headers = request(lab, STICKY, headers={"Host": "both.example.com"})
        name, cookie = body.decode().strip(), cookie_of(headers)
        answer = trace(lbd, "http://both.example.com:83/", "--cookie", cookie)
        check(f"a cookie of {name} leads to the pool that has it",
              [answer["pool"], chosen(answer)], [{"b1": "left", "b2": "right"}[name], [name]])
    check("a service without one says nothing", trace(lbd, f"http://{SECOND}/").get("sticky"), None)
    text = lbd.lbadm("trace", "http", "GET", url, "--from", "10.0.0.2", "--cookie", cookie).stdout
    ok("for people: what the cookie names", "sticky     cookie srv names no backend" in text, text)


def test_sticky_full(lab, lbd):
    """Both backends are the test itself."""
    listeners = {}
    for name in ("b1", "b2"):
        listener = lab.socket(name)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address_of(name), MUTE))
        listener.listen(4)
        listener.settimeout(5)
        listeners[name] = listener
    with connect(lab, PAIR) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        ready, _, _ = select.select(list(listeners.values()), [], [], 5)
        server, _ = ready[0].accept()
        server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        cookie = next(line.partition(": ")[2].partition(";")[0]
                      for line in client.recv(4096).decode().split("\r\n")
                      if line.lower().startswith("set-cookie"))
        name = next(n for n, listener in listeners.items() if listener is ready[0])
        url = f"http://{PAIR}/"
        check("the sticky backend has room", chosen(trace(lbd, url, "--cookie", cookie)), [name])
        client.sendall(f"GET / HTTP/1.1\r\nHost: h\r\nCookie: {cookie}\r\n\r\n".encode())
        ok("it is full", wait_for(
            lambda: chosen(trace(lbd, url, "--cookie", cookie)) != [name]))
        answer = trace(lbd, url, "--cookie", cookie)
        check("then another one is chosen, and the reason given",
              [chosen(answer), answer["sticky"]["backend"],
               [c["why"] for c in answer["candidates"] if c["name"] == name]],
              [[other for other in listeners if other != name], name,
               ["full: max-connections is 1"]])
        server.close()
    for listener in listeners.values():
        listener.close()


def test_connections(lab, lbd):
    answer = trace(lbd, f"http://{GUARDED}/", source="10.99.0.7")
    check("a denied source is reset", some(answer, "end", "status", "reason", "route"),
          ["refused", None, "denied", None])
    check("others are served", trace(lbd, f"http://{GUARDED}/")["end"], "forwarded")
    with connect(lab, GUARDED) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        kept.recv(4096)
        check("one connection more than a source may have",
              some(trace(lbd, f"http://{GUARDED}/"), "status", "reason"),
              [429, "too_many_of_source"])
        check("another source may have its own",
              trace(lbd, f"http://{GUARDED}/", source="10.0.0.99")["end"], "forwarded")
    for _ in range(4):
        check("a trace takes nothing of a rate", trace(lbd, f"http://{RATED}/")["end"],
              "forwarded")
    check("so all of it is there", [request(lab, RATED)[0] for _ in range(2)], [200, 200])
    answer = trace(lbd, f"http://{RATED}/")
    check("when it is used up", some(answer, "end", "status", "reason"),
          ["refused", None, "rate_limited"])
    text = lbd.lbadm("trace", "http", "GET", f"http://{RATED}/", "--from", "10.0.0.2").stdout
    ok("for people: no status, but why", "refused    rate_limited: the source's" in text, text)
    check("a service with room", trace(lbd, f"http://{NARROW}/").get("waits"), None)
    with connect(lab, NARROW) as kept:
        kept.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        kept.recv(4096)
        answer = trace(lbd, f"http://{NARROW}/")
        check("a service with all the connections it may have",
              some(answer, "waits", "end", "backend"),
              ["service_full", "forwarded", f"{address_of('b1')}:80"])
        text = lbd.lbadm("trace", "http", "GET", f"http://{NARROW}/", "--from",
                         "10.0.0.2").stdout
        ok("for people: the connection waits", "waits      service_full: a new conn" in text, text)
    check("OPTIONS that goes no further is answered here",
          some(trace(lbd, f"http://{NARROW}/", "--header", "Max-Forwards: 0", method="OPTIONS"),
               "end", "status"), ["answered", 200])


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
        for test in (test_ways, test_heads, test_order, test_full, test_sticky, test_sticky_full,
                     test_connections, test_mistakes):
            test(lab, lbd)


if __name__ == "__main__":
    main(test_trace_http)
