#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Where the kernel path hangs: each hook with one and two arms, auto, interfaces that go and come,
others' programs, other namespaces."""
import contextlib
import os
import signal
import socket
import subprocess
import time

from lab import BUILD, VIP, Lab, config, nat, pool
from tap import at_most, check, main, ok, wait_for
from traffic import ask, connect, outcome, request, share

ALL = ["b1", "b2", "b3"]
TWO = f"{VIP}:80"
ONE = "10.0.9.100:80"  # of the client's second link, which is behind the backends' switch
EACH = {name: 2 for name in ALL}
MEGABYTE = os.urandom(1 << 20)
ETH_P_IP = 0x0800
BACK_S = 1.5  # attached again: an event, so far below any interval
PASS = 'int pass(void *c) { return %d; }\nchar _license[] __attribute__((section("license"), ' \
       'used)) = "GPL";\n'


def setup(*links):
    return config(None, {"web": pool(ALL)}, {"two": nat(TWO, "web"), "one": nat(ONE, "web")},
                  interfaces=[{"name": name, "hook": hook} for name, hook in links],
                  limits={"flows": 65536})


def add_arm(lab):
    """A second link of the client's into the backends' switch, with a network of its own."""
    client, switch = f"{lab.prefix}-client", f"{lab.prefix}-sw"
    for where, command in (
            (switch, f"link add arm type veth peer name arm0 netns {client}"),
            (switch, "link set arm master br0 up"),
            (client, "link set arm0 up"),
            (client, "addr add 10.0.5.2/24 dev arm0"),
            (client, "route add 10.0.9.100/32 via 10.0.5.1"),
            (f"{lab.prefix}-lb", "addr add 10.0.5.1/24 dev be0")):
        subprocess.run(["ip", "-n", where, *command.split()], check=True)
    if lab.profile == "xdp":
        lab.must("client", "ethtool", "-K", "arm0", "tx", "off", "gro", "on")
        lab.must("sw", "ethtool", "-K", "arm", "tx", "off", "gro", "on")
        lab.take_xdp_tx("sw", "lb")


def program(lab, kind, verdict):
    """An object file with somebody else's program."""
    path = f"{lab.run_dir}/foreign-{kind}.o"
    text = f'__attribute__((section("{kind}"), used)) ' + PASS % verdict
    subprocess.run(["clang", "-O2", "-target", "bpf", "-xc", "-c", "-", "-o", path], input=text,
                   text=True, check=True)
    return path


def hooks_of(lbd):
    return {i["name"]: i["hook"] for i in lbd.get("/v1/interfaces")["interfaces"]}


def why_of(lbd, link):
    return {i["name"]: i["why"] for i in lbd.get("/v1/interfaces")["interfaces"]}[link]


def exchange(lab, address):
    """What six connections got, a megabyte up and one down."""
    status, body, _ = request(lab, address, "/upload", "POST", MEGABYTE,
                              {"Content-Length": str(len(MEGABYTE))})
    size = len(request(lab, address, "/1m")[1])
    return share(lab, address, 6), status, body.split()[1:], size


WHOLE = (EACH, 200, [str(len(MEGABYTE)).encode()], 1 << 20)


# ---- Arms ----------------------------------------------------------------------------------------

def test_arms(lab, hook):
    with lab.lbd(setup(("be0", hook))) as lbd:
        check(f"{hook}: one arm carries connections, uploads and downloads", exchange(lab, ONE),
              WHOLE)
        check(f"{hook}: one arm: lbd counts the connections",
              lbd.get("/v1/services/one")["opened"], 8)
        lbd.lbadm("attach", "cl0", "--hook", hook)
        check(f"{hook}: both interfaces run it", hooks_of(lbd), {"cl0": hook, "be0": hook})
        check(f"{hook}: two arms carry connections, uploads and downloads", exchange(lab, TWO),
              WHOLE)
        check(f"{hook}: nothing has drifted", lbd.lbadm_json("audit")["drift"], 0)
        if hook == "generic":
            test_generic_gro(lab, lbd)


# ---- Auto ----------------------------------------------------------------------------------------

