#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The number of workers is changed under load, services come and go, and the daemon is told to
stop: nobody is refused or reset."""
import os
import signal
import socket
import time

from lab import NO_CHECK, PROXY, Lab, config, pool, to_yaml
from successor import Wrk, busy
from tap import at_least, at_most, check, main, ok, wait_for
from traffic import connect, outcome, request

ALL = ["b1", "b2", "b3"]
WEB, OTHER, RELAY = (f"{PROXY}:{port}" for port in (80, 81, 82))
DRAIN = {"drain": "600ms"}


def services(workers, other=True, timeouts=None):
    web = {"listen": WEB, "protocol": "http", "pool": "web", "timeouts": timeouts or {}}
    more = {"other": {"listen": OTHER, "protocol": "http", "pool": "web", "timeouts": DRAIN},
            "relay": {"listen": RELAY, "protocol": "tcp", "path": "proxy", "pool": "web",
                      "timeouts": DRAIN}} if other else {}
    return config(None, {"web": pool(ALL, health=NO_CHECK)}, {"web": web, **more},
                  workers=workers)


def threads(lbd):
    """Workers there are: without the control thread and the log's."""
    return len(os.listdir(f"/proc/{lbd.process.pid}/task")) - 2


def test_workers(lab, lbd):
    idle = threads(lbd)
    kept, fresh = Wrk(lab, f"http://{WEB}/"), Wrk(lab, f"http://{WEB}/", 8, close=True)
    busy(0.5)
    for workers in (2, 4, 1, 3, 2, 4):
        lbd.write_config(services(workers))
        status, answer = lbd.api("POST", "/v1/config/reload")
        check(f"a reload to {workers} workers is taken", (status, answer.get("error")), (200, None))
        busy(0.3)
    for name, wrk in (("on kept connections", kept), ("on new connections", fresh)):
        done, failed, text = wrk.stop()
        at_least(f"there was load {name}", done, 500)
        ok(f"not one request {name} failed while workers came and went", failed == 0, text)
    check("as many workers as at first", wait_for(lambda: threads(lbd) == idle), True)
    lbd.write_config(services(2))
    lbd.api("POST", "/v1/config/reload")
    ok("workers that leave end, when their connections have",
       wait_for(lambda: threads(lbd) == idle - 2, 10))


def close_seen(sock):
    """The next response's Connection header, in lower case."""
    sock.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    text = b""
    while b"\r\n\r\n" not in text:
        more = sock.recv(4096)
        if not more:
            return "closed"
        text += more
    return "close" if b"connection: close" in text.lower() else "kept"


def test_service_drain(lab, lbd):
    kept, relayed = connect(lab, OTHER), connect(lab, RELAY)
    check("before, connections are kept", close_seen(kept), "kept")
    close_seen(relayed)
    lbd.write_config(services(2, other=False))
    began = time.monotonic()
    lbd.api("POST", "/v1/config/reload")
    check("a service that is removed says so with its next response", close_seen(kept), "close")
    relayed.settimeout(5)
    try:
        end = relayed.recv(65536)
        while end:
            end = relayed.recv(65536)
    except ConnectionResetError:
        pass
    passed = time.monotonic() - began
    at_least("a relayed connection of a removed service goes on until its drain timeout", passed,
             0.5)
    at_most("and then it ends", passed, 2.0)
    ok("after that its address is refused", wait_for(lambda: outcome(lab, OTHER) == "refused"))
    kept.close()
    relayed.close()


def test_address_moves_back(lab, lbd):
    """Away and back at once, as by an editor who thinks again."""
    for _ in range(5):
        lbd.write_config(services(2, other=False))
        lbd.api("POST", "/v1/config/reload")
        lbd.write_config(services(2, other=True))
        check("a service that comes back at once is taken",
              lbd.api("POST", "/v1/config/reload")[0], 200)
        check("and serves at once", request(lab, OTHER)[0], 200)


