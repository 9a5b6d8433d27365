# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Clients: connections that say which backend they got, requests that go on, downloads."""
import collections
import http.client
import multiprocessing
import select
import socket
import struct
import threading
import time

BIG = 1 << 30  # bytes of /big
ASK = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"


def connect(lab, address, timeout=3.0, receive_buffer=None):
    """A connection from the client's namespace to "host:port"."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = lab.socket(family=family)
    sock.settimeout(timeout)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        sock.connect((host.strip("[]"), int(port)))
    except OSError:
        sock.close()
        raise
    return sock


def ask(sock):
    """The name of the backend behind a connection; the connection stays open."""
    sock.sendall(ASK)
    text = b""
    while not text.endswith(b"\n") or b"\r\n\r\n" not in text or text.endswith(b"\r\n"):
        more = sock.recv(4096)
        if not more:
            raise ConnectionError(f"closed after {text!r}")
        text += more
    return text.rpartition(b"\r\n\r\n")[2].decode().strip()


def reset(sock):
    """Closes with RST, so that no port stays in TIME_WAIT."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def share(lab, address, count):
    """Opens <count> connections one after another; how many each backend got."""
    got = collections.Counter()
    for _ in range(count):
        with connect(lab, address) as sock:
            got[ask(sock)] += 1
    return dict(got)


def hold(lab, address, count):
    """Opens <count> connections and keeps them: [(backend, socket)]."""
    held = []
    for _ in range(count):
        sock = connect(lab, address)
        held.append((ask(sock), sock))
    return held


def hold_at_once(lab, address, count):
    """The same, with every SYN sent before the first answer is looked at."""
    host, _, port = address.rpartition(":")
    socks = [lab.socket() for _ in range(count)]
    for sock in socks:
        sock.setblocking(False)
        sock.connect_ex((host, int(port)))
    held = []
    for sock in socks:
        select.select([], [sock], [], 3)
        sock.settimeout(3)
        held.append((ask(sock), sock))
    return held


def stray_ack(lab, host, port, ack):
    """Sends an ACK that belongs to no connection; ("RST", its sequence number), or what came."""
    def checksum(data):
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        total = (total >> 16) + (total & 0xffff)
        return ~(total + (total >> 16)) & 0xffff

    header = [4444, port, 7, ack, 5 << 4, 0x10, 1000, 0, 0]  # RFC 9293 section 3.1
    pseudo = socket.inet_aton("10.0.0.2") + socket.inet_aton(host) + struct.pack("!HH", 6, 20)
    header[7] = checksum(pseudo + struct.pack("!HHLLBBHHH", *header))
    with lab.socket(kind=socket.SOCK_RAW) as sock:
        sock.settimeout(1)
        sock.connect((host, 0))
        sock.send(struct.pack("!HHLLBBHHH", *header))
        try:
            while True:  # others' packets arrive here too
                tcp = struct.unpack("!HHLLBBHHH", sock.recv(2048)[20:40])
                if tcp[1] == header[0]:
                    return ("RST" if tcp[5] & 0x04 else f"flags {tcp[5]:#x}", tcp[2])
        except TimeoutError:
            return "nothing"


def release(held):
    for _, sock in held:
        sock.close()


def names(held):
    return dict(collections.Counter(name for name, _ in held))


def outcome(lab, address, timeout=1.0):
    """What a connection attempt sees: the backend, or "refused", "timeout", "reset", "closed"."""
    try:
        with connect(lab, address, timeout) as sock:
            return ask(sock)
    except ConnectionRefusedError:
        return "refused"
    except ConnectionResetError:
        return "reset"
    except ConnectionError:
        return "closed"
    except OSError as error:
        return "timeout" if isinstance(error, TimeoutError) else f"error {error.errno}"


class Connection(http.client.HTTPConnection):
    """http.client from inside the client's namespace."""

    def __init__(self, lab, address, timeout=5.0):
        host, _, port = address.rpartition(":")
        super().__init__(host, int(port), timeout=timeout)
        self.lab, self.target = lab, address

    def connect(self):
        self.sock = connect(self.lab, self.target, self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def request(lab, address, path="/", method="GET", body=None, headers=None, connection=None):
    """(status, body, headers) of one request on a connection of its own, or on <connection>."""
    http_connection = connection or Connection(lab, address)
    try:
        http_connection.request(method, path, body=body, headers=headers or {})
        answer = http_connection.getresponse()
        return answer.status, answer.read(), dict((k.lower(), v) for k, v in answer.getheaders())
    finally:
        if connection is None:
            http_connection.close()


def raw(lab, address, text, timeout=3.0):
    """Sends bytes and reads until the other side closes."""
    with connect(lab, address, timeout) as sock:
        sock.sendall(text)
        answer = b""
        while True:
            try:
                more = sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return answer
            answer += more


class Stream:
    """One attempt after another, in a thread, until stop(): what each saw, and when it began."""

    def __init__(self, attempt, pause=0.002):
        self.attempt, self.pause = attempt, pause
        self.seen = []  # (began, result)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _run(self):
        while not self._stop.wait(self.pause):
            began = time.monotonic()
            try:
                result = self.attempt()
            except (OSError, http.client.HTTPException) as error:
                result = repr(error)
            self.seen.append((began, result))

    def stop(self):
        self._stop.set()
        self._thread.join(15)

    def since(self, moment):
        return [result for began, result in self.seen if began >= moment]

    def wait_more(self, count, seconds=10):
        """Until <count> more attempts are done."""
        goal, deadline = len(self.seen) + count, time.monotonic() + seconds
        while len(self.seen) < goal and time.monotonic() < deadline:
            time.sleep(0.002)
        return len(self.seen) >= goal


def _read_paced(sock, rate, results):
    """Reads at about <rate> bytes/s and notes the longest silence after the data was wanted."""
    total, worst, error = 0, 0.0, None
    began = time.monotonic()
    try:
        while True:
            asked = time.monotonic()
            data = sock.recv(65536)
            worst = max(worst, time.monotonic() - asked)
            if not data:
                error = None if total > BIG else f"closed after {total} bytes"
                break
            total += len(data)
            ahead = total / rate - (time.monotonic() - began)
            if ahead > 0.002:
                time.sleep(ahead)
    except OSError as caught:
        error = repr(caught)
    results.put({"bytes": total, "gap_ms": worst * 1000, "error": error})


class Download:
    """A running download of /big in a process of its own, so that this one does not disturb it."""

    def __init__(self, lab, address, rate=200e6):
        # fork: the connected socket, which is in the client's namespace, goes along.
        context = multiprocessing.get_context("fork")
        # A small buffer: a large one would go on giving data while nothing arrives.
        sock = connect(lab, address, 5.0, 65536)
        sock.sendall(b"GET /big HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        self._results = context.Queue()
        self._process = context.Process(target=_read_paced, daemon=True,
                                        args=(sock, rate, self._results))
        self._process.start()
        sock.close()

    def running(self):
        return self._results.empty()

    def whole(self):
        """{"bytes", "gap_ms", "error"}, once all was read."""
        result = self._results.get(timeout=60)
        self._process.join()
        return result
