#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the operator of the kernel path does and sees: audit, kill, allow and deny, rates, counts."""
import os
import socket
import sys

from build import SLOW
from crowd import fill
from lab import NO_CHECK, VIP, VIP6, Lab, config, pool
from tap import at_most, check, main, ok, wait_for
from test_modes import ECHO, ECHO_SERVER, backend_address, join
from traffic import ask, connect, hold, names, outcome, release

ALL = ["b1", "b2", "b3"]
WEB, WEB6, OTHER, DSR = f"{VIP}:80", f"[{VIP6}]:80", f"{VIP}:81", f"{VIP}:8080"
CLIENT, CLIENT6 = "10.0.0.2", "fd00::2"


def pool6():
    return {"algorithm": "round-robin", "health": NO_CHECK, "backends": [
        {"address": f"[fd00:0:0:1::{10 + int(n[1:])}]:80", "name": n} for n in ALL]}


def kernel(listen, pool_name, **more):
    return {"listen": listen, "protocol": "tcp", "path": "kernel", "forward": "nat",
            "pool": pool_name, **more}


def setup(hook):
    pools = {"web": pool(ALL), "web6": pool6(), "other": pool(ALL, port=8081),
             "dsr": pool(ALL, "maglev", port=8080)}
    return config(hook, pools, {
        "web": kernel(WEB, "web"),
        "web6": kernel(WEB6, "web6"),
        "other": kernel(OTHER, "other"),
        "dsr": {**kernel(DSR, "dsr"), "forward": "dsr"},
    })


def fate(sock, seconds=2.0):
    """What a held connection sees when it asks once more."""
    try:
        sock.settimeout(seconds)
        return ask(sock)
    except ConnectionResetError:
        return "reset"
    except BrokenPipeError:
        return "reset"
    except ConnectionError:
        return "closed"
    except TimeoutError:
        return "timeout"


def fates(held):
    return sorted({fate(sock) for _, sock in held})


def done(lbd, *args):
    got = lbd.lbadm(*args)
    return got.returncode, got.stderr


def count(lbd, *filters):
    return lbd.lbadm_json("flow", "count", *filters)["count"]


# ---- Audit ---------------------------------------------------------------------------------------

def test_audit(lab, lbd, hook):
    held = hold(lab, WEB, 6) + hold(lab, WEB6, 3)
    audit = lbd.lbadm_json("audit")
    counted = {(b["pool"], b["name"]): b["counted"] for b in audit["backends"]}
    check(f"{hook}: audit finds the open connections of each backend, of both families",
          {name: counted[name] for name in counted if name[0] in ("web", "web6")},
          {**{("web", n): 2 for n in ALL}, **{("web6", n): 1 for n in ALL}})
    check(f"{hook}: audit finds no drift while connections are open",
          (audit["drift"], audit["settled"], audit["flows"]), (0, True, 9))
    check(f"{hook}: audit calls the counts of dsr an estimate, and no others",
          {b["pool"] for b in audit["backends"] if b["estimate"]}, {"dsr"})
    said = lbd.lbadm("audit")
    check(f"{hook}: lbadm audit ends well and says so",
          (said.returncode, said.stdout.splitlines()[-2]), (0, "9 flows, drift 0"))
    release(held)
    ok(f"{hook}: audit finds nothing open after they are closed", wait_for(
        lambda: all(b["open"] == b["counted"] == 0 for b in lbd.lbadm_json("audit")["backends"])),
       lbd.lbadm("audit").stdout)


# ---- Kill ----------------------------------------------------------------------------------------