def test_rename(lab, lbd):
    """An address goes to another service, and back, by reloads that are one each."""
    lbd.write_config(services(2))
    lbd.api("POST", "/v1/config/reload")
    kept, fresh = Wrk(lab, f"http://{WEB}/"), Wrk(lab, f"http://{WEB}/", 8, close=True)
    busy(0.3)
    for name in ("other-name", "web", "third-name", "web"):
        text = to_yaml(services(2)).replace("  web:\n    listen", f"  {name}:\n    listen")
        with open(lbd.file, encoding="utf-8") as file:
            head = file.read().partition("pools:")[0]
        lbd.write_config(head + text)
        check(f"a service that is called '{name}' now is taken",
              lbd.api("POST", "/v1/config/reload")[0], 200)
        ok("and has the address", name in [s["name"] for s in lbd.get("/v1/services")["services"]])
        busy(0.2)
    lbd.write_config(services(2))
    for wrk, name in ((fresh, "new"), (kept, "kept")):
        done, failed, text = wrk.stop()
        if name == "new":
            ok("not one new connection was refused or reset", failed == 0 and done > 50, text)


def test_refused_move(lab, lbd):
    """Two services are new: one cannot listen, the other would have had an old one's address."""
    lbd.write_config(services(2))
    lbd.api("POST", "/v1/config/reload")
    kept = connect(lab, WEB)
    close_seen(kept)
    with lab.socket("lb") as taken:
        taken.bind((PROXY, 99))
        taken.listen(1)
        for a, b in ((f"{PROXY}:99", WEB), (WEB, f"{PROXY}:99")):
            wanted = services(2)
            web = wanted["services"].pop("web")
            wanted["services"] = {"first": {**web, "listen": a}, "second": {**web, "listen": b},
                                  **wanted["services"]}
            lbd.write_config(wanted)
            check("a reload that cannot listen is refused",
                  lbd.api("POST", "/v1/config/reload")[0], 409)
            check("connections of the old service were not told to end", close_seen(kept), "kept")
            check("and new ones are served", request(lab, WEB)[0], 200)
    lbd.write_config(services(2))
    kept.close()


def test_disabled(lab, lbd):
    lbd.write_config(services(2))
    lbd.api("POST", "/v1/config/reload")
    kept = Wrk(lab, f"http://{OTHER}/", 8)
    busy(0.3)
    single = connect(lab, OTHER)
    close_seen(single)
    check("a service is disabled", lbd.api("PATCH", "/v1/services/other", {"enabled": False})[0],
          200)
    single.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    answer = single.recv(4096)
    ok("a kept connection of it is served once more, and told",
       answer.startswith(b"HTTP/1.1 200") and b"connection: close" in answer.lower(), answer)
    single.close()
    ok("new ones are refused", wait_for(lambda: outcome(lab, OTHER) == "refused"))
    check("it is enabled", lbd.api("PATCH", "/v1/services/other", {"enabled": True})[0], 200)
    check("and serves", request(lab, OTHER)[0], 200)
    kept.stop()


def test_stop(lab, lbd):
    """The last: connections of the queue and a kept one, around SIGTERM."""
    lbd.write_config(services(2, timeouts={"drain": "5s"}))
    lbd.api("POST", "/v1/config/reload")
    kept = connect(lab, WEB)
    close_seen(kept)
    fresh = Wrk(lab, f"http://{WEB}/", 8, close=True)
    busy(0.3)
    lbd.process.send_signal(signal.SIGTERM)
    ok("it says that it stops", lbd.wait_log("stopping"))
    check("a client that asks while lbd stops is told that the connection ends", close_seen(kept),
          "close")
    ok("lbd ends when all is done", wait_for(lambda: lbd.process.poll() is not None, 10))
    check("with status 0", lbd.process.returncode, 0)
    _, _, text = fresh.stop()
    ok("nobody in a queue was reset", "read 0" in text or "Socket errors" not in text, text)
    kept.close()


def test_all():
    with Lab("xdp") as lab, lab.lbd(services(4)) as lbd:
        for test in (test_workers, test_service_drain, test_address_moves_back, test_rename,
                     test_refused_move, test_disabled, test_stop):
            test(lab, lbd)


if __name__ == "__main__":
    main(test_all)
