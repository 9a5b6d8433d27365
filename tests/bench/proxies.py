# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The proxy beside HAProxy, nginx and a bare relay: CPU of the proxy's process for one request."""
import os
import re

from lab import NO_CHECK, PROXY, Lab, address_of, backends, config
from table import RUNS, Table
from tap import wait_for
from traffic import outcome

CONNECTIONS = 64
SECONDS = 3
NAMES = ["b1", "b2", "b3"]
PORTS = {"lbd http": 8001, "lbd tcp relay": 8002, "HAProxy http": 8003, "HAProxy tcp": 8004,
         "nginx": 8005, "bare epoll relay": 8006}

HAPROXY = """
global
    nbthread 1
    maxconn 4000
defaults
    mode {mode}
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    {options}
listen bench
    bind {listen}
    balance roundrobin
{servers}
"""

NGINX = """
user root;
daemon off;
master_process off;
worker_processes 1;
pid {run}/proxy.pid;
error_log {run}/proxy.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {run}/t1;
    proxy_temp_path {run}/t2;
    fastcgi_temp_path {run}/t3;
    uwsgi_temp_path {run}/t4;
    scgi_temp_path {run}/t5;
    upstream web {{
{servers}
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://web;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def listen(name):
    return f"{PROXY}:{PORTS[name]}"


def written(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def start_haproxy(lab, name, mode, options):
    servers = "\n".join(f"    server {n} {address_of(n)}:80" for n in NAMES)
    path = written(f"{lab.run_dir}/haproxy-{mode}.cfg", HAPROXY.format(
        mode=mode, options=options, listen=listen(name), servers=servers))
    return lab.popen("lb", "/usr/sbin/haproxy", "-q", "-db", "-f", path)


def start_nginx(lab):
    servers = "\n".join(f"        server {address_of(n)}:80;" for n in NAMES)
    path = written(f"{lab.run_dir}/proxy.conf", NGINX.format(
        run=lab.run_dir, listen=listen("nginx"), servers=servers))
    return lab.popen("lb", "/usr/sbin/nginx", "-c", path)


def services():
    web = {"algorithm": "round-robin", "health": NO_CHECK, "backends": backends(NAMES)}
    return {**config(None, {"web": web}, {
        "http": {"listen": listen("lbd http"), "protocol": "http", "pool": "web"},
        "relay": {"listen": listen("lbd tcp relay"), "protocol": "tcp", "path": "proxy",
                  "pool": "web"},
    }), "workers": 1}


def cpu_seconds(pid):
    """(user, system) of the whole process."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def one_turn(lab, name, pid):
    """(user us, system us, requests per second) of a request; None when any of them failed."""
    before = cpu_seconds(pid)
    text = lab.must("client", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s",
                    f"http://{listen(name)}/")
    after = cpu_seconds(pid)
    count = int(re.search(r"(\d+) requests in", text).group(1))
    bad = re.search(r"Socket errors: .*|Non-2xx.*", text)
    if bad or count == 0:
        print(f"  ({name}: {bad.group(0) if bad else 'no request'})", flush=True)
        return None
    user, system = ((b - a) / count * 1e6 for a, b in zip(before, after))
    return user, system, count / SECONDS


def proxy(helpers):
    whole = Table(f"proxies, {CONNECTIONS} keep-alive connections, tiny bodies, one thread: CPU "
                  "per request", "us")
    user = Table("the user part of it", "us")
    speed = Table("requests per second, the machine shared with client and backends", "1000/s",
                  1000, 1)
    with Lab("tc", len(NAMES)) as lab, lab.lbd(services()) as lbd:
        pids = {"lbd http": lbd.process.pid, "lbd tcp relay": lbd.process.pid}
        pids["HAProxy http"] = start_haproxy(lab, "HAProxy http", "http",
                                             "http-reuse always").pid
        pids["HAProxy tcp"] = start_haproxy(lab, "HAProxy tcp", "tcp", "").pid
        pids["nginx"] = start_nginx(lab).pid
        pids["bare epoll relay"] = lab.popen(
            "lb", f"{helpers}/relay", str(PORTS["bare epoll relay"]),
            *map(address_of, NAMES)).pid
        for name in PORTS:
            if not wait_for(lambda n=name: outcome(lab, listen(n)) in NAMES, 10):
                raise RuntimeError(f"{name} does not answer")
        for _ in range(RUNS):
            for name, pid in pids.items():
                turn = one_turn(lab, name, pid)
                whole.add(name, turn and turn[0] + turn[1])
                user.add(name, turn and turn[0])
                speed.add(name, turn and turn[2])
    whole.show([("lbd http", "HAProxy http"), ("lbd http", "nginx"),
                ("lbd tcp relay", "HAProxy tcp"), ("lbd tcp relay", "bare epoll relay")])
    user.show([("lbd http", "HAProxy http")])
    speed.show()