def test_auto(lab):
    reason, cost = "driver 'veth' is a virtual device, where TC keeps GRO and TSO", "costs more"
    with lab.lbd(setup(("be0", "auto"))) as lbd:
        check("auto takes tc on a veth", hooks_of(lbd), {"be0": "tc"})
        line = next((line for line in lbd.log_text().splitlines() if "'be0'" in line), "")
        ok("auto: the log says why and at what cost",
           "hook tc" in line and reason in line and cost in line, lbd.log_text())
        line = next((line for line in lbd.lbadm("status").stdout.splitlines()
                     if line.startswith("be0")), "")
        ok("auto: status says why and at what cost", " tc " in line and reason in line and
           cost in line, line)
        said = lbd.lbadm("attach", "cl0", "--dry-run")
        ok("auto: a rehearsed attach says the same", said.returncode == 0 and
           "would attach" in said.stdout and reason in said.stdout, (said.stdout, said.stderr))
        check("... and changes nothing", (lab.attached("cl0"), hooks_of(lbd)), ({}, {"be0": "tc"}))
        said = lbd.lbadm("attach", "none0", "--dry-run")
        check("... and refuses an interface that is not there", (said.returncode, "'none0'" in
              said.stderr), (1, True))
        said = lbd.lbadm("attach", "cl0")
        ok("auto: attach says what it took, why and at what cost",
           said.returncode == 0 and "tc" in said.stdout and reason in said.stdout and
           cost in said.stdout, (said.stdout, said.stderr))
        check("auto: what attach added carries traffic", share(lab, TWO, 6), EACH)


# ---- Generic -------------------------------------------------------------------------------------

def test_generic_gro(lab, lbd):
    command = "ethtool -K be0 gro off"
    for state in ("on", "off"):
        before = len(lbd.log_text())
        lbd.lbadm("detach", "be0")
        lab.must("lb", "ethtool", "-K", "be0", "gro", state)
        said = lbd.lbadm("attach", "be0", "--hook", "generic").stdout
        warned = any("warning" in line and command in line
                     for line in lbd.log_text()[before:].splitlines())
        check(f"generic: with GRO {state} attach, status and log warn of it, or do not",
              (command in said, command in why_of(lbd, "be0"), warned), (state == "on",) * 3)


# ---- Detach --------------------------------------------------------------------------------------

def test_detach(lab, lbd, hook):
    with connect(lab, ONE) as held:
        name = ask(held)
        lbd.lbadm("detach", "cl0", "--dry-run")
        check(f"{hook}: a rehearsed detach leaves the program", lab.attached("cl0") != {}, True)
        check(f"{hook}: detach of one interface is done", lbd.lbadm("detach", "cl0").returncode, 0)
        check(f"{hook}: it has no program then", lab.attached("cl0"), {})
        check(f"{hook}: connections through the other go on", ask(held), name)
    check(f"{hook}: and new ones begin", share(lab, ONE, 6), EACH)
    check(f"{hook}: what came in at the first is nobody's", outcome(lab, TWO, 0.3) in ALL, False)
    said = lbd.lbadm("detach", "cl0")
    check(f"{hook}: to detach it again is refused with its name",
          (said.returncode, "'cl0'" in said.stderr), (1, True))
    check(f"{hook}: attach brings it back", lbd.lbadm("attach", "cl0", "--hook", hook).returncode,
          0)
    check(f"{hook}: with its traffic", share(lab, TWO, 6), EACH)


# ---- Others' programs ----------------------------------------------------------------------------

def test_foreign_xdp(lab, lbd):
    lbd.lbadm("detach", "cl0")
    lab.must("lb", "ip", "link", "set", "cl0", "xdpdrv", "object", program(lab, "xdp", 2),
             "section", "xdp")
    before = lab.attached("cl0")
    for hook, *dry in (("native",), ("generic",), ("native", "--dry-run")):
        said = lbd.lbadm("attach", "cl0", "--hook", hook, *dry)
        hook = " ".join([hook, *dry])
        check(f"{hook}: a foreign XDP program is never replaced", lab.attached("cl0"), before)
        ok(f"{hook}: the refusal names it and says what to do",
           said.returncode == 1 and "'pass'" in said.stderr and
           "ip link set dev cl0 xdp off" in said.stderr and "hook tc" in said.stderr,
           said.stderr)
    check("the interface of a refused attach is not shown", hooks_of(lbd), {"be0": "native"})
    lbd.write_config(setup(("be0", "generic"), ("cl0", "native")))
    ok("a reload that is refused one hook says so",
       "'cl0'" in lbd.lbadm("config", "reload", "--discard-runtime").stderr)
    check("... and puts back the other that it had changed", hooks_of(lbd), {"be0": "native"})
    ok("... without a word about what was never attached",
       "lbd is not attached" not in lbd.log_text(), lbd.log())
    lbd.write_config(setup(("cl0", "native"), ("be0", "native")))
    lab.must("lb", "ip", "link", "set", "cl0", "xdpdrv", "off")
    check("without it lbd attaches",
          lbd.lbadm("attach", "cl0", "--hook", "native").returncode, 0)


