# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The proxies that are measured beside lbd: one thread each, connections to backends kept, and the
same headers added to what they pass on."""
import os
from typing import NamedTuple

from lab import NO_CHECK, PROXY, address_of, backends, config
from tap import wait_for
from traffic import outcome

NAMES = ["b1", "b2", "b3"]

HAPROXY = """
global
    nbthread 1
    maxconn 12000
    no strict-limits
    {logs}
defaults
    mode {mode}
    timeout connect 5s
    timeout client 120s
    timeout server 120s
    {options}
{listeners}
"""

# What lbd adds to a request and to a response, as HAProxy and nginx say it.
HAPROXY_HEADERS = """
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header Forwarded "for=%[src];host=\\"%[req.hdr(host)]\\";proto=http"
    http-request set-header Via "1.1 haproxy"
    http-request set-header X-Request-ID %[uuid()]
    http-request set-header traceparent "00-%[rand(2147483647),hex]%[rand(2147483647),hex]-%[rand(2147483647),hex]-00"
    http-response set-header Via "1.1 haproxy"
"""

NGINX = """
user root;
daemon off;
master_process off;
worker_processes 1;
pid {run}/proxy.pid;
error_log {run}/proxy.log;
events {{ worker_connections 12000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 120s;
    client_body_temp_path {run}/t1;
    proxy_temp_path {run}/t2;
    fastcgi_temp_path {run}/t3;
    uwsgi_temp_path {run}/t4;
    scgi_temp_path {run}/t5;
    upstream web {{
{servers}
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto http;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header Forwarded "for=$remote_addr;host=\\"$http_host\\";proto=http";
    proxy_set_header Via "1.1 nginx";
    proxy_set_header X-Request-ID $request_id;
    proxy_set_header traceparent "00-$request_id-$connection_requests-00";
    add_header Via "1.1 nginx";
{listeners}
}}
"""

NGINX_LISTENER = """
    server {{
        listen {listen} backlog=4096;
        {log}
        location / {{ proxy_pass http://web; }}
    }}
"""


class Contestant(NamedTuple):
    name: str
    port: int
    pid: int

    @property
    def address(self):
        return f"{PROXY}:{self.port}"


def written(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def cpu_seconds(pid):
    """(user, system) of the whole process."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / tick, int(fields[12]) / tick


def private_bytes(pid):
    """What the process has for itself alone; sockets are the kernel's."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        rows = dict(line.split(":") for line in file.readlines()[1:])
    return 1024 * sum(int(rows[key].split()[0]) for key in ("Private_Dirty", "Private_Clean"))


def haproxy_servers():
    return "\n".join(f"    server {n} {address_of(n)}:80" for n in NAMES)


def haproxy_listener(name, port, more=""):
    return (f"listen {name}\n    bind {PROXY}:{port} backlog 4096\n    balance roundrobin\n{more}\n"
            f"{haproxy_servers()}\n")


def start_haproxy_http(lab, port, port_logged):
    path = written(f"{lab.run_dir}/haproxy-http.cfg", HAPROXY.format(
        mode="http", logs="log stdout format raw local0", options="http-reuse always",
        listeners=haproxy_listener("plain", port, HAPROXY_HEADERS)
        + haproxy_listener("logged", port_logged,
                           HAPROXY_HEADERS + "    log global\n    option httplog\n")))
    with open(f"{lab.run_dir}/haproxy.log", "wb") as log:
        return lab.popen("lb", "/usr/sbin/haproxy", "-q", "-db", "-f", path, stdout=log).pid


def start_haproxy_tcp(lab, port):
    path = written(f"{lab.run_dir}/haproxy-tcp.cfg", HAPROXY.format(
        mode="tcp", logs="", options="", listeners=haproxy_listener("plain", port)))
    return lab.popen("lb", "/usr/sbin/haproxy", "-q", "-db", "-f", path).pid


def start_nginx(lab, port, port_logged):
    servers = "\n".join(f"        server {address_of(n)}:80;" for n in NAMES)
    listeners = NGINX_LISTENER.format(listen=f"{PROXY}:{port}", log="")
    listeners += NGINX_LISTENER.format(listen=f"{PROXY}:{port_logged}",
                                       log=f"access_log {lab.run_dir}/nginx-access.log combined;")
    path = written(f"{lab.run_dir}/proxy.conf", NGINX.format(
        run=lab.run_dir, servers=servers, listeners=listeners))
    return lab.popen("lb", "/usr/sbin/nginx", "-c", path).pid


def lbd_config(lab, port, port_logged, port_relay):
    def http(at, **more):
        return {"listen": f"{PROXY}:{at}", "protocol": "http", "pool": "web",
                "timeouts": {"client-idle": "120s"}, **more}

    web = {"algorithm": "round-robin", "health": NO_CHECK, "backends": backends(NAMES)}
    return {**config(None, {"web": web}, {
        "http": http(port),
        "logged": http(port_logged, **{"access-log": {"file": f"{lab.run_dir}/lbd-access.log"}}),
        "relay": {"listen": f"{PROXY}:{port_relay}", "protocol": "tcp", "path": "proxy",
                  "pool": "web"},
    }), "workers": 1}


def wait_until_all_answer(lab, contestants):
    for each in contestants:
        if not wait_for(lambda c=each: outcome(lab, c.address) in NAMES, 10):
            raise RuntimeError(f"{each.name} does not answer")