def test_flow_kill(lab, lbd, hook):
    wait_for(lambda: count(lbd, "--client", CLIENT) == 0, 15)
    held = hold(lab, WEB, 6)
    port = held[0][1].getsockname()[1]
    check(f"{hook}: flow kill without a filter is refused as usage",
          lbd.lbadm("flow", "kill").returncode, 2)
    check(f"{hook}: DELETE without a filter is refused",
          lbd.api("DELETE", "/v1/flows")[0], 400)
    check(f"{hook}: a rehearsed flow kill says how many it would end, and ends none",
          (lbd.lbadm("flow", "kill", "--client", CLIENT, "--dry-run").stdout,
           lbd.lbadm_json("backend", "kill", "web", held[0][0], "--dry-run")["count"],
           [fate(s) for _, s in held]),
          ("nothing was changed; would be: connections ended: 6\n", 2, [n for n, _ in held]))
    check(f"{hook}: flow kill of one client port ends one flow",
          lbd.lbadm_json("flow", "kill", "--client", f"{CLIENT}:{port}"), {"count": 1})
    check(f"{hook}: that client is told by a reset", fate(held[0][1]), "reset")
    check(f"{hook}: the others go on", [fate(s) for _, s in held[1:]], [n for n, _ in held[1:]])
    check(f"{hook}: flow kill of a backend ends its flows alone",
          lbd.lbadm_json("flow", "kill", "--backend", held[1][0], "--service", "web")["count"], 2)
    left = [(name, sock) for name, sock in held[1:] if name != held[1][0]]
    check(f"{hook}: flows of other backends go on", [fate(s) for _, s in left],
          [n for n, _ in left])
    check(f"{hook}: flow kill of a prefix ends all that are left",
          lbd.lbadm_json("flow", "kill", "--client", "10.0.0.0/24")["count"], len(left))
    check(f"{hook}: they are reset too", fates(left), ["reset"])
    check(f"{hook}: nothing is open, and nothing has drifted",
          ([b["open"] for b in lbd.backends("web").values()], lbd.lbadm_json("audit")["drift"]),
          ([0, 0, 0], 0))
    release(held)


def test_backend_kill(lab, lbd, hook):
    held = hold(lab, WEB, 6)
    check(f"{hook}: backend kill ends the backend's connections",
          lbd.lbadm_json("backend", "kill", "web", "b2"),
          {"count": 2, "flows": 2, "sessions": 0})
    clients = {f"{CLIENT}:{sock.getsockname()[1]}" for name, sock in held if name == "b2"}
    check(f"{hook}: the flow list says so",
          [(f["state"], f["counted"]) for f in lbd.get("/v1/flows?backend=b2&service=web")["flows"]
           if f["client"] in clients], [("killed", False)] * 2)
    check(f"{hook}: its clients are reset, the others go on",
          sorted((n, fate(s)) for n, s in held),
          sorted((n, "reset" if n == "b2" else n) for n, _ in held))
    check(f"{hook}: an enabled backend has new connections at once",
          names(hold(lab, WEB, 3)), {"b1": 1, "b2": 1, "b3": 1})
    check(f"{hook}: to kill an unknown backend is refused",
          lbd.api("POST", "/v1/pools/web/backends/none/kill")[0], 404)
    release(held)


def test_removed_service(lab, lbd, hook):
    held = hold(lab, OTHER, 3)
    check(f"{hook}: a service is removed", done(lbd, "service", "remove", "other"), (0, ""))
    check(f"{hook}: its connections are reset", fates(held), ["reset"])
    check(f"{hook}: what it leaves has no drift", lbd.lbadm_json("audit")["drift"], 0)
    check(f"{hook}: its backends have nothing open",
          [b["open"] for b in lbd.backends("other").values()], [0, 0, 0])
    check(f"{hook}: it comes back", done(lbd, "service", "add", "other", "--listen", OTHER,
                                         "--protocol", "tcp", "--pool", "other"), (0, ""))
    check(f"{hook}: and takes connections", outcome(lab, OTHER) in ALL, True)


# ---- Who may connect -----------------------------------------------------------------------------

