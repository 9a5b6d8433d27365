#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""One lbd replaces another under load: nobody is refused or reset, health and counts go on, and
what cannot take over leaves the old one as it was."""
import os
import shutil
import signal
import socket
import threading
import time

from build import SLOW
from lab import FAST_CHECK, PROXY, VIP, Lab, config, pool
from loopback import Loopback
from successor import Wrk, busy, follow
from tap import at_least, at_most, check, main, ok, wait_for
from test_workers import close_seen
from traffic import ask, connect, request

ALL = ["b1", "b2", "b3"]
WEB, RELAY, NAT = f"{PROXY}:80", f"{PROXY}:82", f"{VIP}:80"


def services(hook):
    web = {"listen": WEB, "protocol": "http", "pool": "web", "timeouts": {"drain": f"{8 * SLOW}s"}}
    relay = {"listen": RELAY, "protocol": "tcp", "path": "proxy", "pool": "web",
             "timeouts": {"drain": f"{8 * SLOW}s"}}
    kernel = {"nat": {"listen": NAT, "protocol": "tcp", "forward": "nat", "pool": "web"}}
    return config(hook, {"web": pool(ALL, "least-connections", health=FAST_CHECK)},
                  {"web": web, "relay": relay, **(kernel if hook else {})}, workers=2)


def service(lbd, name="web"):
    return lbd.get(f"/v1/services/{name}")


def upgrade(lab, lbd, *args):
    """By lbadm; (its exit status, what it said)."""
    def ask_for_it():
        said = lbd.lbadm("upgrade", *args)
        # The process of one that has failed may not have ended yet.
        return None if "an upgrade is under way already" in said.stderr else said

    done = wait_for(ask_for_it) or lbd.lbadm("upgrade", *args)
    if done.returncode == 0:
        follow(lab, lbd)
    return done.returncode, done.stdout + done.stderr


def program(lbd, text):
    path = f"{lbd.directory}/program"
    with open(path, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def test_load(lab, lbd):
    kept, fresh = Wrk(lab, f"http://{WEB}/"), Wrk(lab, f"http://{WEB}/", 8, close=True)
    busy(0.5)
    before = service(lbd)["opened"]
    first = lbd.process
    for count in range(1, 6):
        status, text = upgrade(lab, lbd)
        check(f"upgrade {count} is done", (status, "serves now" in text), (0, True))
        busy(0.4)
        opened = service(lbd)["opened"]
        at_least("connections that were counted stay counted", opened, before)
        before = opened
    for name, wrk in (("on kept connections", kept), ("on new connections", fresh)):
        done, failed, text = wrk.stop()
        at_least(f"there was load {name}", done, 500)
        ok(f"not one request {name} failed over five upgrades", failed == 0, text)
    ok("the old ones end when their connections have",
       wait_for(lambda: not lbd.get("/v1/status")["draining"], 10))
    ok("the first one has ended", wait_for(lambda: first.poll() is not None))
    check("with status 0", first.returncode, 0)

    def quiet():
        return not any(b["open"] for b in lbd.backends("web").values()) and \
            service(lbd)["open"] == 0
    ok("then nothing is counted as open", wait_for(quiet, 8),
       f"{lbd.backends('web')} {service(lbd)}")


def listed(lbd, query=""):
    return {row["client"]: row["pid"] for row in lbd.get(f"/v1/sessions{query}")["sessions"]}


def client_of(sock):
    return "{}:{}".format(*sock.getsockname())


def test_sessions_of_all(lab, lbd, old, held):
    """The lists of an lbd that has replaced <old>, which has <held>."""
    clients = sorted(client_of(sock) for sock in held)
    with connect(lab, WEB) as own:
        ask(own)
        rows = listed(lbd)
        check("a list of sessions has those of the old one and of the new one",
              rows, dict.fromkeys(clients, old) | {client_of(own): lbd.process.pid})
        check("so has the count", lbd.lbadm_json("session", "count"), {"count": 3})
        check("and that of a service", lbd.lbadm_json("session", "count", "--service", "relay"),
              {"count": 1})
        ids = [row["id"] for row in lbd.get("/v1/sessions")["sessions"]]
        check("ids are in order and of one session each", ids, sorted(set(ids)))
        pages = [lbd.get(f"/v1/sessions?limit=1&from={i}")["sessions"][0]["id"] for i in ids]
        check("they are found page by page", pages, ids)
    done = lbd.lbadm("session", "kill", "--all", "--dry-run")
    check("a rehearsed kill counts them", done.stdout,
          "nothing was changed; would be: connections ended: 2\n")
    relayed = next(b for b, row in lbd.backends("web").items() if row["open"] > 0)
    check("so does that of their backend",
          lbd.lbadm_json("backend", "kill", "web", relayed, "--dry-run")["sessions"], 1)
    os.kill(old, signal.SIGSTOP)
    try:
        began = time.monotonic()
        done = lbd.lbadm("session", "list")
        at_most("one that does not answer is not waited for long",
                round(time.monotonic() - began, 1), 2)
        ok("and the list says what it is without",
           f"without the 2 connections of process {old}" in done.stderr, done.stderr)
        check("so does the API", [d["pid"] for d in lbd.get("/v1/sessions")["draining"]], [old])
    finally:
        os.kill(old, signal.SIGCONT)
    ok("when it answers again nothing is missing",
       wait_for(lambda: "draining" not in lbd.get("/v1/sessions")), lbd.get("/v1/sessions"))


def test_sessions_of_three(lab, lbd, held):
    rows = listed(lbd)
    check("those of all three processes are listed", sorted(rows),
          sorted(client_of(sock) for sock in held))
    with connect(lab, RELAY) as own:
        ask(own)
        last = lbd.get("/v1/sessions")["sessions"][-1]
        check("the last of the list is the newest", last["client"], client_of(own))


def test_sessions(lab, lbd):
    """What an lbd had open before it was replaced."""
    kept, relayed = connect(lab, WEB), connect(lab, RELAY)
    ask(kept)
    ask(relayed)
    old = lbd.process.pid
    check("an upgrade with open connections is done", upgrade(lab, lbd)[0], 0)
    ok("the old one is seen in the status of the new one", wait_for(
        lambda: [(d["pid"], d["deadline_ms"] > 0) for d in lbd.get("/v1/status")["draining"]]
        == [(old, True)]), lbd.get("/v1/status")["draining"])
    ok("with the connections it has left",
       wait_for(lambda: [d["sessions"] for d in lbd.get("/v1/status")["draining"]] == [2]),
       lbd.get("/v1/status")["draining"])
    ok("and lbadm says so", f"process {old} drains: 2 connections" in lbd.lbadm("status").stdout,
       lbd.lbadm("status").stdout)
    test_sessions_of_all(lab, lbd, old, [kept, relayed])
    ok("a relayed connection goes on", ask(relayed) in ALL)
    check("a kept connection is told with its next response that it ends", close_seen(kept),
          "close")
    second = connect(lab, RELAY)
    ask(second)
    check("a second upgrade while the first drains is done", upgrade(lab, lbd)[0], 0)
    check("both are seen", len(lbd.get("/v1/status")["draining"]), 2)
    test_sessions_of_three(lab, lbd, [relayed, second])
    ok("relayed connections of both go on", ask(relayed) in ALL and ask(second) in ALL)
    check("a backend's count has those of all three",
          sum(b["open"] for b in lbd.backends("web").values()), 2)
    relayed.close()
    second.close()
    kept.close()
    ok("and they end with their connections",
       wait_for(lambda: not lbd.get("/v1/status")["draining"], 10))
    check("then nothing is listed", lbd.get("/v1/sessions"), {"sessions": []})


def test_end_of_an_older_one(lab, lbd):
    """The one before the one before ends while a third loads: it waits for its configuration."""
    relayed = connect(lab, RELAY)
    ask(relayed)
    oldest = lbd.process
    check("an upgrade with an open connection is done", upgrade(lab, lbd)[0], 0)
    os.rename(lbd.file, f"{lbd.file}.kept")
    os.mkfifo(lbd.file)
    check("the next upgrade begins", lbd.api("POST", "/v1/upgrade", {})[0], 202)
    ok("and loads", wait_for(lambda: lbd.get("/v1/upgrade")["state"] == "loading"))
    oldest.kill()
    oldest.wait(10)
    with open(lbd.file, "w", encoding="utf-8") as pipe, \
            open(f"{lbd.file}.kept", encoding="utf-8") as kept:
        pipe.write(kept.read())
    os.rename(f"{lbd.file}.kept", lbd.file)
    try:
        follow(lab, lbd, 5)
        ok("it is done although the first one ends meanwhile", True)
    except RuntimeError as error:
        ok("it is done although the first one ends meanwhile", False, str(error))
    with connect(lab, WEB) as sock:
        ok("services are served", ask(sock) in ALL)
    relayed.close()
    ok("the others end", wait_for(lambda: not lbd.get("/v1/status")["draining"], 10))


def test_health(lab, lbd):
    lab.kill_nginx("b2")
    ok("b2 is seen to be down", lbd.wait_eligible("web", ["b1", "b3"]))
    before = lbd.backends("web")
    check("an upgrade with a backend down is done", upgrade(lab, lbd)[0], 0)
    after = lbd.backends("web")
    check("the new one knows at once who is up",
          {n: (b["health"], b["health_reason"], b["eligible"]) for n, b in after.items()},
          {n: (b["health"], b["health_reason"], b["eligible"]) for n, b in before.items()})
    check("and nobody is sent to who is down",
          {request(lab, WEB)[:2] for _ in range(20)} <= {(200, b"b1\n"), (200, b"b3\n")}, True)
    lab.start_nginx("b2")
    ok("checks go on: b2 is seen to be up again", lbd.wait_eligible("web", ALL))


def test_failures(lab, lbd):
    """Each leaves the old one serving."""
    kept = Wrk(lab, f"http://{WEB}/")
    busy(0.3)
    pid = lbd.process.pid
    good = open(lbd.file, encoding="utf-8").read()
    cases = [
        ("a program that ends at once", lambda: ["/bin/false"], "ended with status 1"),
        ("a program that hangs", lambda: [program(lbd, "exec sleep 60\n"), "--timeout", "500ms"],
         "was not ready within 500 ms"),
        ("a program that is killed", lambda: [program(lbd, "kill -9 $$\n")], "signal 9"),
        ("a program that is not there", lambda: ["/nowhere/lbd"], "there is no program"),
        ("a program that cannot be run", lambda: ["/etc/passwd"], "Permission denied"),
    ]
    for name, args, why in cases:
        status, text = upgrade(lab, lbd, *args())
        ok(f"{name} is refused with its reason", status != 0 and why in text, f"{status}: {text}")
    lbd.write_config("services: 7\n")
    status, text = upgrade(lab, lbd)
    ok("a configuration that is broken is refused with its place",
       status == 1 and "lbd.yaml:1:" in text, f"{status}: {text}")
    lbd.write_config(good)
    # A configuration that cannot be opened, found after the old one has stopped to write.
    taken = lab.socket("lb")
    taken.bind(("10.0.0.101", 99))
    taken.listen(1)
    lbd.write_config(good.replace(f"{PROXY}:82", f"{PROXY}:99"))
    status, text = upgrade(lab, lbd)
    ok("an address in use is refused with its reason",
       status == 1 and "cannot bind '10.0.0.101:99'" in text, f"{status}: {text}")
    taken.close()
    lbd.write_config(good)
    check("the same lbd goes on", (lbd.get("/v1/status")["pid"], lbd.get("/v1/upgrade")["state"]),
          (pid, "failed"))
    lab.kill_nginx("b3")
    ok("with its checks", lbd.wait_eligible("web", ["b1", "b2"]))
    lab.start_nginx("b3")
    ok("both ways", lbd.wait_eligible("web", ALL))
    check("and its configuration can be changed", lbd.api("POST", "/v1/config/reload")[0], 200)
    done, failed, text = kept.stop()
    ok("not one request failed", failed == 0 and done > 100, text)
    check("then an upgrade is done", upgrade(lab, lbd)[0], 0)


def test_replaced_file(lab, lbd):
    """As a package does it: another file under the same name."""
    status, text = lbd.api("POST", "/v1/upgrade", {"program": "lbd"})
    check("a program without a path is refused", (status, text["error"]["field"]),
          (400, "program"))
    status, text = lbd.api("POST", "/v1/upgrade", {"timeout": "soon"})
    check("a timeout that is none is refused", (status, text["error"]["field"]), (400, "timeout"))
    copy = f"{lbd.directory}/lbd"
    shutil.copy(lbd.program, copy)
    check("an upgrade to another file is done", upgrade(lab, lbd, copy)[0], 0)
    shutil.copy(copy, f"{copy}.new")
    os.rename(f"{copy}.new", copy)
    ok("the file it runs is deleted",
       os.readlink(f"/proc/{lbd.process.pid}/exe").endswith(" (deleted)"))
    check("an upgrade takes the new one", upgrade(lab, lbd)[0], 0)
    check("by its name", os.readlink(f"/proc/{lbd.process.pid}/exe"), copy)
    at_most("upgrade after upgrade leaves no descriptor behind",
            len(os.listdir(f"/proc/{lbd.process.pid}/fd")), 60)


MANY = 200  # backends; with their histories more than one message to the new process holds


class Shop:
    """A server that opens and closes, on all of 127/8."""

    def __init__(self):
        self.listener = None

    def open(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("0.0.0.0", 9000))
        self.listener.listen(4096)
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    @staticmethod
    def serve(listener):
        try:
            while True:
                listener.accept()[0].close()
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def test_histories():
    """Much has happened to many backends before an upgrade."""
    check_often = {"type": "tcp", "interval": "200ms", "timeout": "200ms", "rise": 1, "fall": 1,
                   "backoff-max": "200ms", "jitter": 0}
    rows = [{"address": f"127.1.0.{n}:9000", "name": f"b{n:03}"} for n in range(1, MANY + 1)]
    many = {"algorithm": "round-robin", "health": check_often, "backends": rows}
    names = [row["name"] for row in rows]
    web = {"listen": "127.0.0.1:8080", "protocol": "tcp", "path": "proxy", "pool": "many"}
    with Loopback() as lab, lab.lbd(config(None, {"many": many}, {"web": web})) as lbd:
        shop = Shop()
        for _ in range(10):
            shop.open()
            ok("all come up", lbd.wait_eligible("many", names))
            shop.close()
            ok("all go down", lbd.wait_eligible("many", []))
        status, text = upgrade(lab, lbd)
        check("an upgrade with long histories is done", (status, "serves now" in text), (0, True))
        check("the new one knows who is down",
              {b["health"] for b in lbd.backends("many").values()}, {"down"})
        shop.open()
        ok("and checks them all", lbd.wait_eligible("many", names))
        shop.close()


def test_proxy():
    with Lab("xdp") as lab, lab.lbd(services(None)) as lbd:
        for test in (test_load, test_sessions, test_end_of_an_older_one, test_health,
                     test_failures, test_replaced_file):
            test(lab, lbd)


def test_kernel():
    """Flows of the kernel path, with its only writer replaced."""
    with Lab("xdp") as lab, lab.lbd(services("tc")) as lbd:
        held = [connect(lab, NAT) for _ in range(20)]
        backends = [ask(sock) for sock in held]
        kept = Wrk(lab, f"http://{NAT}/", 8)
        busy(0.3)
        for count in (1, 2, 3):
            check(f"upgrade {count} with a kernel path is done", upgrade(lab, lbd)[0], 0)
            check("flows go on to the backends they had", [ask(sock) for sock in held], backends)
        lock = f"/run/lbd/{lab.pin_path[1:].replace('-', '%2d').replace('/', '-')}.lock"
        with open(lock, encoding="ascii") as file:
            check("the lock names the one that writes", int(file.read()), lbd.process.pid)
        done, failed, text = kept.stop()
        ok("not one request through the kernel path failed", failed == 0 and done > 100, text)
        status, text = upgrade(lab, lbd, "/bin/false")
        check("what fails leaves it", status, 1)
        lab.kill_nginx("b1")
        ok("a backend that goes down after upgrades", lbd.wait_eligible("web", ["b2", "b3"]))
        check("gets no flow any more",
              {ask(sock) for sock in [connect(lab, NAT) for _ in range(10)]} <= {"b2", "b3"}, True)
        for sock in held:
            sock.close()
        at_most("drift of the counts", abs(lbd.api("POST", "/v1/audit")[1]["drift"]), 0)
        before = lbd.process
        began = time.monotonic()
        lbd.kill()
        lbd.start()
        at_most("after kill -9 a new one starts as ever, in seconds", time.monotonic() - began, 5)
        ok("another process", lbd.process.pid != before.pid)


if __name__ == "__main__":
    main(test_proxy, test_kernel, test_histories)