def test_foreign_return(lab, lbd):
    """Somebody else is faster when the interface returns."""
    os.kill(lbd.process.pid, signal.SIGSTOP)
    remove_link(lab)
    make_link(lab)
    lab.must("lb", "ip", "link", "set", "cl0", "xdpdrv", "object", program(lab, "xdp", 2),
             "section", "xdp")
    theirs = lab.attached("cl0")
    os.kill(lbd.process.pid, signal.SIGCONT)
    ok("native: an interface that returns with a foreign program is shown with the reason",
       wait_for(lambda: "'pass'" in why_of(lbd, "cl0"), 2), lbd.get("/v1/interfaces"))
    check("... and the program stays", lab.attached("cl0"), theirs)
    lab.must("lb", "ip", "link", "set", "cl0", "alias", "again")
    lab.must("lb", "ip", "link", "set", "cl0", "xdpdrv", "off")
    ok("native: when it is gone lbd attaches", wait_for(lambda: lab.attached("cl0"), 2), lbd.log())
    check("... and has said once that it could not",
          lbd.log_text().count("not attached again"), 1)
    check("... with its traffic", share(lab, TWO, 6), EACH)


def test_foreign_tc(lab, lbd):
    lbd.lbadm("detach", "cl0")
    lab.must("lb", "tc", "qdisc", "add", "dev", "cl0", "clsact")
    lab.must("lb", "tc", "filter", "add", "dev", "cl0", "ingress", "prio", "7", "bpf", "da", "obj",
             program(lab, "tc", -1), "sec", "tc")
    theirs = lab.attached("cl0")["tc"]
    check("tc: lbd attaches beside a foreign filter",
          lbd.lbadm("attach", "cl0", "--hook", "tc").returncode, 0)
    ok("tc: which stays", set(theirs) <= set(lab.attached("cl0").get("tc", [])),
       lab.attached("cl0"))
    check("tc: and traffic goes through both", share(lab, TWO, 6), EACH)
    lbd.lbadm("detach", "cl0")
    check("tc: detach leaves the foreign filter", lab.attached("cl0"), {"tc": theirs})
    lab.must("lb", "tc", "qdisc", "del", "dev", "cl0", "clsact")
    lbd.lbadm("attach", "cl0", "--hook", "tc")


# ---- Interfaces that go and come -----------------------------------------------------------------

def remove_link(lab, link="cl0"):
    lab.must("lb", "ip", "link", "del", link)


def make_link(lab):
    lab.must("lb", "ip", "link", "add", "cl0", "type", "veth", "peer", "name", "eth0", "netns",
             f"{lab.prefix}-client")
    for where, command in (("lb", "addr add 10.0.0.1/24 dev cl0"), ("lb", "link set cl0 up"),
                           ("client", "addr add 10.0.0.2/24 dev eth0"),
                           ("client", "link set eth0 up"),
                           ("client", f"route add {VIP}/32 via 10.0.0.1")):
        lab.must(where, "ip", *command.split())
    if lab.profile == "xdp":
        lab.must("client", "ethtool", "-K", "eth0", "tx", "off", "gro", "on")


