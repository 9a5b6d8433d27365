#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lbd says what happened to packets, what would happen to one, and what this machine gets wrong."""
import contextlib
import json
import os
import socket
import subprocess

import mapsum
from lab import BUILD, FAST_CHECK, VIP, VIP6, Lab, config, nat, pool
from tap import check, main, note, ok, wait_for
from traffic import ask, connect

LB = "10.0.1.1"


def setup(hook):
    pools = {"web": pool(["b1", "b2", "b3"], "least-connections"),
             "none": pool(["b1"], weights=[0]),
             "maglev84": pool(["b1", "b2"], "maglev", port=84),
             "maglev85": pool(["b1", "b2"], "maglev", port=85),
             "web6": {"algorithm": "round-robin", "health": {"type": "none"},
                      "backends": [{"address": "[fd00:0:0:1::11]:80", "name": "six"}]}}
    return config(hook, pools, {
        "web": nat(f"{VIP}:80", "web"),
        "web6": nat(f"[{VIP6}]:80", "web6"),
        "none": nat(f"{VIP}:81", "none"),
        "snat": {**nat(f"{VIP}:82", "web"), "forward": "snat", "snat-addresses": [LB]},
        "udp": {**nat(f"{VIP}:53", "web"), "protocol": "udp"},
        "gue": {**nat(f"{VIP}:84", "maglev84"), "forward": "gue"},
        "dsr": {**nat(f"{VIP}:85", "maglev85"), "forward": "dsr"}})


def refused(lab, port):
    """What a client sees that connects to the VIP; its own port."""
    with lab.socket() as sock:
        sock.settimeout(3)
        sock.bind(("10.0.0.2", 0))
        try:
            sock.connect((VIP, port))
        except OSError as error:
            return type(error).__name__, sock.getsockname()[1]
        return "connected", sock.getsockname()[1]


# ---- why -------------------------------------------------------------------------------------

def test_why():
    for profile, hook in (("xdp", "native"), ("tc", "tc")):
        with Lab(profile) as lab, lab.lbd(setup(hook)) as lbd:
            if profile == "xdp":
                lab.take_xdp_tx()
            check_why(lab, lbd, hook)


def check_why(lab, lbd, hook):
    check(f"{hook}: before a verdict was given, none of its packets is kept",
          lbd.lbadm_json("why", "no_backend")["last"], None)
    seen, port = refused(lab, 81)
    check(f"{hook}: a pool without a backend refuses", seen, "ConnectionRefusedError")
    last = lbd.lbadm_json("why", "no_backend")["last"]
    ok(f"{hook}: why names the packet's addresses, ports and flags",
       f"tcp 10.0.0.2:{port} > {VIP}:81, syn" in last["packet"], last["packet"])
    check(f"{hook}: why names the interface", last["interface"], "cl0")
    ok(f"{hook}: why says how long ago", 0 <= last["age_ms"] < 10000, last)
    words = lbd.lbadm("why", "no_backend").stdout
    ok(f"{hook}: why says what the verdict means and what to look at",
       "refused: no backend of the pool is eligible" in words and "lbadm backend list" in words,
       words)
    _, second = refused(lab, 81)
    ok(f"{hook}: a later packet takes its place", wait_for(
        lambda: f":{second} >" in lbd.lbadm_json("why", "no_backend")["last"]["packet"], 1) or
       second == port, lbd.lbadm_json("why", "no_backend"))
    ok(f"{hook}: of what goes on all the time nothing is kept, and why says so",
       "no packet is kept" in lbd.lbadm("why", "forwarded").stdout)
    done = lbd.lbadm("why", "no_bakend")
    check(f"{hook}: an unknown verdict is refused", done.returncode, 1)
    ok(f"{hook}: ... with the nearest name", "did you mean 'no_backend'" in done.stderr,
       done.stderr)
    names = [v["name"] for v in lbd.lbadm_json("why")["verdicts"]]
    ok(f"{hook}: without a name, all verdicts are listed",
       "no_backend" in names and "internal" in names, names)


# ---- monitor ---------------------------------------------------------------------------------

def monitor(lbd, *args):
    return subprocess.Popen([f"{BUILD}/lbadm", "--socket", lbd.socket, "--json", "monitor", *args],
                            stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)


def collect(process, timeout=10):
    try:
        text, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
    return [json.loads(line) for line in text.splitlines()]


