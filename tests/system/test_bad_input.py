#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the operator got wrong is refused, in words that say what and where, and changes nothing."""
import json
import os
import re
import subprocess

from build import BUILD, SLOW
from lab import PROXY, VIP, Lab, config, nat, pool, to_yaml
from tap import check, main, no_report, ok
from traffic import share

ALL = ["b1", "b2", "b3"]
WEB, KERNEL = f"{PROXY}:80", f"{VIP}:80"

POOL = "pools:\n  web:\n    algorithm: round-robin\n    backends:\n"
BACKEND = "      - {address: 10.0.1.11:80}\n"
SERVICE = "services:\n  s:\n    listen: 10.0.0.101:80\n    protocol: http\n    pool: web\n"

# (what it is, the file, the line of the message, words in the message)
FILES = [
    ("an unknown word at the top", "polls: {}\n", 1, ["polls", "pools"]),
    ("an unknown word in a pool", "pools:\n  web:\n    algoritm: round-robin\n", 3,
     ["algoritm", "algorithm"]),
    ("an unknown algorithm", POOL.replace("round-robin", "round-robbin") + BACKEND, 3,
     ["round-robbin", "round-robin"]),
    ("a bad address", POOL + "      - {address: 10.0.1.256:80}\n", 5, ["10.0.1.256"]),
    ("a port above 65535", POOL + "      - {address: 10.0.1.1:70000}\n", 5, ["70000"]),
    ("a weight out of range", POOL + "      - {address: 10.0.1.1:80, weight: 257}\n", 5,
     ["weight", "256"]),
    ("a bad duration", POOL + BACKEND + "    health: {interval: 5 parsecs}\n", 6, ["interval"]),
    ("the same backend twice", POOL + BACKEND + BACKEND, 6, ["10.0.1.11:80"]),
    ("a service without its pool", "services:\n  s: {listen: 10.0.0.101:80, protocol: http, "
     "pool: wbe}\npools:\n  web: {algorithm: round-robin}\n", 2, ["wbe"]),
    ("two services on one address", POOL + BACKEND + SERVICE +
     "  t: {listen: 10.0.0.101:80, protocol: http, pool: web}\n", None, ["10.0.0.101:80"]),
    ("an unquoted IPv6 address", POOL + BACKEND + "services:\n  s:\n    listen: [::]:80\n", 8,
     ["quote"]),
    ("a tab", "pools:\n\tweb: {}\n", 2, []),
    ("a key twice", "workers: 1\nworkers: 2\n", 2, ["workers"]),
    ("an anchor", "pools: &a {}\n", 1, ["anchor"]),
    ("a second document", "workers: 1\n---\nworkers: 2\n", None, ["document"]),
    ("an http service on the kernel path", POOL + BACKEND + SERVICE + "    path: kernel\n", None,
     ["http"]),
]


def check_file(text):
    path = f"/tmp/lbd-test-bad-{os.getpid()}.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    try:
        done = subprocess.run([f"{BUILD}/lbd", "-t", "-c", path], capture_output=True, text=True,
                              timeout=10 * SLOW, stdin=subprocess.DEVNULL)
    finally:
        os.unlink(path)
    no_report("lbd -t", done.stderr)
    return done.returncode, done.stderr.replace(path, "FILE")


def test_files():
    for what, text, line, words in FILES:
        status, message = check_file(text)
        place = re.search(r"^FILE:(\d+):(\d+): ", message, re.M)
        right = status == 1 and place and (line is None or f"FILE:{line}:" in message) and \
            all(word in message for word in words)
        ok(f"lbd -t refuses {what}, with its place" + (" and words" if words else ""), right,
           f"expected: status 1, line {line}, the words {words}\ngot: status {status}\n{message}")
    status, message = check_file(POOL + "      - {address: 'x:1', weigth: 1}\n" + BACKEND.replace(
        "}", ", weight: 999}") + SERVICE.replace("http", "htpp"))
    ok("all mistakes of a file are told in one run",
       status == 1 and all(word in message for word in ("x:1", "weigth", "999", "htpp")),
       message)
    status, message = check_file(to_yaml(config(None, {"web": pool(ALL)}, {
        "s": {"listen": WEB, "protocol": "http", "pool": "web"}})))
    check("a good file is accepted", (status, message), (0, ""))


def refused(lab, text, *, wrap=()):
    """Starts an lbd that must end by itself: (status, its error output)."""
    done = lab.run("lb", *wrap, f"{BUILD}/lbd", "-c", text, timeout=10)
    return done.returncode, done.stderr


def test_kernel_refusals():
    good = config("native", {"web": pool(ALL)}, {"s": nat(KERNEL, "web")})
    with Lab("xdp") as lab:
        lbd = lab.lbd(good)  # not started: only its file and paths
        lbd.write_config({**good, "interfaces": [{"name": "eth7", "hook": "native"}]})
        status, text = refused(lab, lbd.file)
        ok("an unknown interface is refused by name", status == 1 and "eth7" in text,
           (status, text))
        lab.remove_pins()

        lbd.write_config(good)
        status, text = refused(lab, lbd.file, wrap=[
            "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
            "--reuid=65534", "--regid=65534", "--clear-groups"])
        ok("without privilege the kernel path is refused in one clear line",
           status == 1 and re.search(r"privileg|capabilit|root", text, re.I),
           (status, text))
        check("and nothing is left behind", os.path.exists(lab.pin_path), False)

        foreign(lab, lbd)
        lbd.close()


