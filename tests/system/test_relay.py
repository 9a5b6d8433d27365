#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The TCP relay: bulk, half-closes, ends of every kind, the PROXY protocol in and out (of HTTP
services too), and routes by TLS server name. No BPF is touched."""
import hashlib
import os
import select
import socket
import ssl
import struct
import subprocess
import threading

from lab import NO_CHECK, PROXY, Lab, address_of, backends, config
from loopback import Loopback
from tap import at_least, check, main, ok, wait_for
from traffic import connect, reset

RAW = 7000  # of b1: a listener of this process, byte for byte
NGINX = 7100  # of b2: nginx that wants PROXY headers
TLS = 7443  # of b1 and b2: openssl s_server
NOBODY = 9  # where nothing listens
(PLAIN, SEND_V1, SEND_V2, ACCEPT, BOTH, HTTP_V1, HTTP_V2, IDLE, EMPTY, RETRY, NAMED, REFUSED,
 ONCE, NO_CAUSE, ROUND) = (f"{PROXY}:{port}" for port in range(9001, 9016))
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
BULK = 8 << 20
PATIENCE_S = 30  # the first bytes through a new lab are slow on a loaded machine
NGINX_CONF = """
daemon off; master_process off; pid {run}/pp.pid; error_log {run}/pp.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {run}/p1; proxy_temp_path {run}/p2; fastcgi_temp_path {run}/p3;
    uwsgi_temp_path {run}/p4; scgi_temp_path {run}/p5;
    server {{
        listen {listen} proxy_protocol;
        set $seen "$proxy_protocol_server_addr $proxy_protocol_server_port";
        return 200 "$proxy_protocol_addr $seen $http_x_forwarded_for\\n";
    }}
}}
"""


def relay(listen, pool, **more):
    return {"listen": listen, "protocol": "tcp", "path": "proxy", "pool": pool, **more}


def http(listen, pool, send):
    return {"listen": listen, "protocol": "http", "pool": pool,
            "proxy-protocol": {"accept": "true", "send": send}}


def plain_pool(names, port):
    return {"algorithm": "round-robin", "health": NO_CHECK, "backends": backends(names, port)}


def half_pool(**more):
    """A backend that refuses and one that serves."""
    return {"algorithm": "round-robin", "health": NO_CHECK, **more, "backends": [
        {"address": f"{address_of('b2')}:{NOBODY}", "name": "gone"},
        {"address": f"{address_of('b1')}:{RAW}", "name": "here"}]}


def settings():
    pools = {
        "raw": plain_pool(["b1"], RAW),
        "nginx": plain_pool(["b2"], NGINX),
        "nobody": {"algorithm": "round-robin", "health": NO_CHECK,
                   "backends": backends(["b1"], RAW, [0])},
        "refused": plain_pool(["b2", "b3"], NOBODY),
        "a": plain_pool(["b1"], TLS),
        "b": plain_pool(["b2"], TLS),
    }
    pools["half"] = half_pool()
    pools["once"] = half_pool(retries={"attempts": 0})
    pools["no-cause"] = half_pool(retries={"attempts": 5, "on": ["closed", "503"]})
    pools["round"] = plain_pool(["b2", "b3"], NOBODY) | {"retries": {"attempts": 5}}
    named = relay(NAMED, "a", timeouts={"client-header": "500ms"})
    del named["pool"]
    named["routes"] = [{"host": "a.example.com", "pool": "a"},
                       {"host": "*.example.org", "pool": "b"}]
    return config(None, pools, {
        "plain": relay(PLAIN, "raw"),
        "send-v1": relay(SEND_V1, "raw", **{"proxy-protocol": {"send": "v1"}}),
        "send-v2": relay(SEND_V2, "raw", **{"proxy-protocol": {"send": "v2"}}),
        "accept": relay(ACCEPT, "raw", timeouts={"client-header": "300ms"},
                        **{"proxy-protocol": {"accept": "true"}}),
        "both": relay(BOTH, "raw", **{"proxy-protocol": {"accept": "true", "send": "v2"}}),
        "http-v1": http(HTTP_V1, "nginx", "v1"),
        "http-v2": http(HTTP_V2, "nginx", "v2"),
        "idle": relay(IDLE, "raw", timeouts={"tunnel": "300ms"}),
        "empty": relay(EMPTY, "nobody"),
        "retry": relay(RETRY, "half"),
        "refused": relay(REFUSED, "refused"),
        "once": relay(ONCE, "once"),
        "no-cause": relay(NO_CAUSE, "no-cause"),
        "round": relay(ROUND, "round"),
        "named": named,
    }, workers=1)


class Backend:
    """A listener in b1 whose connections the test serves itself."""

    def __init__(self, lab):
        self.listener = lab.socket("b1")
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address_of("b1"), RAW))
        self.listener.listen(64)
        self.listener.settimeout(PATIENCE_S)

    def accept(self):
        sock, _ = self.listener.accept()
        sock.settimeout(PATIENCE_S)
        return sock

    def pair(self, lab, address, first=b""):
        """(client, backend's end) of one relayed connection."""
        client = connect(lab, address, timeout=PATIENCE_S)
        client.sendall(first)
        return client, self.accept()


def read_exactly(sock, count):
    text = b""
    while len(text) < count:
        more = sock.recv(count - len(text))
        if not more:
            break
        text += more
    return text


def read_all(sock):
    text = b""
    while True:
        more = sock.recv(1 << 20)
        if not more:
            return text
        text += more


def end_of(sock):
    """How the other side ended: "fin", "reset", or what it said instead."""
    try:
        text = sock.recv(4096)
        return "fin" if not text else text
    except ConnectionResetError:
        return "reset"
    except TimeoutError:
        return "nothing"


def end_at(lab, address):
    """How a new connection ends; a reset may come before connect() has returned."""
    try:
        with connect(lab, address) as client:
            return end_of(client)
    except ConnectionResetError:
        return "reset"


def close_all(*sockets):
    for sock in sockets:
        sock.close()


def send_bulk(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def pipes_of(pid):
    count = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("pipe:")
        except FileNotFoundError:
            pass
    return count


def test_bulk(lab, lbd, backend):
    before = pipes_of(lbd.process.pid)
    client, server = backend.pair(lab, PLAIN)
    up, down = os.urandom(1 << 20) * (BULK >> 20), os.urandom(1 << 20) * (BULK >> 20)
    senders = [threading.Thread(target=send_bulk, args=pair)
               for pair in ((client, up), (server, down))]
    got = {}
    readers = [threading.Thread(target=lambda n=name, s=sock: got.update({n: read_all(s)}))
               for name, sock in (("up", server), ("down", client))]
    for thread in senders + readers:
        thread.start()
    for thread in senders + readers:
        thread.join()
    check("8 MB go up and 8 MB down at the same time, whole",
          [hashlib.sha256(got[n]).hexdigest() for n in ("up", "down")],
          [hashlib.sha256(data).hexdigest() for data in (up, down)])
    at_least("they went through pipes", pipes_of(lbd.process.pid) - before, 2)
    close_all(client, server)


def test_half_close(lab, _lbd, backend):
    client, server = backend.pair(lab, PLAIN, b"request")
    client.shutdown(socket.SHUT_WR)
    check("a client's end is passed on behind its bytes", read_all(server), b"request")
    answer = os.urandom(1 << 20)
    server.sendall(answer)
    server.close()
    ok("the answer to a client that has closed its half arrives", read_all(client) == answer)
    client.close()
    client, server = backend.pair(lab, PLAIN)
    server.sendall(b"bye")
    server.shutdown(socket.SHUT_WR)
    check("a backend's end is passed on behind its bytes", read_all(client), b"bye")
    client.sendall(b"still here")
    check("and the client may go on", read_exactly(server, 10), b"still here")
    close_all(client, server)


def test_ends(lab, lbd, backend):
    client, server = backend.pair(lab, PLAIN, b"x")
    read_exactly(server, 1)
    reset(client)
    check("a client's reset is one for the backend", end_of(server), "reset")
    server.close()
    client, server = backend.pair(lab, PLAIN, b"x")
    read_exactly(server, 1)
    reset(server)
    check("a backend's reset is one for the client", end_of(client), "reset")
    client.close()
    client, server = backend.pair(lab, IDLE, b"x")
    read_exactly(server, 1)
    check("a connection on which nothing moves for 'tunnel' is reset",
          (end_of(client), end_of(server)), ("reset", "reset"))
    close_all(client, server)
    check("without an eligible backend the client is reset", end_at(lab, EMPTY), "reset")
    check("so it is when all backends refuse", end_at(lab, REFUSED), "reset")
    for _ in range(4):
        client, server = backend.pair(lab, RETRY, b"y")
        check("a backend that refuses is passed over", read_exactly(server, 1), b"y")
        close_all(client, server)
    at_least("and its failures are counted", lbd.backends("half")["gone"]["failed"], 1)
    ok("closed connections are counted so", wait_for(
        lambda: lbd.backends("raw")["b1"]["open"] == 0), lbd.backends("raw"))


def failures(lbd, pool):
    return {name: row["failed"] for name, row in lbd.backends(pool).items()}


def ends_or_serves(lab, backend, address):
    """What comes first of a new connection: its end, or itself at the backend."""
    try:
        with connect(lab, address, timeout=PATIENCE_S) as client:
            ready, _, _ = select.select([client, backend.listener], [], [], PATIENCE_S)
            if client in ready:
                return end_of(client)
            backend.accept().close()
            return "served"
    except ConnectionResetError:
        return "reset"


def test_retries(lab, lbd, backend):
    for address, pool, name in (
            (ONCE, "once", "without attempts a refused connection is the client's end"),
            (NO_CAUSE, "no-cause", "so it is in a pool that does not retry connects")):
        got = [ends_or_serves(lab, backend, address) for _ in range(4)]
        check(name, sorted(got), ["reset", "reset", "served", "served"])
        check("and each is counted once", failures(lbd, pool), {"gone": 2, "here": 0})
    check("when all refuse the client is reset", end_at(lab, ROUND), "reset")
    check("after one try and as many again as the pool says, each backend in turn",
          sorted(failures(lbd, "round").values()), [3, 3])


def addresses(sock):
    """(source, destination) as the client's socket has them."""
    return sock.getsockname(), sock.getpeername()


def v2_header(source, target):
    return (SIGNATURE + b"\x21\x11\0\x0c" + socket.inet_aton(source[0])
            + socket.inet_aton(target[0]) + struct.pack("!HH", source[1], target[1]))


def test_send(lab, _lbd, backend):
    client, server = backend.pair(lab, SEND_V1, b"hello")
    (ip, port), (to_ip, to_port) = addresses(client)
    want = f"PROXY TCP4 {ip} {to_ip} {port} {to_port}\r\n".encode()
    check("version 1 tells a backend who the client is", read_exactly(server, len(want) + 5),
          want + b"hello")
    close_all(client, server)
    client, server = backend.pair(lab, SEND_V2)
    want = v2_header(*addresses(client))
    check("version 2 comes before the client has said anything", read_exactly(server, len(want)),
          want)
    server.sendall(b"220 hello")
    check("and the backend may speak first", read_exactly(client, 9), b"220 hello")
    close_all(client, server)


def test_accept(lab, lbd, backend):
    header = v2_header(("192.0.2.7", 4711), ("198.51.100.1", 443))
    client, server = backend.pair(lab, ACCEPT, header + b"body")
    check("a header is taken off", read_exactly(server, 4), b"body")
    close_all(client, server)
    for text in (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n", header):
        client, server = backend.pair(lab, BOTH, text)
        check("who it names is passed on, in the other version too",
              read_exactly(server, len(header)), header)
        close_all(client, server)
    for text, reason in ((b"GET / HTTP/1.1\r\n", "no_header"),
                         (b"PROXY TCP4 192.0.2.7 198.51.100.1 04711 443\r\n", "bad_port"),
                         (SIGNATURE + b"\x31", "unknown_version"), (b"", "timeout")):
        with connect(lab, ACCEPT) as client:
            client.sendall(text)
            check(f"a connection with {text[:20]!r} for a header is reset", end_of(client),
                  "reset")
        ok(f"and the log says '{reason}'", lbd.wait_log(f"bad_proxy_header: {reason}"))
    check("each is counted", lbd.get("/v1/services/accept")["bad_proxy_headers"], 4)


def test_http(lab, _lbd, _backend):
    for address, version in ((HTTP_V1, "v1"), (HTTP_V2, "v2")):
        with connect(lab, address) as client:
            client.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n")
            for _ in range(2):
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                text = b""
                while not text.endswith(b"192.0.2.7\n"):
                    more = client.recv(4096)
                    if not more:
                        break
                    text += more
                check(f"nginx takes the {version} header of a request and sees the client",
                      text.rpartition(b"\r\n\r\n")[2],
                      b"192.0.2.7 198.51.100.1 443 192.0.2.7\n")


def greet(lab, name):
    """The subject of the certificate that answers to a ClientHello for <name>."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with connect(lab, NAMED) as sock, context.wrap_socket(sock, server_hostname=name) as tls:
            return subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"],
                                  input=tls.getpeercert(True), capture_output=True,
                                  check=True).stdout.decode().rpartition("= ")[2].strip()
    except (ConnectionResetError, ssl.SSLEOFError):
        return "closed"


def test_names(lab, lbd, _backend):
    for name, got in (("a.example.com", "b1"), ("A.Example.COM", "b1"), ("x.example.org", "b2"),
                      ("y.x.example.org", "b2"), ("example.org", "closed"),
                      ("b.example.com", "closed"), (None, "closed")):
        check(f"a client that asks for {name} gets {got}", greet(lab, name), got)
    done = lab.run("client", "timeout", "5", "openssl", "s_client", "-connect", NAMED,
                   "-servername", "x.example.org")
    ok("openssl s_client gets there too", "subject=CN = b2" in done.stdout, done.stdout[:500])
    with connect(lab, NAMED) as client:
        client.sendall(b"SSH-2.0-x\r\n")
        check("what is not TLS has no route here", end_of(client), "reset")
    with connect(lab, NAMED) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01")
        ok("the list of sessions says what it waits for", wait_for(
            lambda: "peeking" in [x["state"] for x in lbd.get("/v1/sessions")["sessions"]], 0.4))
        check("a ClientHello that does not end is waited for with a limit", end_of(client),
              "reset")
    ok("the log says so", lbd.wait_log("client_header_timeout"))


def start_servers(lab):
    path = f"{lab.run_dir}/pp.conf"
    with open(path, "w", encoding="ascii") as file:
        file.write(NGINX_CONF.format(run=lab.run_dir, listen=f"{address_of('b2')}:{NGINX}"))
    lab.popen("b2", "/usr/sbin/nginx", "-c", path)
    for name in ("b1", "b2"):
        key, cert = f"{lab.run_dir}/{name}.key", f"{lab.run_dir}/{name}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
                        f"/CN={name}", "-keyout", key, "-out", cert], check=True,
                       capture_output=True)
        lab.popen(name, "openssl", "s_server", "-accept", f"{address_of(name)}:{TLS}", "-key", key,
                  "-cert", cert, "-quiet")

    def listens(name, port):
        return f":{port}" in lab.must(name, "ss", "-Hltn")

    if not wait_for(lambda: listens("b2", NGINX) and listens("b1", TLS) and listens("b2", TLS)):
        raise RuntimeError("nginx or openssl s_server does not listen")


def test_relay():
    with Lab("tc", 3) as lab:
        start_servers(lab)
        backend = Backend(lab)
        with lab.lbd(settings()) as lbd:
            # test_retries is last: a worker writes 20 lines a second, and others look for theirs.
            for test in (test_bulk, test_half_close, test_ends, test_send, test_accept, test_http,
                         test_names, test_retries):
                try:
                    test(lab, lbd, backend)
                except Exception as error:
                    ok(f"{test.__name__} runs to its end", False, repr(error))
        backend.listener.close()


def test_itself():
    """A dead backend whose port is among those that connections of this host come from."""
    pools = {"gone": {"algorithm": "round-robin", "health": NO_CHECK,
                      "backends": [{"address": "127.0.0.1:40000"}]}}
    relay_to_it = {"listen": "127.0.0.1:8080", "protocol": "tcp", "path": "proxy", "pool": "gone"}
    with Loopback() as lab, lab.lbd(config(None, pools, {"relay": relay_to_it})) as lbd:
        subprocess.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40001"], check=True)
        with socket.socket() as sock:
            sock.settimeout(PATIENCE_S)
            sock.bind(("127.0.0.1", 50000))
            try:
                sock.connect(("127.0.0.1", 8080))
                sock.sendall(b"hello")
                text = sock.recv(100)
            except ConnectionResetError:
                text = b"reset"
        check("a connection of lbd to itself is no backend", text, b"reset")
        check("and counts as a failure", lbd.backends("gone")["127.0.0.1:40000"]["failed"], 3)


if __name__ == "__main__":
    main(test_relay, test_itself)
