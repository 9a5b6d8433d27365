# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A lane: one port of a proxy, one backend of its own behind it, and a raw client before it.

What arrives at a lane's backend was sent through that lane, so many lanes can be used at the same
time. The backend records each message; what is no message yet stays in its connection's bytes.
"""
import asyncio
import re
import socket

from build import SLOW
from lab import address_of
from vectors import Malformed, read

BACKLOG = 64
PATIENCE_S = 10 * SLOW  # for what must come
PROBE = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n"
PROBE_LINE = PROBE.partition(b"\r\n")[0]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BYTES = 600  # sends of one byte; what is longer is sent in as many pieces

# How bytes are sent.
WHOLE, BYTE_BY_BYTE, TOKENS = "whole", "byte by byte", "cut at token borders"


def pieces(data, how):
    if how == WHOLE:
        return [data] if data else []
    if how == TOKENS and len(data) < 2 * BYTES:
        return re.findall(rb"[\w.-]{1,4096}|[^\w.-]", data)
    step = 1 + len(data) // BYTES
    return [data[i:i + step] for i in range(0, len(data), step)]


async def send(sock, data, how):
    loop = asyncio.get_running_loop()
    for piece in pieces(data, how):
        try:
            await loop.sock_sendall(sock, piece)
        except OSError:
            return  # the peer has seen enough
        await asyncio.sleep(0)


class Upstream:
    """One connection of the proxy to the backend."""

    def __init__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.data = b""  # what is no whole message yet
        self.gone = asyncio.Event()  # the proxy has closed it


class Backend:
    def __init__(self, lab, name, port, strict=True):
        self.strict = strict
        self.listener = lab.socket(name)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address_of(name), port))
        self.listener.listen(BACKLOG)
        self.listener.setblocking(False)
        self.task = asyncio.get_running_loop().create_task(self.accept())
        self.reset()

    def reset(self, answer=None, close=False, how=WHOLE):
        """Forgets what was seen; what is to be answered to all but probes."""
        self.seen = []  # (Upstream, Message)
        self.wrong = []  # what no proxy should send
        self.upstreams = []  # that have sent something
        self.answer, self.close, self.how = answer, close, how

    async def accept(self):
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self.listener)
            loop.create_task(self.serve(Upstream(sock)))

    async def serve(self, upstream):
        loop = asyncio.get_running_loop()
        with upstream.sock:
            try:
                while more := await loop.sock_recv(upstream.sock, 1 << 18):
                    upstream.data += more
                    if upstream not in self.upstreams:
                        self.upstreams.append(upstream)
                    if not await self.take(upstream):
                        break
            except OSError:
                pass
            except Malformed as error:
                self.wrong.append(str(error))
            upstream.gone.set()

    async def take(self, upstream):
        """Answers what is whole; false when it is this side that closes."""
        message = read(upstream.data, strict=self.strict)
        if not message.whole:
            return True
        upstream.data = upstream.data[message.end:]
        if upstream.data:
            self.wrong.append(f"{upstream.data[:60]!r} behind a request before its answer")
        self.seen.append((upstream, message))
        if message.line == PROBE_LINE:
            await send(upstream.sock, OK, WHOLE)
            return True
        if self.answer is not None:
            await send(upstream.sock, self.answer, self.how)
            return not self.close
        head = message.line.startswith(b"HEAD ")
        await send(upstream.sock, OK[:-2] if head else OK, WHOLE)
        return True


class Client:
    """One connection to the proxy."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""
        self.end = None  # "closed" or "reset"

    async def more(self):
        """False at the end."""
        if not self.end:
            try:
                more = await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)
                self.data += more
                self.end = None if more else "closed"
            except OSError:
                self.end = "reset"
        return not self.end

    async def answers(self, asked):
        """Responses up to the next final one; the last one is not whole if it never came."""
        found = []
        while True:
            message = read(self.data, asked, self.end == "closed")
            if message.whole:
                self.data = self.data[message.end:]
                found.append(message)
                if int(message.line[9:12]) >= 200:
                    return found
            elif not await self.more():
                message = read(self.data, asked, self.end == "closed")
                if not message.whole:
                    return found + [message]

    async def finish(self):
        """All that still comes, up to the end of the connection."""
        while await self.more():
            pass


class Lane:
    def __init__(self, lab, address, backend):
        self.lab = lab
        self.address = address
        self.backend = backend

    async def connect(self):
        sock = self.lab.socket("client")
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, self.address),
                               PATIENCE_S)
        return Client(sock)

    async def probe(self, client=None):
        """True when a request of its own is answered: on <client>, or on a new connection. What
        was sent before it has reached the backend then, if it was ever to get there."""
        with (client or await self.connect()).sock as sock:
            client = client or Client(sock)
            await send(client.sock, PROBE, WHOLE)
            answer = (await asyncio.wait_for(client.answers(b"GET"), PATIENCE_S))[-1]
            good = answer.whole and answer.line == b"HTTP/1.1 200 OK" and answer.body == b"ok"
        await asyncio.sleep(0)
        return good
