#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lbadm session and lbadm errors: who is connected to the proxy, and what was refused last."""
import socket

from lab import PROXY, Lab, config, pool
from tap import check, main, ok, wait_for
from traffic import ask, connect, hold, release

WEB, RELAY, MUTE, BEHIND = (f"{PROXY}:{port}" for port in (80, 81, 82, 83))


def services():
    pools = {"web": pool(["b1", "b2"]), "mute": pool(["b3"], port=9999)}
    return config(None, pools, {
        "web": {"listen": WEB, "protocol": "http", "pool": "web"},
        "mute": {"listen": MUTE, "protocol": "http", "pool": "mute"},
        "relay": {"listen": RELAY, "protocol": "tcp", "path": "proxy", "pool": "web"},
        "behind": {"listen": BEHIND, "protocol": "http", "pool": "web",
                   "proxy-protocol": {"accept": "true"}},
    }, workers=2)


def sessions(lbd, query=""):
    return lbd.get(f"/v1/sessions{query}")["sessions"]


def count(lbd, *filters):
    return lbd.lbadm_json("session", "count", *filters)["count"]


def client_of(sock):
    return "{}:{}".format(*sock.getsockname())


def closed(sock):
    sock.settimeout(3)
    try:
        return sock.recv(100) == b""
    except ConnectionResetError:
        return True


def test_list(lab, lbd):
    web = hold(lab, WEB, 5)
    relays = hold(lab, RELAY, 3)
    rows = {row["client"]: row for row in sessions(lbd)}
    check("every connection is listed", sorted(rows),
          sorted(client_of(s) for _, s in web + relays))
    row = rows[client_of(web[0][1])]
    check("an idle HTTP connection is described",
          {k: row[k] for k in ("service", "protocol", "state", "requests", "backend", "request")},
          {"service": "web", "protocol": "http", "state": "idle", "requests": 1, "backend": "",
           "request": ""})
    ok("its bytes are counted", row["bytes_in"] > 20 and row["bytes_out"] > 50, row)
    name, sock = relays[0]
    row = rows[client_of(sock)]
    check("a relay is described",
          {k: row[k] for k in ("service", "protocol", "state", "backend", "pool")},
          {"service": "relay", "protocol": "tcp", "state": "open", "backend": name, "pool": "web"})
    check("ids are different", len({r["id"] for r in rows.values()}), 8)
    ids = sorted(r["id"] for r in rows.values())
    first = lbd.get("/v1/sessions?limit=3")
    second = lbd.get(f"/v1/sessions?limit=5&from={first['next']}")
    check("pages follow each other", [r["id"] for r in first["sessions"] + second["sessions"]], ids)
    ok("the last page says so", "next" not in second, second)
    done = lbd.lbadm("session", "list")
    check("the table has a line for each", len(done.stdout.splitlines()), 9)
    check("count by service", count(lbd, "--service", "web"), 5)
    check("count by client's prefix", count(lbd, "--client", "10.0.0.0/24"), 8)
    check("count by another prefix", count(lbd, "--client", "10.9.0.0/16"), 0)
    check("count by client with its port", count(lbd, "--client", client_of(sock)), 1)
    check("count by backend", count(lbd, "--backend", name),
          sum(1 for n, _ in relays if n == name))
    release(web + relays)
    ok("they go from the list when they go", wait_for(lambda: not sessions(lbd)), sessions(lbd))


def test_greeting(lab, lbd):
    """A connection that has not said whom it is for: it has no protocol's session yet."""
    with connect(lab, BEHIND) as sock:
        sock.sendall(b"PROXY TCP4 ")
        row = wait_for(lambda: next(iter(sessions(lbd)), None))
        check("one whose PROXY header is under way is listed",
              row and {k: row[k] for k in ("service", "client", "protocol", "state", "backend")},
              {"service": "behind", "client": client_of(sock), "protocol": "http",
               "state": "greeting", "backend": ""})
        done = lbd.lbadm("session", "kill", "--service", "behind")
        check("and can be ended", done.stdout, "connections ended: 1\n")
        ok("its client sees the end", closed(sock))


def test_busy(lab, lbd):
    with lab.socket("b3") as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("10.0.1.13", 9999))
        listener.listen(16)
        with connect(lab, MUTE) as sock:
            sock.sendall(b"GET /slow?" + b"x" * 500 + b" HTTP/1.1\r\nHost: h\r\n\r\n")
            row = wait_for(lambda: next((r for r in sessions(lbd) if r["state"] == "requesting"),
                                        None))
            ok("a request under way is described",
               row and row["backend"] == "b3" and row["pool"] == "mute" and
               row["request"].startswith("GET /slow?xxx") and len(row["request"]) < 80, row)
            done = lbd.lbadm("session", "kill", str(row["id"]), "--dry-run")
            check("a rehearsed kill says how many", done.stdout,
                  "nothing was changed; would be: connections ended: 1\n")
            check("and ends none", count(lbd), 1)
            done = lbd.lbadm("session", "kill", str(row["id"]))
            check("one is ended by its id", done.stdout, "connections ended: 1\n")
            ok("its client sees the end", closed(sock))
            check("it is gone", count(lbd), 0)