def test_monitor():
    wanted = config("tc", {"web": pool(["b1", "b2"], health=FAST_CHECK),
                           "none": pool(["b1"], weights=[0])},
                    {"web": nat(f"{VIP}:80", "web"), "none": nat(f"{VIP}:81", "none")})
    with Lab("tc", 2) as lab, lab.lbd(wanted) as lbd:
        lbd.wait_eligible("web", ["b1", "b2"])
        before = collect(monitor(lbd, "--after", "0", "--count", "5"))
        check("the oldest events come first, and are numbered", [e["seq"] for e in before],
              [1, 2, 3, 4, 5])
        check("each has the fields of the API", sorted(before[0]),
              ["from", "kind", "object", "reason", "seq", "time", "to"])
        follower = monitor(lbd, "--count", "4", "--after", "5")
        refused(lab, 81)
        lbd.lbadm("backend", "drain", "web", "b2")
        lab.kill_nginx("b1")
        lbd.wait_eligible("web", [])
        lab.start_nginx("b1")
        lbd.wait_eligible("web", ["b1"])
        events = collect(follower)
        story = [(e["kind"], e["object"].split(" ")[0], e["to"]) for e in events]
        check("a refusal, a drain, a death and a return are told in their order", story,
              [("packet", "tcp", "no_backend"), ("admin", "web/b2", "draining"),
               ("health", "web/b1", "down"), ("health", "web/b1", "up")])
        check("a health event has its reason", events[2]["reason"], "connect_refused")
        again = collect(monitor(lbd, "--after", str(events[1]["seq"]), "--count", "2"))
        check("a reader goes on behind the last event it had", again, events[2:])
        check("... also by Last-Event-ID", stream(lbd, events[2]["seq"])[:1], [events[3]])
        ok("a number that lbd never gave begins with the oldest",
           stream(lbd, 10 ** 9)[0]["seq"] == 1, stream(lbd, 10 ** 9))
        readers = [open_stream(lbd) for _ in range(16)]
        done = lbd.lbadm("monitor", "--count", "1", "--after", "0")
        ok("a 17th reader is refused, with the reason",
           done.returncode == 1 and "16 streams are open" in done.stderr, done.stderr)
        for reader in readers:
            reader.close()
        ok("when they are gone there is room again", wait_for(
            lambda: lbd.lbadm("monitor", "--count", "1", "--after", "0").returncode == 0))


def open_stream(lbd):
    """A reader whose stream has begun."""
    reader = socket.socket(socket.AF_UNIX)
    reader.settimeout(10)
    reader.connect(lbd.socket)
    reader.sendall(b"GET /v1/events HTTP/1.1\r\nHost: lbd\r\n\r\n")
    reader.recv(4096)
    return reader


def stream(lbd, last):
    """What curl reads in a second."""
    done = subprocess.run(["curl", "-sN", "-m", "1", "--unix-socket", lbd.socket, "-H",
                           f"Last-Event-ID: {last}", "http://lbd/v1/events"],
                          capture_output=True, text=True)
    return [json.loads(line[6:]) for line in done.stdout.splitlines() if line.startswith("data: ")]


# ---- trace -----------------------------------------------------------------------------------

# (what it is, arguments, verdict, end, a part of the resulting packet)
TRACES = [
    ("a SYN to a nat service", ["tcp", "10.0.0.2:5000", f"{VIP}:80"], "forwarded_new", "sent",
     "tcp 10.0.0.2:5000 > 10.0.1.12:80, syn"),
    ("a SYN to an IPv6 service", ["tcp", "[fd00::2]:5000", f"[{VIP6}]:80"], "forwarded_new",
     "sent", "tcp [fd00::2]:5000 > [fd00:0:0:1::11]:80, syn"),
    ("a SYN to a snat service", ["tcp", "10.0.0.2:5000", f"{VIP}:82"], "forwarded_new", "sent",
     f"tcp {LB}:5000 > 10.0.1.12:80, syn"),
    ("a SYN to a gue service", ["tcp", "10.0.0.2:5000", f"{VIP}:84"], "forwarded_new", "sent",
     f"within: tcp 10.0.0.2:5000 > {VIP}:84, syn"),
    ("a SYN to a dsr service", ["tcp", "10.0.0.2:5000", f"{VIP}:85"], "forwarded_new", "sent",
     f"tcp 10.0.0.2:5000 > {VIP}:85, syn"),
    ("a datagram to a UDP service", ["udp", "10.0.0.2:5000", f"{VIP}:53"], "forwarded_new", "sent",
     "udp 10.0.0.2:5000 > 10.0.1.12:80"),
    ("a SYN to a pool with nobody eligible", ["tcp", "10.0.0.2:5000", f"{VIP}:81"], "no_backend",
     "answered", f"tcp {VIP}:81 > 10.0.0.2:5000, rst, ack"),
    ("an ACK of no flow", ["tcp", "10.0.0.2:5000", f"{VIP}:80", "--flags", "ack"], "no_flow",
     "answered", f"tcp {VIP}:80 > 10.0.0.2:5000, rst"),
    ("an RST of no flow", ["tcp", "10.0.0.2:5000", f"{VIP}:80", "--flags", "rst"], "no_flow",
     "dropped", None),
    ("a packet for nobody", ["tcp", "10.0.0.2:5000", "10.9.9.9:9"], "not_ours", "passed",
     "tcp 10.0.0.2:5000 > 10.9.9.9:9"),
]