def test_prefixes(lab, lbd, hook):
    rows = [
        ("a denied prefix is kept out", ["--deny", "10.0.0.0/24"], "timeout", True),
        ("the other family is not", [], "timeout", True),
        ("a longer allowed prefix is let in", ["--allow", f"{CLIENT}/32"], True, "timeout"),
        ("who is not allowed is kept out", ["--allow", "192.0.2.0/24", "--deny", "none"],
         "timeout", "timeout"),
        ("both families may be allowed", ["--allow", "10.0.0.0/8,fd00::/8"], True, True),
        ("all of IPv6 may be denied", ["--deny", "::/0", "--allow", "none"], True, "timeout"),
        ("without prefixes everybody is let in", ["--deny", "none"], True, True),
    ]
    lbd.lbadm("service", "set", "web", "--listen", f"{WEB}")
    for name, options, v4, v6 in rows:
        for service in ("web", "web6") if options else ():
            check(f"{hook}: service set {service} {' '.join(options)} is done",
                  done(lbd, "service", "set", service, *options), (0, ""))
        for family, address, expected in (("IPv4", WEB, v4), ("IPv6", WEB6, v6)):
            got = outcome(lab, address, 0.5)
            check(f"{hook}: {name}, {family}", got in ALL or got, expected)


def test_live_connections_stay(lab, lbd, hook):
    held = hold(lab, WEB, 3)
    lbd.lbadm("service", "set", "web", "--deny", CLIENT)
    check(f"{hook}: open connections of a denied source go on", [fate(s) for _, s in held],
          [n for n, _ in held])
    check(f"{hook}: new ones do not begin", outcome(lab, WEB, 0.5), "timeout")
    check(f"{hook}: the service shows who is denied",
          lbd.get("/v1/services/web")["deny"], [f"{CLIENT}/32"])
    check(f"{hook}: the verdict counts them",
          lbd.get("/v1/stats")["verdicts"]["denied"]["packets"] > 0, True)
    lbd.kill()
    lbd.start()
    check(f"{hook}: after kill -9 and a start it is denied still", outcome(lab, WEB, 0.5), "timeout")
    lbd.lbadm("service", "set", "web", "--deny", "none")
    check(f"{hook}: and let in when that is taken back", outcome(lab, WEB) in ALL, True)
    release(held)


def connects(lab, address, count_of, timeout=0.2):
    return sum(outcome(lab, address, timeout) in ALL for _ in range(count_of))


def test_rate(lab, lbd, hook):
    check(f"{hook}: service set --rate is done",
          done(lbd, "service", "set", "web", "--rate", "5/1h"), (0, ""))
    check(f"{hook}: of ten new connections a source has five", connects(lab, WEB, 10), 5)
    check(f"{hook}: another service has no limit", connects(lab, OTHER, 10), 10)
    check(f"{hook}: the service shows its rate", lbd.get("/v1/services/web")["rate"],
          {"new": 5, "per_ms": 3600000, "prefix": {"ipv4": 32, "ipv6": 64}})
    check(f"{hook}: the verdict counts what was dropped",
          lbd.get("/v1/stats")["verdicts"]["source_rate"]["packets"] >= 5, True)
    check(f"{hook}: a wrong rate is refused with its reason",
          "must be like 100/1s" in lbd.lbadm("service", "set", "web", "--rate", "fast").stderr,
          True)
    lbd.lbadm("service", "set", "web", "--rate", "none")
    check(f"{hook}: without a rate all ten are let in", connects(lab, WEB, 10), 10)


# ---- Packets without a flow ----------------------------------------------------------------------

def test_no_flow(lab, lbd, hook):
    for word, expected in (("drop", "timeout"), ("reset", "reset")):
        check(f"{hook}: service set --no-flow {word} is done",
              done(lbd, "service", "set", "web", "--no-flow", word), (0, ""))
        (_, sock), = hold(lab, WEB, 1)
        port = sock.getsockname()[1]
        wait_for(lambda: count(lbd, "--client", f"{CLIENT}:{port}") == 1)
        lbd.lbadm("flow", "kill", "--client", f"{CLIENT}:{port}")
        lbd.lbadm("service", "set", "web", "--flow-timeouts", "fin=1s")
        ok(f"{hook}: a killed flow ends with its timeout",
           wait_for(lambda: count(lbd, "--client", f"{CLIENT}:{port}") == 0, 10))
        check(f"{hook}: with no-flow {word} its client's next packet meets {expected}",
              fate(sock, 0.5), expected)
        sock.close()
    check(f"{hook}: no-flow is refused where it means nothing",
          lbd.lbadm("service", "set", "dsr", "--no-flow", "drop").returncode, 1)


