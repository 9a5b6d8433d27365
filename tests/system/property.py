# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Random sequences of what clients, servers, operators and accidents do, and what must hold after.

One Play holds connections of real sockets through a nat, a snat, a dsr and a UDP service, and takes
random steps from a seed. At a quiet moment drift is 0, every connection that nothing ended answers
as the backend it began with, and a two-way mode's count of open connections is what "ss" shows on
the backends.
"""
import contextlib
import os
import random
import signal
import socket
import sys
import threading

from lab import NO_CHECK, VIP, address_of, config, settle
from tap import check, note, ok, wait_for

NAMES = ["b1", "b2", "b3"]
PORTS = {"nat": 9001, "snat": 9002, "dsr": 9003}
UDP_PORT = 9004
MAX_FLOWS = 400  # small: bursts fill the table
QUIET_S = 2
# Where a backend's application has the connection or may have it; FIN-WAIT-2 only with its socket
# still held, which the server's half-close leaves and nothing else here.
COUNTED_STATES = ["established", "fin-wait-1", "fin-wait-2", "close-wait"]
GONE = (ConnectionError, TimeoutError)

# One byte is a command: n name, c close, r reset, h half-close, k keep the socket after our FIN.
# Lines on its input: "ping" sends a byte on all connections, "drop" closes those that were kept.
SERVER = r"""
import os, selectors, socket, struct, sys
name, ports, udp_port = sys.argv[1].encode(), sys.argv[2].split(","), int(sys.argv[3])
poll, kept, conns = selectors.DefaultSelector(), set(), set()
def end(conn, reset=False):
    if reset:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for known in (kept, conns):
        known.discard(conn)
    try:
        poll.unregister(conn)
    except KeyError:
        pass
    conn.close()
def read(conn):
    try:
        data = conn.recv(64)
        if not data and conn in kept:
            poll.unregister(conn)
            return
        if not data or b"c" in data or b"r" in data:
            end(conn, b"r" in data)
            return
        if b"k" in data:
            kept.add(conn)
        if b"n" in data:
            conn.send(name)
        if b"h" in data:
            conn.shutdown(socket.SHUT_WR)
    except OSError:
        end(conn)
def accept(sock):
    conn, _ = sock.accept()
    conn.setblocking(False)
    conns.add(conn)
    poll.register(conn, selectors.EVENT_READ, read)
def echo(sock):
    data, sender = sock.recvfrom(64)
    if data != b"mute":
        sock.sendto(name, sender)
def order(file):
    line = os.read(0, 64)
    if not line:
        sys.exit()
    if b"drop" in line:
        for conn in list(kept):
            end(conn)
    if b"ping" in line:
        for conn in list(conns):
            try:
                conn.send(b".")
            except BrokenPipeError:
                pass  # its half is closed
            except OSError:
                end(conn)
    print("done", flush=True)
for port in ports:
    sock = socket.create_server(("", int(port)), backlog=4096)
    poll.register(sock, selectors.EVENT_READ, accept)
sock = socket.socket(type=socket.SOCK_DGRAM)
sock.bind(("", udp_port))
poll.register(sock, selectors.EVENT_READ, echo)
poll.register(0, selectors.EVENT_READ, order)
print("ready", flush=True)
while True:
    for key, _ in poll.select():
        key.data(key.fileobj)
