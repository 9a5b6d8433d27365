#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A backend that answers anything, by chance.   rogue.py PORT SEED

Half of its answers are good. The others are those of tests/vectors/responses.json, cut, late, too
early, in pieces, or a reset. /healthz is always well.
"""
import asyncio
import contextlib
import random
import socket
import struct
import sys

import vectors

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # of the PROXY protocol, version 2
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
RESPONSES = [v["send"] for v in vectors.load("responses")[0]]


def reset(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                               struct.pack("ii", 1, 0))
    writer.transport.abort()


def good(chance):
    size = chance.choice((0, 1, 100, 20000, 300000))
    body = bytes(size)
    kind = chance.randrange(4)
    if kind == 0:
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body, True
    if kind == 1:
        chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (len(body[i:i + 9000]), body[i:i + 9000])
                          for i in range(0, size, 9000))
        return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks +
                b"0\r\nX-Sum: 1\r\n\r\n"), False
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" if kind == 2 else b""
    return interim + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body, False


async def say(chance, writer, data):
    """Whole or in pieces."""
    step = chance.choice((1 << 20, 1 << 20, 7000, 50 if len(data) < 5000 else 5000))
    for at in range(0, len(data), step):
        writer.write(data[at:at + step])
        await writer.drain()


async def answer(chance, reader, writer, head):
    """False: the connection ends."""
    if b" /healthz " in head:
        await say(chance, writer, OK)
        return True
    if b"Upgrade: echo" in head and chance.random() < 0.8:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"
                     b"Connection: upgrade\r\n\r\nfirst")
        while data := await reader.read(65536):
            await say(chance, writer, data)
        return False
    if chance.random() < 0.3:  # else the body, if there is one, is what comes as the next request
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1 << 20), 0.02)
    data, close = good(chance)
    what = chance.randrange(12)
    if what == 0:
        data, close = chance.choice(RESPONSES), chance.random() < 0.5
    elif what == 1:
        data, close = data[:chance.randrange(len(data) + 1)], True
    elif what == 2:
        await asyncio.sleep(chance.choice((0.02, 0.1, 0.7)))
    elif what == 3:
        writer.write(data[:chance.choice((0, 0, 10, 30000))])
        reset(writer)
        return False
    elif what == 4:
        return False
    elif what == 5:
        data += b"more than was asked for"
    await say(chance, writer, data)
    return not close


async def serve(chance, reader, writer):
    try:
        while True:
            start = await reader.readexactly(12)
            if start == SIGNATURE:
                rest = await reader.readexactly(4)
                await reader.readexactly(rest[2] << 8 | rest[3])
                continue
            if start.startswith(b"PROXY "):
                await reader.readuntil(b"\r\n")
                continue
            if start[:1] == b"\x16":  # a ClientHello: whatever
                writer.write(await reader.read(65536))
                return
            head = start + await reader.readuntil(b"\r\n\r\n")
            if not await answer(chance, reader, writer, head):
                return
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        pass
    finally:
        with contextlib.suppress(OSError):
            writer.close()


async def main():
    chance = random.Random(int(sys.argv[2]))
    server = await asyncio.start_server(lambda r, w: serve(chance, r, w), "127.0.0.1",
                                        int(sys.argv[1]), backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