# ---- What would happen ---------------------------------------------------------------------------

def test_dry_run(lab, lbd, hook):
    before = lbd.get("/v1/config")
    rehearsed = lbd.lbadm_json("backend", "drain", "dsr", "b2", "--dry-run")
    moved, = rehearsed["pools"]
    third = 1 / 3
    ok(f"{hook}: a dry run says which part of maglev's table would move, and has to",
       abs(moved["needed"] - third) < 0.01 and moved["needed"] <= moved["moved"] < third + 0.04,
       moved)
    shares = {b["name"]: (b["share_before"], b["share_after"]) for b in moved["backends"]}
    due = {"b1": (third, 0.5), "b2": (third, 0), "b3": (third, 0.5)}
    ok(f"{hook}: and the shares before and after, within 2% of what is due",
       shares.keys() == due.keys() and all(abs(got - share) <= 0.02 * share for name in due
                                           for got, share in zip(shares[name], due[name])),
       f"expected {due}, got {shares}")
    said = lbd.lbadm("pool", "set", "web", "--algorithm", "maglev", "--dry-run")
    ok(f"{hook}: lbadm says how many slots there would be",
       "pool 'web', maglev: " in said.stdout and "slots, now 3" in said.stdout, said.stdout)
    held = hold(lab, WEB, 3)
    check(f"{hook}: a dry run of a removal says how many connections it would end",
          lbd.lbadm_json("service", "remove", "web", "--dry-run")["flows_ended"],
          lbd.get("/v1/services/web")["open"])
    check(f"{hook}: a dry run refuses what lbd would refuse",
          lbd.lbadm("pool", "set", "web", "--algorithm", "none", "--dry-run").returncode, 1)
    check(f"{hook}: nothing was changed by all this", lbd.get("/v1/config"), before)
    check(f"{hook}: and connections go on", [fate(s) for _, s in held], [n for n, _ in held])
    release(held)


# ---- Source addresses ----------------------------------------------------------------------------

def test_snat(lab, lbd, hook):
    for address, pool_name, source, seen in ((f"{VIP}:82", "web", "10.0.1.1", "10.0.1.1"),
                                       (f"[{VIP6}]:82", "web6", "fd00:0:0:1::1", "[fd00:0:0:1::1]")):
        check(f"{hook}: service add with forward snat by {source} is done",
              done(lbd, "service", "add", "hidden", "--listen", address, "--protocol", "tcp",
                   "--pool", pool_name, "--forward", "snat", "--snat-addresses", source), (0, ""))
        held = hold(lab, address, 3)
        check(f"{hook}: its connections reach the backends", sorted(n for n, _ in held), ALL)
        peers = lab.must("b1", "ss", "-Htn", "state", "established", "dst", seen)
        check(f"{hook}: a backend sees {seen}", len(peers.splitlines()), 1)
        shown = lbd.get("/v1/services/hidden")
        check(f"{hook}: the service shows its source addresses",
              (shown["forward"], shown["snat_addresses"], shown["listen"]),
              ("snat", [source], [address]))
        check(f"{hook}: the flow list shows how it forwards",
              {f["forward"] for f in lbd.get("/v1/flows?service=hidden")["flows"]}, {"snat"})
        check(f"{hook}: and the service goes", done(lbd, "service", "remove", "hidden"), (0, ""))
        check(f"{hook}: with its connections", fates(held), ["reset"])
        release(held)


# ---- UDP -----------------------------------------------------------------------------------------

def udp_pool(v6):
    return {"algorithm": "round-robin", "health": NO_CHECK, "backends": [
        {"address": join(backend_address(n, v6), ECHO), "name": n} for n in ALL]}


def is_refused(sock):
    """ICMP may be lost: to be asked again."""
    try:
        sock.send(b"two")
        sock.recv(100)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False