def test_trace():
    for profile, hook in (("xdp", "native"), ("tc", "tc")):
        with Lab(profile) as lab, lab.lbd(setup(hook)) as lbd:
            if profile == "xdp":
                lab.take_xdp_tx()
            with connect(lab, f"{VIP}:80") as sock:
                check(f"{hook}: a connection is open", ask(sock), "b1")
                check_trace(lab, lbd, hook, sock.getsockname()[1])


def check_trace(lab, lbd, hook, port):
    known = [
        ("an ACK of the open connection", ["tcp", f"10.0.0.2:{port}", f"{VIP}:80", "--flags",
                                           "ack"],
         "forwarded", "sent", f"tcp 10.0.0.2:{port} > 10.0.1.11:80, ack"),
        ("its backend's reply", ["tcp", "10.0.1.11:80", f"10.0.0.2:{port}", "--flags", "ack"],
         "replied", "sent", f"tcp {VIP}:80 > 10.0.0.2:{port}, ack"),
    ]
    lbd.lbadm("trace", *TRACES[0][1])  # loads the program
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(contextlib.closing(mapsum.Maps(lab.pin_path)))
        sums = before.sums()
        for what, args, verdict, end, result in TRACES + known:
            answer = lbd.lbadm_json("trace", *args)
            check(f"{hook}: {what} gets {verdict} and is {end}",
                  (answer["verdict"], answer["end"]), (verdict, end))
            ok(f"{hook}: {what}: the packet afterwards is shown",
               result is None and answer["result"] is None or result in (answer["result"] or ""),
               answer["result"])
            text = lbd.lbadm("trace", *args)
            ok(f"{hook}: {what} is told in words too", text.returncode == 0 and
               f"verdict    {verdict}: " in text.stdout, text.stdout + text.stderr)
        check(f"{hook}: tracing has changed no map", before.changed(sums), [])
    answer = lbd.lbadm_json("trace", *TRACES[0][1])
    check(f"{hook}: candidates have scores, and the busy one is not chosen",
          [(c["name"], c["open"], c["score"], c["chosen"]) for c in answer["candidates"]],
          [("b1", 1, 1.0, False), ("b2", 0, 0.0, True), ("b3", 0, 0.0, False)])
    check(f"{hook}: a known flow is named with its state and side",
          [lbd.lbadm_json("trace", *known[0][1])[key] for key in ("flow", "state", "from")],
          ["known", "open", "client"])
    sock = lab.socket()
    with sock:
        sock.bind(("10.0.0.2", 5000))
        sock.settimeout(5)
        sock.connect((VIP, 80))
        check(f"{hook}: the real packet goes where the trace said", ask(sock), "b2")
    lbd.lbadm("backend", "drain", "web", "b2")
    wait_for(lambda: not lbd.backends("web")["b2"]["eligible"])
    answer = lbd.lbadm_json("trace", "tcp", "10.0.0.2:5001", f"{VIP}:80")
    check(f"{hook}: a draining backend is shown as not eligible, and not chosen",
          [(c["eligible"], c["chosen"]) for c in answer["candidates"] if c["name"] == "b2"],
          [(False, False)])
    for args, words in ((["tcp", "10.0.0.2", f"{VIP}:80"], "source"),
                        (["sctp", "10.0.0.2:1", f"{VIP}:80"], "tcp, udp or http"),
                        (["tcp", "10.0.0.2:1", f"[{VIP6}]:80"], "IP version"),
                        (["tcp", "10.0.0.2:1", f"{VIP}:80", "--flags", "sin"], "syn"),
                        (["tcp", "10.0.0.2:1", f"{VIP}:80", "--in", "nope"], "not attached")):
        done = lbd.lbadm("trace", *args)
        ok(f"{hook}: 'trace {' '.join(args)}' is refused with its reason",
           done.returncode == 1 and words in done.stderr, done.stderr)


# ---- doctor ----------------------------------------------------------------------------------