def test_kill(lab, lbd):
    web, relays = hold(lab, WEB, 4), hold(lab, RELAY, 4)
    name = relays[0][0]
    mine = [s for n, s in relays if n == name]
    check("those of a backend are ended",
          lbd.lbadm_json("session", "kill", "--backend", name)["count"], len(mine))
    ok("their clients see it", all(map(closed, mine)))
    check("the others live", [ask(s) for n, s in relays if n != name],
          [n for n, _ in relays if n != name])
    check("those of a service are ended",
          lbd.lbadm_json("session", "kill", "--service", "web")["count"], 4)
    ok("their clients see it too", all(closed(s) for _, s in web))
    done = lbd.lbadm("session", "kill")
    check("without saying which nothing is ended", done.returncode, 2)
    check("the rest by --all", lbd.lbadm_json("session", "kill", "--all")["count"],
          4 - len(mine))
    release(web + relays)
    drift = {n: b["open"] for n, b in lbd.backends("web").items()}
    check("nothing counts as open", drift, {"b1": 0, "b2": 0})


def test_backend_kill(lab, lbd):
    relays = hold(lab, RELAY, 4)
    name = relays[0][0]
    mine = [s for n, s in relays if n == name]
    told = {"count": len(mine), "flows": 0, "sessions": len(mine)}
    check("a rehearsed kill of a backend counts its connections",
          lbd.lbadm_json("backend", "kill", "web", name, "--dry-run"), told)
    check("and ends none", [ask(s) for _, s in relays], [n for n, _ in relays])
    check("a kill of a backend ends them", lbd.lbadm_json("backend", "kill", "web", name), told)
    ok("their clients see the end", all(map(closed, mine)))
    check("those at others live", [ask(s) for n, s in relays if n != name],
          [n for n, _ in relays if n != name])
    check("none is left to kill", lbd.lbadm("backend", "kill", "web", name).stdout,
          "connections ended: 0\n")
    release(relays)


def request_error(lab, text):
    with connect(lab, WEB) as sock:
        sock.sendall(text)
        while sock.recv(4096):
            pass


def test_errors(lab, lbd):
    check("nothing was refused so far", lbd.lbadm("errors").stdout, "no message was refused\n")
    request_error(lab, b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: \xff\x00x\r\n\r\n")
    error = lbd.get("/v1/errors")["errors"][0]
    check("a refused request is kept", {k: error[k] for k in ("service", "message", "backend",
                                                              "status", "count")},
          {"service": "web", "message": "request", "backend": "", "status": 400, "count": 1})
    marked = [line for line in error["excerpt"] if "mark" in line]
    check("the line with the wrong byte is marked", [line["text"] for line in marked],
          ["Bad Name: \\xFF\\x00x\\x0D\\x0A"])
    line = marked[0]
    check("at that byte", (error["offset"], line["mark"], line["mark_width"]), (28, 3, 1))
    lines = lbd.lbadm("errors", "web").stdout.splitlines()
    at = next(i for i, text in enumerate(lines) if "Bad Name" in text)
    check("the command shows it under the byte", lines[at + 1].index("^"),
          lines[at].index("Bad Name") + 3)
    request_error(lab, b"G\x01T / HTTP/1.1\r\n\r\n")
    error = lbd.get("/v1/errors?service=web")["errors"][0]
    check("the next one takes its place", error["excerpt"][0]["text"],
          "G\\x01T / HTTP/1.1\\x0D\\x0A")
    with lab.socket("b3") as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("10.0.1.13", 9999))
        listener.listen(16)
        with connect(lab, MUTE) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            with listener.accept()[0] as backend:
                backend.recv(4096)
                backend.sendall(b"HTTP/1.1 2x0 OK\r\n\r\n")
                ok("a malformed response is 502", sock.recv(100).startswith(b"HTTP/1.1 502"))
    error = lbd.get("/v1/errors?service=mute")["errors"][0]
    check("a refused response is kept with its backend", {k: error[k] for k in (
        "service", "message", "backend", "status")},
        {"service": "mute", "message": "response", "backend": "b3", "status": 502})
    done = lbd.lbadm("errors", "nope")
    ok("an unknown service is refused", done.returncode == 1 and
       "there is no service 'nope'" in done.stderr, done.stderr)


def test_mistakes(_lab, lbd):
    for args, want in ((["--service", "nope"], "there is no service 'nope'"),
                       (["--backend", "nope"], "there is no backend 'nope'"),
                       (["--client", "10.0.0.300"], "'10.0.0.300'")):
        done = lbd.lbadm("session", "list", *args)
        ok(f"{' '.join(args)} is refused with why", done.returncode == 1 and want in done.stderr,
           done.stderr)
    check("a limit of 0 is refused", lbd.api("GET", "/v1/sessions?limit=0")[0], 400)
    check("a wrong id is refused", lbd.api("DELETE", "/v1/sessions?id=x")[0], 400)


def test_sessions():
    with Lab() as lab, lab.lbd(services()) as lbd:
        for test in (test_list, test_greeting, test_busy, test_kill, test_backend_kill,
                     test_errors, test_mistakes):
            test(lab, lbd)


if __name__ == "__main__":
    main(test_sessions)
