#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lbadm against a stand-in for lbd: exit status, wrong command lines, help, requests, rendering.

No privilege needed. LBD_BUILD is where lbadm is (build).
"""
import http.server
import json
import os
import socketserver
import subprocess
import sys
import tempfile
import threading

LBADM = os.path.join(os.environ.get("LBD_BUILD", "build"), "lbadm")

BACKENDS = [
    {"name": "web1", "address": "10.0.1.11:8080", "pool": "web", "weight": 3, "admin": "enabled",
     "health": "up", "health_reason": "ok", "eligible": True, "open": 4, "opened": 90, "failed": 1},
    {"name": "web\x1b[31m2", "address": "10.0.1.12:8080", "pool": "web", "weight": 1,
     "admin": "draining", "health": "down", "health_reason": "connect_refused", "eligible": False,
     "open": 0, "opened": 12, "failed": 7},
]
STATUS = {
    "version": "1.2", "uptime_ms": 93784000, "pid": 4242, "workers": 2,
    "kernel_path": {"loaded": True, "flows": 17, "max_flows": 1000000, "heartbeat_age_ms": 120,
                    "sweep_age_ms": 900},
    "interfaces": [{"name": "eth0", "hook": "tc", "why": "virtio_net"}],
    "services": [{"name": "web-l4", "listen": ["10.0.0.100:80", "[fd00::1]:80"], "protocol": "tcp",
                  "path": "kernel", "forward": "nat", "pools": ["web"], "open": 4, "opened": 102}],
    "pools": [{"name": "web", "algorithm": "maglev", "backends": 2, "eligible": 1}],
    "limits": {"services": 4096},
    "verdicts": {"forwarded": {"packets": 512, "bytes": 70000}, "no_flow": {"packets": 0, "bytes": 0}},
}
ANSWERS = {
    ("GET", "/v1/status"): STATUS,
    ("GET", "/v1/services"): {"services": []},
    ("GET", "/v1/pools"): {"pools": [{"name": "web", "algorithm": "maglev", "backends": 2,
                                      "eligible": 1}]},
    ("GET", "/v1/pools/web"): {"name": "web", "algorithm": "maglev",
                               "health": {"type": "http", "interval_ms": 2000}},
    ("GET", "/v1/pools/web/backends"): {"backends": BACKENDS},
    ("GET", "/v1/pools/web/backends/web1"): BACKENDS[0],
    ("GET", "/v1/pools/web/backends/web2"): BACKENDS[1],
    ("GET", "/v1/pools/web/backends/web1/why"): {"lines": ["eligible since 10:00", "weight 3"],
                                                 "eligible": True},
    ("GET", "/v1/flows/count"): {"count": 17},
    ("GET", "/v1/flows"): {"flows": [{"service": "web-l4", "client": "192.0.2.1:4000",
                                      "vip": "10.0.0.100:80", "backend": "web1", "pool": "web",
                                      "protocol": "tcp", "state": "open", "idle_ms": 61000,
                                      "counted": True}]},
    ("DELETE", "/v1/flows"): {"count": 5},
    ("POST", "/v1/pools/web/backends/web1/kill"): {"count": 4, "flows": 3, "sessions": 1},
    ("POST", "/v1/audit"): {"flows": 17, "drift": 2, "settled": True, "backends": [
        {"pool": "web", "name": "web1", "address": "10.0.1.11:8080", "counted": 15, "open": 17,
         "drift": 2, "settled": True, "estimate": True}]},
    ("GET", "/v1/stats"): {"services": [], "verdicts": {
        "denied": {"packets": 3, "bytes": 180, "what": "dropped: the source's prefix is denied"},
        "no_flow": {"packets": 0, "bytes": 0, "what": "refused: not a SYN"}}},
    ("PATCH", "/v1/pools/api"): {"dry_run": True, "flows_ended": 0, "pools": [
        {"name": "api", "algorithm": "maglev", "slots_before": 1021, "slots_after": 1021,
         "moved_slots": 99, "moved": 0.097, "needed": 0.09, "backends": [
             {"name": "a1", "address": "10.0.1.11:8080", "share_before": 1, "share_after": 0.5}]}]},
    ("GET", "/v1/config"): {"workers": 2},
    ("POST", "/v1/config/reload"): {"changes": ["pool 'web': algorithm"], "kept": ["web1: weight"]},
    ("PUT", "/v1/interfaces/eth0"): {"interfaces": [
        {"name": "eth1", "hook": "native", "why": "as configured"},
        {"name": "eth0", "hook": "tc", "why": "virtio_net"}]},
}
REFUSAL = {"error": {"code": "not_found", "message": "there is no pool 'none'", "field": "pool"}}

requests = []


class Lbd(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path, _, query = self.path.partition("?")
        requests.append((self.command, self.path, body))
        status, text = 200, None
        if "/none" in path:
            status, text = 404, json.dumps(REFUSAL)
        elif "/broken" in path:
            status, text = 500, "oops"
        elif "/garbage" in path:
            text = "not json"
        elif path == "/v1/config/check":
            good = body["path"].endswith("good.yaml")
            text = json.dumps({"ok": good, "errors": [] if good else ["bad.yaml:3:1: no such key"]})
        elif (self.command, path) in ANSWERS:
            text = json.dumps(ANSWERS[self.command, path])
        else:
            status = 204
        self.send_response(status)
        if text is not None:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if text is not None:
            self.wfile.write(text.encode())

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST = answer

    def address_string(self):
        return "lbadm"

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def lbadm(socket, *args):
    requests.clear()
    env = dict(os.environ, LBD_SOCKET=socket)
    done = subprocess.run([LBADM, *args], env=env, text=True, capture_output=True, timeout=30)
    return done.returncode, done.stdout, done.stderr, list(requests)


# Rows: what is shown, arguments, exit status, parts of stdout, parts of stderr.
SAYS = [
    ("status names what matters", "status", 0,
     ["lbd 1.2, pid 4242, up 1d 2h, 2 workers", "17 of 1000000 flows", "eth0", "virtio_net",
      "10.0.0.100:80, [fd00::1]:80", "maglev", "512 packets"], []),
    ("an empty list says so", "service list", 0, ["no services"], []),
    ("pools are a table", "pool list", 0, ["NAME", "ALGORITHM", "web", "maglev"], []),
    ("pool show has its backends", "pool show web", 0,
     ["algorithm:", "health:", "  type:", "2s", "10.0.1.11:8080", "draining"], []),
    ("backends are a table without escapes", "backend list web", 0,
     ["web1", "web?[31m2", "connect_refused", "yes", "no"], []),
    ("all backends", "backend list", 0, ["web1", "10.0.1.12:8080"], []),
    ("why is lines", "backend why web web1", 0, ["eligible since 10:00\nweight 3\n"], []),
    ("flow count is a number", "flow count", 0, ["17\n"], []),
    ("flows are a table", "flow list", 0, ["192.0.2.1:4000", "1m 1s"], []),
    ("kill says how many", "flow kill --all", 0, ["connections ended: 5\n"], []),
    ("kill of a backend says how many", "backend kill web web1", 0, ["connections ended: 4\n"], []),
    ("kill without a filter", "flow kill", 2, [], ["--all for every one"]),
    ("an audit with a drift is refused as good", "audit", 1,
     ["web1", "DRIFT", "17 flows, drift 2\n", "estimate:"], ["the flow table differ"]),
    ("stats leave out what did not happen", "stats", 0, ["no services", "denied", "is denied"], []),
    ("a dry run says what would move", "pool set api --algorithm maglev --dry-run", 0,
     ["pool 'api', maglev: 1021 slots, now 1021\n", "99 slots would move, 9.70%", "9.00% have to",
      "100.00%  50.00%", "0 open connections would be ended; nothing was changed"], []),
    ("reload names changes and what was kept", "config reload", 0,
     ["pool 'web': algorithm\n", "kept: web1: weight\n"], []),
    ("config show is JSON", "config show", 0, ['"workers": 2'], []),
    ("attach says hook and reason", "attach eth0", 0, ["'eth0' at hook tc: virtio_net"], []),
    ("a change is said", "pool remove web", 0, ["pool 'web' removed"], []),
    ("drain waits until nothing is open", "backend drain web web2 --wait", 0, ["is draining"], []),
    ("a wait ends in time", "backend drain web web1 --wait --timeout 300ms", 1, ["is draining"],
     ["still has 4 open connections"]),
    ("enable waits for eligibility", "backend enable web web2 --wait --timeout=0", 1, ["enabled"],
     ["still not eligible: connect_refused"]),
    ("version needs no lbd", "version", 0, ["lbadm "], []),
    ("--version as well", "--version", 0, ["lbadm "], []),
    ("a refusal is 1 with its reason", "pool show none", 1, [],
     ["lbadm: there is no pool 'none' (pool)\n"]),
    ("--json gives a refusal as it came", "pool show none --json", 1, ['"not_found"'],
     ["no pool 'none'"]),
    ("a failure without a reason", "pool show broken", 1, [], ["status 500 and no reason"]),
    ("an answer that is not JSON", "pool show garbage", 1, [], ["not JSON"]),
    ("no command lists commands", "", 2, [], ["status, attach"]),
    ("no verb lists verbs", "pool", 2, [], ["which pool command? (one of: list, show"]),
    ("a misspelt noun", "bakend list", 2, [], ["unknown command 'bakend': did you mean 'backend'?"]),
    ("a misspelt verb", "pool lst", 2, [], ["unknown pool command 'lst': did you mean 'list'?"]),
    ("a far-off verb", "pool xyzzyx", 2, [], ["(one of: list, show, add, set, remove)"]),
    ("a misspelt option", "pool add web --algoritm x", 2, [], ["did you mean 'algorithm'?"]),
    ("another verb's option", "pool list --weight 1", 2, [], ["unknown option 'weight'"]),
    ("a short option", "pool list -x", 2, [], ["unknown option '-x'"]),
    ("a lone dash is a word", "-", 2, [], ["unknown command '-'"]),
    ("too few words", "backend drain web", 2, [], ["needs POOL BACKEND"]),
    ("too many words", "status now", 2, [], ["'now' is one word too many"]),
    ("no number", "backend set web web1 --weight many", 2, [], ["'many' is not a number"]),
    ("no duration", "pool set web --health-interval 5", 2, [], ["'5' is not a duration"]),
    ("no value", "backend set web web1 --weight", 2, [], ["--weight needs a value: --weight N"]),
    ("a flag with a value", "config reload --dry-run=yes", 2, [], ["takes no value"]),
    ("an option twice", "backend set web web1 --weight 1 --weight 2", 2, [], ["given twice"]),
    ("nothing to change", "pool set web", 2, [], ["nothing to change"]),
    ("a service without an address", "service add web", 2, [], ["--listen"]),
    ("--timeout without --wait", "backend drain web web1 --timeout 1s", 2, [], ["for --wait"]),
    ("a file that is not there", "config check /nonexistent/file", 2, [], ["No such file"]),
    ("help of all", "--help", 0, ["backend", "exit status: 0 done"], []),
    ("help of a noun", "backend --help", 0, ["drain POOL BACKEND"], []),
    ("help of a verb", "pool add --help", 0, ["usage: lbadm pool add NAME", "--health-interval D"],
     []),
    ("help of a plain command", "attach -h", 0, ["usage: lbadm attach IFACE", "--hook HOOK"], []),
    ("the help command", "help backend drain", 0, ["--wait"], []),
    ("help for nothing", "help nothing", 2, [], ["unknown command 'nothing'"]),
    ("help below a plain command", "help status show", 2, [], ["no commands below"]),
]

# Rows: what is asked, arguments, the one request expected.
ASKS = [
    ("a pool with its health check",
     "pool add web --algorithm maglev --health-type http --health-path / --health-interval 200ms"
     " --rise 1 --fall 2",
     ("PUT", "/v1/pools/web", {"algorithm": "maglev", "health": {
         "type": "http", "path": "/", "interval": "200ms", "rise": 1, "fall": 2}})),
    ("part of a pool", "pool set web --health-timeout=1s",
     ("PATCH", "/v1/pools/web", {"health": {"timeout": "1s"}})),
    ("a service with two addresses",
     "service add web --listen 10.0.0.100:80,[fd00::1]:80 --protocol tcp --path kernel"
     " --forward nat --pool web",
     ("PUT", "/v1/services/web", {"listen": ["10.0.0.100:80", "[fd00::1]:80"], "protocol": "tcp",
                                  "path": "kernel", "forward": "nat", "pool": "web"})),
    ("a service's pool", "service set web --pool api",
     ("PATCH", "/v1/services/web", {"pool": "api"})),
    ("who may connect, and how fast",
     "service set web --allow 10.0.0.0/8,fd00::/8 --deny none --rate 100/1s/24 --no-flow drop",
     ("PATCH", "/v1/services/web", {"allow": ["10.0.0.0/8", "fd00::/8"], "deny": [],
                                    "rate": "100/1s/24", "no_flow": "drop"})),
    ("timeouts of flows", "service set web --flow-timeouts open=1h,udp-new=5s",
     ("PATCH", "/v1/services/web", {"flow_timeouts": {"open": "1h", "udp-new": "5s"}})),
    ("source addresses", "service set web --forward snat --snat-addresses 10.0.1.1,fd00::1",
     ("PATCH", "/v1/services/web", {"forward": "snat", "snat_addresses": ["10.0.1.1", "fd00::1"]})),
    ("a dry run", "backend remove web web1 --dry-run",
     ("DELETE", "/v1/pools/web/backends/web1?dry_run=1", None)),
    ("an end of flows", "flow kill --service web --client 10.0.0.0/8",
     ("DELETE", "/v1/flows?service=web&client=10.0.0.0%2F8", None)),
    ("an end of all flows", "flow kill --all", ("DELETE", "/v1/flows?all=", None)),
    ("an end of a backend's flows", "backend kill web web1",
     ("POST", "/v1/pools/web/backends/web1/kill", None)),
    ("no service", "service remove web", ("DELETE", "/v1/services/web", None)),
    ("a backend by name", "backend add web web3 --address 10.0.1.13:8080 --weight 3",
     ("PUT", "/v1/pools/web/backends/web3",
      {"address": "10.0.1.13:8080", "weight": 3, "name": "web3"})),
    ("a backend by address", "backend add web 10.0.1.13:8080",
     ("PUT", "/v1/pools/web/backends/10.0.1.13:8080",
      {"address": "10.0.1.13:8080", "name": "10.0.1.13:8080"})),
    ("a name that a path cannot hold", "backend remove web [fd00::1]:80/?%",
     ("DELETE", "/v1/pools/web/backends/%5Bfd00::1%5D:80%2F%3F%25", None)),
    ("a weight of 0", "backend set web web1 --weight 0",
     ("PATCH", "/v1/pools/web/backends/web1", {"weight": 0})),
    ("enable", "backend enable web web1",
     ("PATCH", "/v1/pools/web/backends/web1", {"admin": "enabled"})),
    ("disable", "backend disable web web1",
     ("PATCH", "/v1/pools/web/backends/web1", {"admin": "disabled"})),
    ("drain", "backend drain web web1",
     ("PATCH", "/v1/pools/web/backends/web1", {"admin": "draining"})),
    ("attach to auto", "attach eth1", ("PUT", "/v1/interfaces/eth1", {"hook": "auto"})),
    ("attach to tc", "attach eth1 --hook tc", ("PUT", "/v1/interfaces/eth1", {"hook": "tc"})),
    ("detach", "detach eth1", ("DELETE", "/v1/interfaces/eth1", None)),
    ("flows of a client", "flow list --service web --client 192.0.2.1 --limit 5",
     ("GET", "/v1/flows?service=web&client=192.0.2.1&limit=5", None)),
    ("flows to a backend", "flow count --backend [fd00::1]:80",
     ("GET", "/v1/flows/count?backend=%5Bfd00::1%5D:80", None)),
    ("a reload", "config reload", ("POST", "/v1/config/reload", {})),
    ("a rehearsed reload", "config reload --dry-run --discard-runtime",
     ("POST", "/v1/config/reload", {"dry_run": True, "discard_runtime": True})),
    ("words after --", "pool remove -- --odd", ("DELETE", "/v1/pools/--odd", None)),
]

failures = 0


def report(name, problem):
    global failures
    failures += bool(problem)
    print(f"{'not ok' if problem else 'ok'} - {name}")
    if problem:
        print("# " + str(problem).replace("\n", "\n# "))


def check_says(socket):
    for name, args, status, out, err in SAYS:
        got = lbadm(socket, *args.split())
        problem = None
        if got[0] != status:
            problem = f"exit status {got[0]}, not {status}: {got[1]}{got[2]}"
        for text, wanted in ((got[1], out), (got[2], err)):
            problem = problem or next((f"{w!r} is not in {text!r}" for w in wanted
                                       if w not in text), None)
        if status == 2 and not problem and (got[3] or got[1]):
            problem = f"a wrong command line asked lbd {got[3]} or printed {got[1]!r}"
        report(name, problem)


def check_asks(socket):
    for name, args, request in ASKS:
        got = lbadm(socket, *args.split())
        report("asks for " + name, None if got[0] == 0 and got[3] == [request] else got)


def check_json(socket):
    for args in ("status", "pool list", "backend list", "backend list web", "backend show web web1",
                 "flow list", "flow count", "config reload", "backend why web web1",
                 "backend drain web web2", "version"):
        code, out, err, _ = lbadm(socket, "--json", *args.split())
        try:
            report(f"--json {args} prints one JSON value", None if code == 0 and
                   isinstance(json.loads(out), dict) else (code, err))
        except ValueError as error:
            report(f"--json {args} prints one JSON value", f"{error}: {out}")


def check_files(socket, directory):
    for name, status, part in (("good.yaml", 0, "is good"), ("bad.yaml", 1, "bad.yaml:3:1")):
        with open(os.path.join(directory, name), "w", encoding="utf-8"):
            pass
        done = subprocess.run([os.path.abspath(LBADM), "--socket", socket, "config", "check", name],
                              cwd=directory, text=True, capture_output=True, timeout=30)
        asked = requests[-1][2] == {"path": os.path.join(os.path.realpath(directory), name)}
        report(f"config check of {name} by its whole path", None if done.returncode == status and
               part in done.stdout and asked else (done, requests[-1]))


def check_unreachable(directory):
    gone = os.path.join(directory, "gone.sock")
    for args in (["status"], ["pool", "remove", "web"], ["config", "check", __file__]):
        code, out, err, _ = lbadm(gone, *args)
        wanted = f"lbadm: cannot reach lbd at '{gone}': No such file or directory: is lbd running?\n"
        report(f"{' '.join(args[:2])} without lbd is 3", None if (code, out, err) == (3, "", wanted)
               else (code, out, err))
    plain = os.path.join(directory, "plain")
    with open(plain, "w", encoding="utf-8"):
        pass
    code, _, err, _ = lbadm(plain, "status")
    report("a socket that nobody serves is 3",
           None if code == 3 and "Connection refused" in err else (code, err))


def main():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "lbd.sock")
        server = Server(path, Lbd)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        check_says(path)
        check_asks(path)
        check_json(path)
        check_files(path, directory)
        check_unreachable(directory)
        server.shutdown()
        server.server_close()
    return 1 if failures else 0


sys.exit(main())