# (what is broken, where, the command, the finding, its object)
BREAKS = [
    ("forwarding is off", "lb", "sysctl -qw net.ipv4.conf.cl0.forwarding=0", "ip_forward", "cl0"),
    ("IPv6 forwarding is off", "lb", "sysctl -qw net.ipv6.conf.be0.forwarding=0", "ip_forward",
     "be0"),
    ("rp_filter is strict", "lb", "sysctl -qw net.ipv4.conf.be0.rp_filter=1", "rp_filter", "be0"),
    ("rp_filter is strict for all", "lb", "sysctl -qw net.ipv4.conf.all.rp_filter=1", "rp_filter",
     "host"),
    ("a VIP is local", "lb", f"ip addr add {VIP}/32 dev lo", "accept_local", "be0"),
    ("the tunnel has no headroom", "lb", "ip link set be0 mtu 1500", "mtu", "be0"),
    ("own ports overlap snat's", "lb", "sysctl -qw net.ipv4.ip_local_port_range=10000\\ 60000",
     "snat_ports", "host"),
    ("a backend's neighbour entry is gone", "lb", "ip neigh del 10.0.1.11 dev be0", "neighbour",
     "b1 (10.0.1.11)"),
    ("a backend's neighbour entry is left to age", "lb",
     "ip neigh replace 10.0.1.12 lladdr 02:00:00:00:00:12 dev be0 nud stale", "neighbour_stale",
     "b2 (10.0.1.12)"),
]
BREAKS_NATIVE = [
    ("the client leaves checksums to its device", "client", "ethtool -K eth0 tx on",
     "checksum_offload", "cl0"),
    ("the client does not poll", "client", "ethtool -K eth0 gro off", "peer_napi", "cl0"),
]
BREAKS_GENERIC = [
    ("GRO merges in front of generic XDP", "lb", "ethtool -K cl0 gro on", "generic_gro", "cl0"),
    ("the client sends large packets", "client", "ethtool -K eth0 tx on tso on", "generic_gso",
     "cl0"),
]


def problems(lbd):
    report = json.loads(lbd.lbadm("--json", "doctor").stdout)
    return [f for f in report["findings"] if f["level"] == "problem"]


def mend(lab, lbd, finding):
    """Runs the printed fix as it stands, in the balancer's namespace."""
    env = {**os.environ, "LBD_SOCKET": lbd.socket,
           "PATH": f"{os.path.abspath(BUILD)}:/usr/sbin:/sbin:{os.environ['PATH']}"}
    done = lab.run("lb", "sh", "-c", finding["fix"], env=env)
    if done.returncode:
        note(f"{finding['fix']}: {done.stderr}")


def mend_all(lab, lbd):
    """Until nothing is left; what still is then."""
    for _ in range(10):
        left = problems(lbd)
        if not left:
            break
        for finding in left:
            mend(lab, lbd, finding)
        wait_for(lambda: not problems(lbd), 1)
    return problems(lbd)


def test_doctor():
    for profile, hook, more in (("xdp", "native", BREAKS_NATIVE), ("tc", "tc", []),
                                ("tc", "generic", BREAKS_GENERIC)):
        with Lab(profile) as lab, lab.lbd(setup(hook)) as lbd:
            check(f"{hook}: what doctor finds in a new lab can be mended by its own commands",
                  mend_all(lab, lbd), [])
            done = lbd.lbadm("doctor")
            check(f"{hook}: then its exit status is 0", done.returncode, 0)
            ok(f"{hook}: ... and it says so", "nothing to mend" in done.stdout, done.stdout)
            for row in (BREAKS if hook != "generic" else []) + more:
                check_break(lab, lbd, hook, row)


def test_doctor_of_many():
    many = [{"address": f"10.0.1.{i % 250 + 2}:{1000 + i // 250}"} for i in range(1100)]
    with Lab("tc", backends=1) as lab, lab.lbd(config(
            "tc", {"many": {"algorithm": "random-two", "health": {"type": "none"},
                            "backends": many}}, {"many": nat(f"{VIP}:80", "many")})) as lbd:
        check("doctor says how many backends it did not look at",
              [f["what"] for f in lbd.get("/v1/doctor")["findings"] if f["code"] == "left_out"],
              ["76 of 1100 were not looked at"])


def check_break(lab, lbd, hook, row):
    what, where, command, code, subject = row
    lab.must(where, "sh", "-c", command)
    found = wait_for(lambda: [f for f in problems(lbd)
                              if (f["code"], f["object"]) == (code, subject)], 2)
    if not ok(f"{hook}: {what}: doctor finds {code} at {subject}", found, problems(lbd)):
        return
    done = lbd.lbadm("doctor")
    check(f"{hook}: {what}: its exit status is 1", done.returncode, 1)
    ok(f"{hook}: {what}: it prints the reason and the command",
       found[0]["why"] in done.stdout and found[0]["fix"] in done.stdout, done.stdout)
    mend(lab, lbd, found[0])
    gone = wait_for(lambda: (code, subject) not in [(f["code"], f["object"])
                                                    for f in problems(lbd)], 5)
    ok(f"{hook}: {what}: after '{found[0]['fix']}' it is gone", gone, problems(lbd))
    check(f"{hook}: {what}: and nothing else is left to mend", mend_all(lab, lbd), [])


if __name__ == "__main__":
    main(test_why, test_monitor, test_trace, test_doctor, test_doctor_of_many)