def test_udp(lab, lbd, hook):
    servers = [lab.popen(n, sys.executable, "-c", ECHO_SERVER, n, stdout=-1, text=True)
               for n in ALL]
    for server in servers:
        server.stdout.readline()
    for vip, v6 in ((VIP, False), (VIP6, True)):
        check(f"{hook}: a UDP service is added by lbadm at {vip}",
              (lbd.api("PUT", "/v1/pools/echo", udp_pool(v6))[0],
               done(lbd, "service", "add", "echo", "--listen", join(vip, ECHO), "--protocol", "udp",
                    "--pool", "echo")), (200, (0, "")))
        with lab.socket(family=socket.AF_INET6 if v6 else socket.AF_INET,
                        kind=socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)
            sock.connect((vip, ECHO))
            sock.send(b"one")
            name = sock.recv(100).split()[0].decode()
            client = join(CLIENT6 if v6 else CLIENT, sock.getsockname()[1])
            flow, = lbd.get("/v1/flows?service=echo")["flows"]
            check(f"{hook}: the flow list shows a UDP flow at {vip}",
                  [flow[key] for key in ("client", "vip", "protocol", "state", "backend")],
                  [client, join(vip, ECHO), "udp", "udp-open",
                   join(backend_address(name, v6), ECHO)])
            check(f"{hook}: it is counted as its service's, at {vip}",
                  lbd.get("/v1/services/echo")["open"], 1)
            check(f"{hook}: it can be ended at {vip}",
                  lbd.lbadm_json("flow", "kill", "--client", client), {"count": 1})
            sock.settimeout(0.1)
            ok(f"{hook}: its client is told that the port is unreachable, at {vip}",
               wait_for(lambda: is_refused(sock), 1.5))
        lbd.lbadm("service", "remove", "echo")
        lbd.lbadm("pool", "remove", "echo")
    for server in servers:
        lab.end(server)


def test_rate_by_prefix(lab, lbd, hook):
    """Two sources of one /24 share its limit; alone each has its own."""
    lab.must("client", "ip", "addr", "add", "10.0.0.3/24", "dev", "eth0")

    def tries(source, port, count_of):
        good = 0
        for _ in range(count_of):
            with lab.socket() as sock:
                sock.settimeout(0.2)
                sock.bind((source, 0))
                good += sock.connect_ex((VIP, port)) == 0
        return good

    for service, port, rate, expected in (("web", 80, "4/1h/24", (4, 0)),
                                          ("other", 81, "4/1h/32", (4, 4))):
        check(f"{hook}: service set {service} --rate {rate} is done",
              done(lbd, "service", "set", service, "--rate", rate), (0, ""))
        check(f"{hook}: two sources have {expected} of 6 with {rate}",
              (tries(CLIENT, port, 6), tries("10.0.0.3", port, 6)), expected)
        lbd.lbadm("service", "set", service, "--rate", "none")


# ---- Numbers -------------------------------------------------------------------------------------

def test_numbers(lab, lbd, hook):
    before = lbd.get("/v1/services/web6")
    held = hold(lab, WEB6, 3)
    after = lbd.get("/v1/services/web6")
    check(f"{hook}: a service's open and opened count its connections",
          (after["open"] - before["open"], after["opened"] - before["opened"]), (3, 3))
    ok(f"{hook}: its packets and bytes grow",
       after["packets"] > before["packets"] and after["bytes"] > before["bytes"], after)
    ok(f"{hook}: its new connections per second are seen within two seconds",
       wait_for(lambda: lbd.get("/v1/services/web6")["rate_cps"] > 0, 3))
    ok(f"{hook}: and are none when there are none",
       wait_for(lambda: lbd.get("/v1/services/web6")["rate_cps"] == 0, 4))
    ok(f"{hook}: flows of connections that have ended leave the table",
       wait_for(lambda: len(lbd.get("/v1/flows?service=web6")["flows"]) == 3, 20))
    flows = lbd.get("/v1/flows?service=web6")["flows"]
    check(f"{hook}: the flow list writes IPv6 with brackets and ports",
          {(f["client"].rpartition(":")[0], f["vip"]) for f in flows}, {(f"[{CLIENT6}]", WEB6)})
    check(f"{hook}: flow count by an IPv6 client finds them",
          count(lbd, "--client", CLIENT6, "--service", "web6"), 3)
    check(f"{hook}: stats lists every service", {s["name"] for s in lbd.get("/v1/stats")["services"]},
          {"web", "web6", "other", "dsr"})
    release(held)


