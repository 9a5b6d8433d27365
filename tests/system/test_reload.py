#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Reload and restart with a file that no longer has what was changed at run time."""
from lab import Lab, PROXY, config, pool
from tap import check, main, ok

WEB, API = f"{PROXY}:8000", f"{PROXY}:8001"


def proxied(listen, pool_name):
    return {"listen": listen, "protocol": "tcp", "path": "proxy", "pool": pool_name}


def setup(pools, services):
    return config(None, {name: pool(backends) for name, backends in pools.items()},
                  {name: proxied(listen, of) for name, (listen, of) in services.items()})


FULL = setup({"web": ["b1", "b2"], "api": ["b1"]}, {"web": (WEB, "web"), "api": (API, "api")})
LESS = setup({"web": ["b1"]}, {"web": (WEB, "web")})


def change(lbd):
    for args in (("backend", "drain", "web", "b2"), ("backend", "drain", "web", "b1"),
                 ("pool", "set", "api", "--algorithm", "random-two"),
                 ("service", "set", "api", "--pool", "web")):
        done = lbd.lbadm(*args)
        check(f"{' '.join(args)} is done", (done.returncode, done.stderr), (0, ""))


def state(lbd):
    return ({name: b["admin"] for name, b in lbd.backends("web").items()},
            [p["name"] for p in lbd.get("/v1/pools")["pools"]],
            [s["name"] for s in lbd.get("/v1/services")["services"]])


GONE = ["pools.api", "pools.web.backends.b2", "services.api"]
LEFT = ({"b1": "draining"}, ["web"], ["web"])


def test_reload():
    with Lab("tc", backends=2) as lab, lab.lbd(FULL) as lbd:
        change(lbd)
        lbd.write_config(LESS)
        before = state(lbd)
        said = lbd.lbadm_json("config", "reload", "--dry-run")
        check("a rehearsed reload names the changes it would drop", sorted(said["dropped"]), GONE)
        check("... and changes nothing", state(lbd), before)
        said = lbd.lbadm_json("config", "reload")
        check("a reload drops changes of what the file has no longer, and names them",
              sorted(said["dropped"]), GONE)
        check("... and names those that are kept", said["kept"], ["pools.web.backends.b1.admin"])
        check("... what is left is the new file with them", state(lbd), LEFT)
        said = lbd.lbadm("config", "reload")
        check("lbadm says that it was done, and what was kept", said.stdout.splitlines(),
              ["reloaded", "kept: pools.web.backends.b1.admin"])
        lbd.kill()
        lbd.start()
        check("after kill -9 nothing has come back", state(lbd), LEFT)
        lbd.write_config(FULL)
        lbd.reload()
        check("what returns to the file returns without the changes",
              state(lbd), ({"b1": "draining", "b2": "enabled"}, ["web", "api"], ["web", "api"]))


def test_restart():
    with Lab("tc", backends=2) as lab, lab.lbd(FULL) as lbd:
        lbd.lbadm("backend", "drain", "web", "b2")
        lbd.lbadm("service", "set", "api", "--pool", "web")
        lbd.kill()
        lbd.write_config(LESS)
        lbd.start()
        check("lbd starts with a file that lost what was changed", state(lbd),
              ({"b1": "enabled"}, ["web"], ["web"]))
        ok("and names it in the log", all(f"'{name}' dropped" in lbd.log_text() for name in
                                          ("pools.web.backends.b2", "services.api")), lbd.log())


def test_health():
    """A check that is made anew by a change goes on with what the one before it saw."""
    seldom = setup({"web": ["b1"]}, {"web": (WEB, "web")})
    seldom["pools"]["web"]["health"] = {"type": "tcp", "interval": "1h"}
    with Lab("tc", backends=1) as lab, lab.lbd(seldom) as lbd:
        ok("the backend is checked once", lbd.wait_eligible("web", ["b1"]))
        seen = lbd.backends("web")["b1"]
        ok("... and says when", seen["checked_at"] > 0, seen)
        for args in (("pool", "set", "web", "--health-interval", "50m"),
                     ("backend", "disable", "web", "b1"), ("backend", "enable", "web", "b1")):
            done = lbd.lbadm(*args)
            check(f"{' '.join(args)} is done", (done.returncode, done.stderr), (0, ""))
            check("... and leaves when and with what result it was checked",
                  [lbd.backends("web")["b1"][key] for key in ("checked_at", "health_reason")],
                  [seen["checked_at"], "ok"])
        ok("backend why has the last good probe",
           "last good probe: none yet" not in lbd.lbadm("backend", "why", "web", "b1").stdout)


def test_mistakes():
    """More of them than an answer has room for; the log has a line for each."""
    bad = setup({f"p{n}": ["b1"] for n in range(12)}, {})
    for n, each in enumerate(bad["pools"].values()):
        each["algorithm"] = f"round-robbin-{n}"
    with Lab("tc", backends=1) as lab, lab.lbd(LESS) as lbd:
        lbd.write_config(bad)
        done = lbd.lbadm("config", "reload")
        ok("a reload with twelve mistakes is refused with their number and the first",
           done.returncode == 1 and "12 mistakes" in done.stderr
           and "round-robbin-0" in done.stderr, done.stderr)
        before = len(lbd.log_text())
        lbd.reload()
        ok("after SIGHUP the log says so", lbd.wait_log("not reloaded, nothing was changed: 12"))
        lines = [line for line in lbd.log_text()[before:].splitlines() if ".yaml:" in line]
        check("... and has each in a line of its own, with its place",
              [n for n in range(12) if not any(f"round-robbin-{n}'" in line for line in lines)],
              [])
        ok("... of nothing else", all(line.count(".yaml:") == 1 for line in lines), lines)
        lbd.write_config(LESS)
        ok("the good file is taken again", lbd.reload())


if __name__ == "__main__":
    main(test_reload, test_restart, test_health, test_mistakes)
