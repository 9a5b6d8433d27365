# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Clients and servers that do everything HTTP/1.1 lets them do, and some of what it does not, at
random: methods, framings, pipelining, 1xx, upgrades, early answers, halves of messages, resets.

Each request has a name of its own, which is in its body and in all that is answered to it: who gets
a byte of somebody else's sees it. What is wrong is gathered in Mixture.wrong.
"""
import asyncio
import logging
import os
import random
import re
import socket
import struct

logging.getLogger("asyncio").setLevel(logging.ERROR)  # writes after a reset are its warnings

PATIENCE_S = 30  # for one answer, when lbd has given up long before


class Broken(Exception):
    """Bytes that are no message."""


async def read_head(reader):
    line, *rest = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    fields = {}
    for row in rest:
        name, _, value = row.partition(b":")
        fields[name.lower()] = value.strip()
    return line, fields


async def read_body(reader, fields):
    if b"transfer-encoding" not in fields:
        return await reader.readexactly(int(fields.get(b"content-length", b"0")))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise Broken("no line end behind a chunk")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return body


def chunked(body, sizes, trailer):
    text, at = b"", 0
    while at < len(body):
        part = body[at:at + next(sizes)]
        text += b"%x\r\n%s\r\n" % (len(part), part)
        at += len(part)
    return text + b"0\r\n" + trailer + b"\r\n"


def reset(writer):
    try:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                   struct.pack("ii", 1, 0))
    except OSError:
        pass
    writer.transport.abort()


class Mixture:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.wrong = []
        self.asked = 0
        self.whole = 0
        self.over = False

    def chance(self, part):
        return self.random.random() < part

    def some(self, *choices):
        return self.random.choice(choices)

    def sizes(self, *sizes):
        while True:
            yield self.some(*sizes)

    async def moment(self, most_s):
        await asyncio.sleep(self.random.random() * most_s)

    # ---- Servers ------------------------------------------------------------------------------

    async def serve(self, reader, writer):
        try:
            while await self.answer(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()

    async def answer(self, reader, writer):
        """False: the connection is over."""
        line, fields = await read_head(reader)
        name = line.split(b" ")[1][1:]
        if b"upgrade" in fields and self.chance(.8):
            return await self.echo(reader, writer, name)
        if self.chance(.03):
            reset(writer)
        if self.chance(.03):
            return False
        if self.chance(.05):
            await self.moment(.05)
        early = self.chance(.06)
        if b"expect" in fields and not early and self.chance(.8):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not early and set(await read_body(reader, fields)) - {name[-1]}:
            self.wrong.append(f"{name}: another's bytes in the request's body")
        if self.chance(.1):
            writer.write(b"HTTP/1.1 103 Early Hints\r\nName: " + name + b"\r\n\r\n")
        if self.chance(.02):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")
            return False
        has_body = b"content-length" in fields or b"transfer-encoding" in fields
        last = (early and has_body) or self.chance(.1)
        return self.say(writer, line, name, last) and not last and not self.chance(.03)

    def say(self, writer, line, name, last):
        status = self.some(*[200] * 8, 204, 304, 404, 503)
        head = b"HTTP/1.1 %d X\r\nName: %s\r\n" % (status, name)
        head += b"Connection: close\r\n" if last else b""
        body = (name + b".") * (self.some(1, 5, 100, 16384, 300000) // (len(name) + 1) + 1)
        whole = not self.chance(.04)
        if status in (204, 304):
            writer.write(head + b"\r\n")
        elif line.startswith(b"HEAD"):
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body))
        elif last and self.chance(.5):
            writer.write(head + b"\r\n" + body)  # its end is the connection's: always whole
        else:
            if self.chance(.3):
                text = (b"Transfer-Encoding: chunked\r\n\r\n" +
                        chunked(body, self.sizes(10, 4000, 16000, 100000) if len(body) < 50000
                                else self.sizes(5000, 100000), self.some(b"", b"T: x\r\n")))
            else:
                text = b"Content-Length: %d\r\n\r\n" % len(body) + body
            writer.write(head + (text if whole else text[:-len(body) // 2 - 1]))
            return whole
        return True

    async def echo(self, reader, writer, name):
        writer.write(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n" + name)
        while more := await reader.read(65536):
            writer.write(more)
            await writer.drain()
        writer.write(b"bye")
        return False

    # ---- Clients ------------------------------------------------------------------------------

    async def client(self, address):
        while not self.over:
            sock = socket.socket()
            sock.setblocking(False)
            if self.chance(.2):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            await asyncio.get_running_loop().sock_connect(sock, address)
            reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 20)
            try:
                if self.chance(.05):
                    await asyncio.wait_for(self.upgrade(reader, writer), PATIENCE_S)
                else:
                    while not self.over and await self.talk(reader, writer):
                        pass
            except (asyncio.IncompleteReadError, OSError):
                pass  # cut, which each may be: a visible end
            except (Broken, ValueError, asyncio.TimeoutError) as error:
                self.wrong.append(repr(error))
            finally:
                writer.close()

    def name(self):
        self.asked += 1
        return b"%d%s" % (self.asked, self.some(b"a", b"b", b"c"))

    def request(self, last):
        """(its name, its bytes)"""
        name = self.name()
        method = self.some(*[b"GET"] * 5, b"HEAD", b"POST", b"PUT", b"PUT")
        text = method + b" /" + name + b" HTTP/1.1\r\nHost: h\r\n"
        text += b"Connection: close\r\n" if last else b""
        if method not in (b"POST", b"PUT"):
            return (name, method), text + b"\r\n"
        body = name[-1:] * self.some(0, 1, 100, self.random.randrange(16500, 17600), 70000)
        text += b"Expect: 100-continue\r\n" if body and self.chance(.3) else b""
        if self.chance(.5):
            return (name, method), (
                text + b"Transfer-Encoding: chunked\r\n\r\n" +
                chunked(body, self.sizes(1000, 16000, 33000), self.some(b"", b"T: x\r\n")))
        return (name, method), text + b"Content-Length: %d\r\n\r\n" % len(body) + body

    async def talk(self, reader, writer):
        """Some requests at once, and their answers. False: the connection is over."""
        last = self.chance(.1)
        n = self.some(1, 1, 1, 2, 4)
        asked, texts = zip(*[self.request(last and i == n - 1) for i in range(n)])
        text = b"".join(texts)
        fate = self.random.random()
        if fate < .05:
            writer.write(text[:self.random.randrange(len(text))])
            await self.moment(.02)
            return reset(writer) if self.chance(.5) else False
        cut = self.random.randrange(len(text)) if fate < .3 else 0
        writer.write(text[:cut])
        await self.moment(.005 if cut else 0)
        writer.write(text[cut:])
        if fate > .97:
            await self.moment(.01)
            return reset(writer)
        if last and self.chance(.3):
            writer.write_eof()
        for name, method in asked:
            if not await asyncio.wait_for(self.hear(reader, name, method), PATIENCE_S):
                return False
        return not last

    async def hear(self, reader, name, method):
        """The answer to one request. False: the connection ends with it."""
        status = 100
        while status < 200:
            line, fields = await read_head(reader)
            status = int(re.fullmatch(rb"HTTP/1\.1 (\d{3}) .*", line).group(1))
            if fields.get(b"name", name) != name:
                raise Broken(f"{name} is answered with {fields[b'name']}")
        body = b""
        if method != b"HEAD" and status not in (204, 304):
            body = await read_body(reader, fields)
        if b"name" in fields and body.replace(name + b".", b""):
            raise Broken(f"{name} is answered with {body[:200]}")
        self.whole += 1
        return fields.get(b"connection") != b"close"

    async def upgrade(self, reader, writer):
        name = self.name()
        said = os.urandom(self.some(1, 1000, 200000))
        early = self.some(0, 5)
        writer.write(b"GET /" + name + b" HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n"
                     b"Upgrade: echo\r\n\r\n" + said[:early])
        line, _ = await read_head(reader)
        if not line.startswith(b"HTTP/1.1 101 "):
            return
        writer.write(said[early:])
        writer.write_eof()
        heard = await reader.read(-1)
        if heard != name + said + b"bye":
            raise Broken(f"a tunnel has carried {len(heard)} bytes, and not those it should")