def foreign(lab, lbd):
    """Another program on the interface is never replaced."""
    source = os.path.join(lbd.directory, "foreign.c")
    with open(source, "w", encoding="ascii") as file:
        file.write('__attribute__((section("xdp"), used)) int pass(void *c) { return 2; }\n'
                   'char _license[] __attribute__((section("license"), used)) = "GPL";\n')
    subprocess.run(["clang", "-O2", "-target", "bpf", "-c", source, "-o", source + ".o"],
                   check=True)
    lab.must("lb", "ip", "link", "set", "cl0", "xdpdrv", "object", source + ".o", "section", "xdp")
    before = xdp_id(lab)
    status, text = refused(lab, lbd.file)
    ok("a foreign XDP program is refused with the interface's name",
       status == 1 and "cl0" in text, (status, text))
    check("and it is still attached", xdp_id(lab), before)
    lab.must("lb", "ip", "link", "set", "cl0", "xdpdrv", "off")


def xdp_id(lab):
    link = json.loads(lab.must("lb", "ip", "-j", "-d", "link", "show", "cl0"))[0]
    return link.get("xdp", {}).get("prog", {}).get("id")


# (what it is, method, path, body, status, the field named)
BODIES = [
    ("a body that is no JSON", "PUT", "/v1/pools/web/backends/b9", b"{", 400, None),
    ("a body that is a list", "PUT", "/v1/pools/web/backends/b9", b"[]", 400, None),
    ("a body with a key twice", "PATCH", "/v1/pools/web/backends/b1",
     b'{"weight": 1, "weight": 2}', 400, None),
    ("a weight out of range", "PATCH", "/v1/pools/web/backends/b1", {"weight": 257}, 400,
     "weight"),
    ("a negative weight", "PATCH", "/v1/pools/web/backends/b1", {"weight": -1}, 400, "weight"),
    ("a weight that is a word", "PATCH", "/v1/pools/web/backends/b1", {"weight": "many"}, 400,
     "weight"),
    ("an unknown field", "PATCH", "/v1/pools/web/backends/b1", {"wieght": 1}, 400, "wieght"),
    ("an unknown state", "PATCH", "/v1/pools/web/backends/b1", {"admin": "asleep"}, 400, "admin"),
    ("an unknown algorithm", "PATCH", "/v1/pools/web", {"algorithm": "fastest"}, 400,
     "algorithm"),
    ("a backend without an address", "PUT", "/v1/pools/web/backends/b9", {"weight": 1}, 400,
     "backends[b9]"),
    ("a backend of no pool", "PATCH", "/v1/pools/none/backends/b1", {"weight": 1}, 404, None),
    ("a backend that is not there", "PATCH", "/v1/pools/web/backends/none", {"weight": 1}, 404,
     None),
    ("a pool in use", "DELETE", "/v1/pools/web", None, None, None),
    ("a path that is nothing", "GET", "/v1/polls", None, 404, None),
    ("a method that is not for it", "DELETE", "/v1/status", None, 405, None),
    ("a body over the limit", "PUT", "/v1/pools/web", b" " * ((1 << 20) + 1), 413, None),
]


def test_api():
    http = config(None, {"web": pool(ALL)}, {
        "s": {"listen": WEB, "protocol": "http", "pool": "web"}})
    with Lab("tc") as lab, lab.lbd(http) as lbd:
        before = lbd.get("/v1/pools/web/backends")
        for what, method, path, body, status, field in BODIES:
            try:
                got, answer = lbd.api(method, path, body)
            except OSError as error:
                got, answer = repr(error), None
            fault = answer.get("error", {}) if isinstance(answer, dict) else {}
            right = (got == status if status else isinstance(got, int) and 400 <= got < 500) and \
                fault.get("message") and (field is None or field in (fault.get("field") or ""))
            ok(f"the API refuses {what}" + (" and names the field" if field else ""), right,
               f"expected: {status or '4xx'}, field {field}\ngot: {got} {answer}")
        after = lbd.get("/v1/pools/web/backends")
        check("and nothing was changed by any of it", identity(after), identity(before))
        check("and requests go on", share(lab, WEB, 6), {"b1": 2, "b2": 2, "b3": 2})
        cli(lbd)
        curl(lbd)


def identity(answer):
    return [(b["name"], b["address"], b["weight"], b["admin"]) for b in answer["backends"]]


def cli(lbd):
    done = lbd.lbadm("status", socket_path=f"{lbd.directory}/none")
    check("lbadm without an lbd ends with status 3", done.returncode, 3)
    ok("and says which socket", f"{lbd.directory}/none" in done.stderr, done.stderr)
    check("lbadm with a wrong word ends with status 2", lbd.lbadm("frobnicate").returncode, 2)
    done = lbd.lbadm("backend", "set", "web", "b1", "--weight", "999")
    check("lbadm that lbd refuses ends with status 1", done.returncode, 1)
    ok("and gives lbd's reason", "256" in done.stderr, done.stderr)
    check("lbadm with a right word ends with status 0",
          lbd.lbadm("backend", "set", "web", "b1", "--weight", "2").returncode, 0)
    check("and it is done", lbd.backends("web")["b1"]["weight"], 2)


def curl(lbd):
    done = subprocess.run(["curl", "-s", "--unix-socket", lbd.socket, "-w", "%{http_code}", "-X",
                           "PATCH", "-d", "{", "http://lbd/v1/pools/web/backends/b1"],
                          capture_output=True, text=True, timeout=10, check=False)
    check("curl without a content type gets the same answer", done.stdout[-3:], "400")


if __name__ == "__main__":
    main(test_files, test_api, test_kernel_refusals)