def make_back_link(lab):
    lab.must("lb", "ip", "link", "add", "be0", "type", "veth", "peer", "name", "lb", "netns",
             f"{lab.prefix}-sw")
    for where, command in (("sw", "link set lb master br0 up"), ("lb", "link set be0 up"),
                           ("lb", "addr add 10.0.1.1/24 dev be0"),
                           ("lb", "addr add 10.0.5.1/24 dev be0")):
        lab.must(where, "ip", *command.split())
    if lab.profile == "xdp":
        lab.must("sw", "ethtool", "-K", "lb", "tx", "off", "gro", "on")
        lab.take_xdp_tx("sw", "lb")


def program_of(lab):
    """Nobody's, while the interface is not there."""
    return lab.run("lb", "ip", "link", "show", "cl0").returncode == 0 and lab.attached("cl0")


def test_return(lab, lbd, hook):
    held = connect(lab, ONE)
    name = ask(held)
    remove_link(lab)
    check(f"{hook}: without the interface connections of the other go on", ask(held), name)
    ok(f"{hook}: status says that it is gone",
       wait_for(lambda: "gone" in why_of(lbd, "cl0"), 2), why_of(lbd, "cl0"))
    make_link(lab)
    began = time.monotonic()
    ok(f"{hook}: an interface that comes back is attached", wait_for(lambda: program_of(lab), 5),
       lbd.log())
    at_most(f"{hook}: ... at once", time.monotonic() - began, BACK_S)
    check(f"{hook}: traffic flows again", share(lab, TWO, 6), EACH)
    check(f"{hook}: the connection of before goes on", ask(held), name)
    held.close()


def managed(lab):
    """Backends that the kernel keeps resolved."""
    return sorted(line.split()[0] for line in lab.must("lb", "ip", "neigh", "show", "dev", "be0")
                  .splitlines() if "managed" in line)


def test_return_of_backends(lab, lbd, hook):
    """The interface towards the backends takes their neighbours and routes along."""
    neighbours = managed(lab)
    check(f"{hook}: the kernel keeps the backends resolved", neighbours,
          [f"10.0.1.{11 + i}" for i in range(3)])
    held = connect(lab, TWO)
    name = ask(held)
    remove_link(lab, "be0")
    make_back_link(lab)
    began = time.monotonic()
    ok(f"{hook}: the backends' interface is attached again",
       wait_for(lambda: lab.attached("be0"), 5), lbd.log())
    ok(f"{hook}: ... its neighbours are kept resolved again",
       wait_for(lambda: managed(lab) == neighbours, 5), managed(lab))
    at_most(f"{hook}: ... at once", time.monotonic() - began, BACK_S)
    check(f"{hook}: the connection of before goes on", ask(held), name)
    check(f"{hook}: and new ones begin", share(lab, TWO, 6), EACH)
    held.close()


def test_return_while_dead(lab, lbd, hook):
    lbd.kill()
    remove_link(lab)
    make_link(lab)
    lbd.start()
    check(f"{hook}: an interface that was replaced while lbd was dead is attached by its start",
          sorted(hooks_of(lbd)), ["be0", "cl0"])
    check(f"{hook}: with its traffic", share(lab, TWO, 6), EACH)


def test_absent_at_start(lab, lbd, hook):
    lbd.kill()
    remove_link(lab)
    lbd.start()
    check(f"{hook}: lbd starts without an interface that it had before", share(lab, ONE, 6), EACH)
    ok(f"{hook}: and says so", any(
        "warning" in line and "'cl0'" in line for line in lbd.log_text().splitlines()), lbd.log())
    make_link(lab)
    ok(f"{hook}: when it returns it is attached", wait_for(lambda: program_of(lab), 5), lbd.log())
    check(f"{hook}: and has its traffic", share(lab, TWO, 6), EACH)


# ---- The outer source of tunnels -----------------------------------------------------------------

def outer_source(lab):
    """The source of the tunnel packets that a connection attempt makes; "none" if there are none."""
    with lab.socket("b1", socket.AF_PACKET, socket.SOCK_RAW) as tap:
        tap.bind(("eth0", ETH_P_IP))
        tap.settimeout(0.3)
        with lab.socket() as client:
            client.setblocking(False)
            client.connect_ex((VIP, 80))
            with contextlib.suppress(TimeoutError):
                while True:
                    frame = tap.recv(2048)
                    if frame[23] == socket.IPPROTO_IPIP:
                        return socket.inet_ntoa(frame[26:30])
    return "none"