# ---- A million -----------------------------------------------------------------------------------

MILLION = 1000000
LIMIT_S = 1.0


def cpu_seconds(lbd):
    """Of lbd, the programs it runs included: what others do on the machine is not in it."""
    with open(f"/proc/{lbd.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_pages(lbd):
    status, answer = lbd.api("GET", "/v1/flows?limit=100000")
    check("a million flows: a list of too many is refused with the way to have them",
          (status, "'from'" in answer["error"]["message"]), (400, True))
    listed = lbd.lbadm_json("flow", "list", "--client", "10.64.1.0/24", "--limit", "100000")["flows"]
    check("a million flows: lbadm lists all of a filter, page behind page, each once",
          (len(listed), len({f["client"] for f in listed})), (4096, 4096))
    check("a million flows: lbadm lists as many as it is told, over pages",
          len(lbd.lbadm_json("flow", "list", "--limit", "9999")["flows"]), 9999)
    said = lbd.lbadm("flow", "list")
    check("a million flows: without a limit it lists the first thousand, and says so",
          (len(said.stdout.splitlines()), "first 1000" in said.stderr), (1001, True))
    before = cpu_seconds(lbd)
    last = lbd.get(f"/v1/flows?limit=4000&from={MILLION - 4000}")
    took = cpu_seconds(lbd) - before
    check("a million flows: the last page is the last", (len(last["flows"]), "next" in last),
          (4000, False))
    at_most("a million flows: a page holds the control thread up for less than 250 ms", took,
            0.25 * SLOW)


def test_million():
    setup_one = config("tc", {"web": pool(ALL)}, {"web": kernel(WEB, "web")})
    setup_one["limits"] = {"flows": MILLION}
    with Lab("tc") as lab, lab.lbd(setup_one) as lbd:
        fill(lab.pin_path, MILLION, len(ALL))
        test_pages(lbd)
        for args, expected in (
                (("flow", "count"), {"count": MILLION}),
                (("flow", "count", "--service", "web"), {"count": MILLION}),
                (("flow", "count", "--backend", "b1"), {"count": MILLION // 3 + 1}),
                (("flow", "count", "--client", "10.64.1.0/24"), {"count": 4096}),
                (("flow", "kill", "--client", "10.64.1.0/24"), {"count": 4096}),
                (("flow", "kill", "--all"), {"count": MILLION - 4096})):
            before = cpu_seconds(lbd)
            got = lbd.lbadm_json(*args)
            took = cpu_seconds(lbd) - before
            check(f"a million flows: {' '.join(args)}", got, expected)
            at_most(f"a million flows: {' '.join(args)} takes less than a second", took,
                    LIMIT_S * SLOW)
        before = cpu_seconds(lbd)
        audit = lbd.lbadm_json("audit")
        at_most("a million flows: audit takes less than a second", cpu_seconds(lbd) - before,
                LIMIT_S * SLOW)
        check("a million flows: all are ended, and nothing has drifted",
              (audit["flows"], audit["drift"], [b["open"] for b in audit["backends"]]),
              (MILLION, 0, [0, 0, 0]))


def test_hook(profile, hook):
    with Lab(profile) as lab:
        if profile == "xdp":
            lab.take_xdp_tx()  # a RST goes back by XDP_TX
        with lab.lbd(setup(hook)) as lbd:
            for test in (test_audit, test_flow_kill, test_backend_kill, test_removed_service,
                         test_prefixes, test_live_connections_stay, test_rate, test_no_flow,
                         test_rate_by_prefix, test_udp, test_dry_run, test_snat, test_numbers):
                test(lab, lbd, hook)


def test_xdp():
    test_hook("xdp", "native")


def test_tc():
    test_hook("tc", "tc")


if __name__ == "__main__":
    main(test_xdp, test_tc, test_million)