"""


def setup(hook):
    pools, services = {}, {}
    for mode, port in {**PORTS, "udp": UDP_PORT}.items():
        pools[mode] = {"algorithm": "least-connections" if mode == "nat" else "round-robin",
                       "health": NO_CHECK, "backends": [row(name, mode) for name in NAMES]}
        services[mode] = {"listen": f"{VIP}:{port}", "pool": mode,
                          "protocol": "udp" if mode == "udp" else "tcp",
                          "forward": "nat" if mode == "udp" else mode,
                          "flow-timeouts": {"syn": "1s", "udp-new": "1s", "udp": "2s",
                                            "closing": "1s"}}
    services["snat"]["snat-addresses"] = ["10.0.1.1"]
    return config(hook, pools, services, limits={"flows": MAX_FLOWS})


def row(name, mode):
    return {"address": f"{address_of(name)}:{PORTS.get(mode, UDP_PORT)}", "name": name}


class Connection:
    def __init__(self, mode, sock, backend):
        self.mode, self.sock, self.backend = mode, sock, backend
        self.half = False  # the server sends no more
        self.doomed = False  # something was done that may end it

    def name(self):
        """The backend that answers; what the connection says instead when it is over."""
        try:
            self.sock.sendall(b"n")
            text = b""
            while len(text) < 2:
                more = self.sock.recv(64)
                if not more:
                    return "closed"
                text += more.replace(b".", b"")
            return text.decode()
        except GONE as error:
            return type(error).__name__


class Play:
    """One lbd, its servers, and the connections of one seed."""

    def __init__(self, lab, lbd, hook, seed):
        self.lab, self.lbd, self.hook, self.seed = lab, lbd, hook, seed
        self.random = random.Random(seed)
        self.connections, self.servers, self.removed = [], {}, set()
        self.done, self.refused, self.lost = {}, 0, []
        self.raw = lab.socket(kind=socket.SOCK_RAW)

    def __enter__(self):
        for name in NAMES:
            if VIP not in self.lab.must(name, "ip", "addr", "show", "dev", "lo"):
                self.lab.must(name, "ip", "addr", "add", f"{VIP}/32", "dev", "lo")
            server = self.lab.popen(name, sys.executable, "-c", SERVER, name,
                                    ",".join(map(str, PORTS.values())), str(UDP_PORT),
                                    stdin=-1, stdout=-1, text=True)
            server.stdout.readline()
            self.servers[name] = server
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.sock.close()
        for server in self.servers.values():
            self.lab.end(server, signal.SIGKILL)
        self.raw.close()

    def order(self, text):
        for server in self.servers.values():
            server.stdin.write(text + "\n")
            server.stdin.flush()
            server.stdout.readline()

    # ---- Steps of clients -----------------------------------------------------------------------

    def open_one(self, mode):
        sock = self.lab.socket()
        sock.settimeout(1)
        try:
            sock.connect((VIP, PORTS[mode]))
            connection = Connection(mode, sock, None)
            connection.backend = connection.name()
        except OSError:
            self.refused += 1
            sock.close()
            return
        if connection.backend not in NAMES:
            self.refused += 1
            sock.close()
            return
        connection.doomed = mode == "dsr" and not self.is_tracked(sock)
        self.connections.append(connection)

    def is_tracked(self, sock):
        """A full table leaves a dsr connection to the hash: it goes where the next change sends."""
        client = "{}:{}".format(*sock.getsockname())
        flows = self.lbd.get(f"/v1/flows?client={client}")["flows"]
        return any(f["client"] == client for f in flows)

    def step_open(self):
        self.open_one(self.random.choice(list(PORTS)))

    def step_open_some(self):
        for _ in range(self.random.randint(2, 12)):
            self.step_open()

    def step_fill(self):
        """More than the table takes, with everything that is open already."""
        mode = self.random.choice(["nat", "snat"])
        before = self.refused
        for _ in range(MAX_FLOWS + 50):
            self.open_one(mode)
            if self.refused > before + 3:
                break
        while len(self.connections) > 60:
            self.take().sock.close()

    def take(self):
        return self.connections.pop(self.random.randrange(len(self.connections)))

    def step_close(self):
        self.take().sock.close()

    def step_close_some(self):
        for _ in range(min(self.random.randint(2, 12), len(self.connections))):
            self.take().sock.close()

    def step_reset(self):
        sock = self.take().sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()

    def tell(self, connection, command):
        with contextlib.suppress(OSError):
            connection.sock.sendall(command)

    def step_server_ends(self):
        """The server closes or resets, and the client closes on that."""
        self.end_by_server(self.random.choice(self.connections), self.random.choice([b"c", b"r"]))

    def end_by_server(self, connection, command):
        self.connections.remove(connection)
        self.tell(connection, command)
        with contextlib.suppress(OSError):
            while connection.sock.recv(64):
                pass
        connection.sock.close()

    def step_server_half(self):
        connection = self.random.choice(self.connections)
        self.tell(connection, b"h")
        connection.half = True

    def step_client_half(self):
        """The client goes, the server does not: CLOSE-WAIT."""
        connection = self.take()
        self.tell(connection, b"k")
        connection.sock.close()

    def step_talk(self):
        connection = self.random.choice(self.connections)
        if not connection.half:
            self.expect(connection)

    def expect(self, connection):
        got = connection.name()
        if got == connection.backend:
            return True
        if not connection.doomed:
            self.lost.append(f"{connection.mode}, {connection.backend}: {got}")
        self.connections.remove(connection)
        connection.sock.close()
        return False

    def step_udp(self):
        with self.lab.socket(kind=socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            sock.connect((VIP, UDP_PORT))
            for _ in range(self.random.randint(1, 4)):
                with contextlib.suppress(OSError):
                    mute = self.random.random() < 0.5
                    sock.send(b"mute" if mute else b"name")
                    if not mute:
                        sock.recv(64)

    # ---- Packets of nobody ---------------------------------------------------------------------

    def send_raw(self, source, sport, dport, flags):
        header = tcp_segment(source, VIP, sport, dport, self.random.getrandbits(32), flags)
        self.raw.setsockopt(socket.IPPROTO_IP, 3, 1)  # IP_HDRINCL
        with contextlib.suppress(OSError):
            self.raw.sendto(header, (VIP, 0))

    def stranger(self):
        return f"10.0.0.{self.random.randint(20, 90)}", self.random.randint(1024, 65535)

    def step_half_open(self):
        for _ in range(self.random.randint(1, 30)):
            self.send_raw(*self.stranger(), self.random.choice(list(PORTS.values())), 0x02)

    def step_stray(self):
        """Flags of all kinds from strangers, and wrong RSTs in the name of a connection."""
        for _ in range(self.random.randint(1, 10)):
            self.send_raw(*self.stranger(), self.random.choice(list(PORTS.values())),
                          self.random.choice([0x10, 0x11, 0x04, 0x14, 0x12, 0x01, 0x00, 0x3f]))
        for connection in self.connections[:3]:
            self.send_raw(*connection.sock.getsockname(), PORTS[connection.mode], 0x04)

    # ---- Steps of operators --------------------------------------------------------------------

    def step_admin(self):
        self.patch({"admin": self.random.choice(["enabled", "enabled", "draining", "disabled"])})

    def step_weight(self):
        self.patch({"weight": self.random.choice([0, 1, 1, 5, 256])})

    def patch(self, body):
        mode, name = self.random.choice([*PORTS, "udp"]), self.random.choice(NAMES)
        self.lbd.api("PATCH", f"/v1/pools/{mode}/backends/{name}", body)

    def step_remove(self):
        mode, name = self.random.choice([*PORTS, "udp"]), self.random.choice(NAMES)
        if self.lbd.api("DELETE", f"/v1/pools/{mode}/backends/{name}")[0] == 200:
            self.removed.add((mode, name))

    def step_add(self):
        for mode, name in sorted(self.removed):
            self.lbd.api("PUT", f"/v1/pools/{mode}/backends/{name}", row(name, mode))
        self.removed.clear()

    def step_kill_backend(self):
        mode, name = self.random.choice(list(PORTS)), self.random.choice(NAMES)
        hit = [c for c in self.connections if (c.mode, c.backend) == (mode, name)]
        for connection in hit:
            connection.doomed = True
            if connection.half:  # its server could not be told: it is told by what it sends
                self.end_by_server(connection, b"r")
        self.lbd.api("POST", f"/v1/pools/{mode}/backends/{name}/kill")

    # ---- Accidents -----------------------------------------------------------------------------

    def step_restart(self):
        self.lbd.stop()
        self.lbd.start()

    def step_crash(self):
        """kill -9, at a random moment while an operator is at work."""
        changes = threading.Thread(target=self.change_for_a_while, daemon=True,
                                   args=(self.random.getrandbits(32),))
        changes.start()
        settle(self.random.uniform(0, 0.02))
        self.lbd.kill()
        changes.join()
        self.lbd.start()
        present = {mode: self.lbd.backends(mode) for mode in [*PORTS, "udp"]}
        self.removed = {(mode, name) for mode, there in present.items() for name in NAMES
                        if name not in there}

    def change_for_a_while(self, seed):
        mine = random.Random(seed)
        with contextlib.suppress(OSError):  # until it is gone
            while True:
                path = f"/v1/pools/{mine.choice([*PORTS, 'udp'])}/backends/{mine.choice(NAMES)}"
                self.lbd.api("PATCH", path, {"weight": mine.randint(1, 9)})

    STEPS = {"open": 16, "open_some": 6, "fill": 0.5, "close": 8, "close_some": 5, "reset": 5,
             "server_ends": 8, "server_half": 3, "client_half": 3, "talk": 12, "udp": 8,
             "half_open": 6, "stray": 5, "admin": 4, "weight": 3, "remove": 2, "add": 3,
             "kill_backend": 1.5, "restart": 0.5, "crash": 1.5}
    NEED_ONE = {"close", "close_some", "reset", "server_ends", "server_half", "client_half", "talk"}

    def step(self):
        allowed = [n for n in self.STEPS if self.connections or n not in self.NEED_ONE]
        name = self.random.choices(allowed, [self.STEPS[n] for n in allowed])[0]
        self.done[name] = self.done.get(name, 0) + 1
        getattr(self, f"step_{name}")()

    # ---- What must hold ------------------------------------------------------------------------

    def shown_by_ss(self, mode):
        shown = {}
        for name in NAMES:
            states = [word for state in COUNTED_STATES for word in ("state", state)]
            shown[name] = len(self.lab.must(name, "ss", "-Htn", *states, "sport",
                                            f"= :{PORTS[mode]}").splitlines())
        return shown

    def quiet(self):
        """Everything that was removed comes back, so that the API shows it; what was killed hears
        of it; and then nothing happens."""
        self.step_add()
        for mode in [*PORTS, "udp"]:
            for name in NAMES:
                self.lbd.api("PATCH", f"/v1/pools/{mode}/backends/{name}",
                             {"admin": "enabled", "weight": 1})
        self.order("ping")
        for connection in list(self.connections):
            if not connection.half:
                self.expect(connection)
        settle(QUIET_S)

    def opens(self, mode):
        return {name: b["open"] for name, b in sorted(self.lbd.backends(mode).items())}

    def check(self, when):
        label = f"{self.hook}, seed {self.seed}, {when}"
        self.quiet()
        status, audit = self.lbd.api("POST", "/v1/audit")
        if status != 200:
            raise RuntimeError(f"audit: {status} {audit}")
        ok(f"{label}: drift is 0", audit["drift"] == 0 and audit["settled"],
           f"{[b for b in audit['backends'] if b['drift'] or not b['settled']]}\n{self.story()}")
        for mode in ("nat", "snat"):
            shown = self.shown_by_ss(mode)
            ok(f"{label}: open connections of {mode} are those that ss shows",
               self.opens(mode) == shown,
               f"expected (ss): {shown}\ngot (lbd):     {self.opens(mode)}\n{self.story()}")
        check(f"{label}: no connection broke that nothing ended", self.lost, [])
        self.lost = []

    def story(self):
        return f"steps: {self.done}, refused: {self.refused}, open: {len(self.connections)}"


def tcp_segment(source, destination, sport, dport, seq, flags):
    """An IPv4 header for IP_HDRINCL, which completes it, and TCP with its checksum."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    ip = b"\x45\0\0\0\0\0\0\0\x40\x06\0\0" + addresses
    tcp = sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + seq.to_bytes(4, "big") + \
        bytes(4) + bytes([0x50, flags]) + b"\x10\0\0\0\0\0"
    whole = addresses + b"\0\x06\0\x14" + tcp
    total = sum(int.from_bytes(whole[i:i + 2], "big") for i in range(0, len(whole), 2))
    total = (total >> 16) + (total & 0xffff)
    total = ~(total + (total >> 16)) & 0xffff
    return ip + tcp[:16] + total.to_bytes(2, "big") + tcp[18:]


def run(lab, hook, seed, steps, every):
    with lab.lbd(setup(hook)) as lbd, Play(lab, lbd, hook, seed) as play:
        wait_for(lambda: (play.open_one("nat"), play.connections)[1])
        play.refused = 0
        for number in range(1, steps + 1):
            play.step()
            if number % every == 0 or number == steps:
                play.check(f"after {number} steps")
        note(f"{hook}, seed {seed}: {play.story()}")


def random_seed():
    """LBD_SEED names one that failed."""
    return int(os.environ.get("LBD_SEED", random.SystemRandom().getrandbits(32)))