def test_source(lab, hook):
    """lbd starts before the machine has its address towards the backends, and its address moves."""
    if lab.profile == "xdp":
        lab.take_xdp_tx()
    lab.must("lb", "ip", "addr", "del", "10.0.1.1/24", "dev", "be0")
    tunnel = setup(("cl0", hook), ("be0", hook))
    tunnel["pools"]["web"]["backends"] = tunnel["pools"]["web"]["backends"][:1]
    tunnel["services"] = {"two": {**nat(TWO, "web"), "forward": "ipip"}}
    with lab.lbd(tunnel) as lbd:
        check(f"{hook}: while the way to a tunnel's backend is not known no packet leaves",
              outer_source(lab), "none")
        check(f"{hook}: and the client is told", outcome(lab, TWO, 0.5), "refused")
        for address in ("10.0.1.1", "10.0.1.9"):
            lab.must("lb", "ip", "addr", "add", f"{address}/24", "dev", "be0")
            ok(f"{hook}: when {address} is added, tunnels come from it",
               wait_for(lambda: outer_source(lab) == address, 3), outer_source(lab))
            lab.must("lb", "ip", "addr", "del", f"{address}/24", "dev", "be0")
    lab.must("lb", "ip", "addr", "add", "10.0.1.1/24", "dev", "be0")


def test_taken_out_while_dead(lab, lbd, hook):
    """The file says where lbd is attached, also when it changed while nobody watched."""
    lbd.lbadm("config", "reload", "--discard-runtime")
    lbd.kill()
    lbd.write_config(setup(("be0", hook)))
    lbd.start()
    check(f"{hook}: an interface that was taken out of the file meanwhile has no program",
          (lab.attached("cl0"), hooks_of(lbd)), ({}, {"be0": hook}))
    check(f"{hook}: the other goes on", share(lab, ONE, 6), EACH)


def test_other_hook_while_dead(lab, lbd, hook):
    """Exactly one program an interface, whatever it was before."""
    other = "generic" if hook == "native" else "native"
    for wanted in (other, hook):
        lbd.kill()
        lbd.write_config(setup(("cl0", wanted), ("be0", hook)))
        lbd.start()
        check(f"{hook}: a hook changed to {wanted} while lbd was dead is taken", hooks_of(lbd),
              {"cl0": wanted, "be0": hook})
        check(f"{hook}: ... and cl0 has one program", sum(map(len, lab.attached("cl0").values())),
              1)


# ---- Namespaces ----------------------------------------------------------------------------------

def test_namespace(lab, lbd):
    lbd.kill()
    done = lab.run("client", f"{BUILD}/lbd", "-c", lbd.file, timeout=10)
    ok("an lbd in another namespace is refused what is pinned, with what to do",
       done.returncode == 1 and "another network namespace" in done.stderr and
       "another pin-path" in done.stderr and "--teardown" in done.stderr,
       (done.returncode, done.stderr))
    check("what is pinned goes on", share(lab, TWO, 6), EACH)
    lbd.start()
    check("and is adopted where it belongs", lbd.get("/v1/status")["kernel_path"]["adopted"], True)


# ---- All -----------------------------------------------------------------------------------------

def test_links(lab, hook, foreign):
    with lab.lbd(setup(("cl0", hook), ("be0", hook))) as lbd:
        test_detach(lab, lbd, hook)
        foreign(lab, lbd)
        if hook == "native":
            test_foreign_return(lab, lbd)
        for test in (test_return, test_return_of_backends, test_return_while_dead, test_absent_at_start,
                     test_taken_out_while_dead, test_other_hook_while_dead):
            test(lab, lbd, hook)
        test_namespace(lab, lbd)


def test_xdp():
    with Lab("xdp") as lab:
        add_arm(lab)
        for hook in ("native", "generic"):
            test_arms(lab, hook)
        test_source(lab, "native")
        test_links(lab, "native", test_foreign_xdp)


def test_tc():
    with Lab("tc") as lab:
        add_arm(lab)
        test_arms(lab, "tc")
        test_auto(lab)
        test_source(lab, "tc")
        test_links(lab, "tc", test_foreign_tc)


if __name__ == "__main__":
    main(test_xdp, test_tc)
