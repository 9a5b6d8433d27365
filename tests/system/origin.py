#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A web server that misbehaves on demand.   origin.py PORT

    /length /chunked /close   PART bytes of a longer body, framed so; then nothing more
    /endless                  a body without an end, as fast as it is taken
    /drip                     the same at 1 KB/s
    /sink                     takes the request's body at 1 KB/s, and answers at its end
    anything else             a small answer
"""
import asyncio
import socket
import struct
import sys

PART = 20000
ENDLESS = 1 << 50
RATE = 1024  # bytes per second of what is slow
HEADS = {"/length": f"Content-Length: {ENDLESS}\r\n", "/chunked": "Transfer-Encoding: chunked\r\n",
         "/close": "Connection: close\r\n"}


def head(framing):
    return f"HTTP/1.1 200 OK\r\n{framing}\r\n".encode()


async def part(path, writer):
    data = b"x" * PART
    framed = b"%x\r\n%b\r\n" % (PART, data) if path == "/chunked" else data
    if path == "/close":
        # A FIN is the proper end of such a body. A server that dies with something unread, or that
        # wants its death to be seen, resets the connection.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                   struct.pack("ii", 1, 0))
    writer.write(head(HEADS[path]) + framed)
    await asyncio.Event().wait()


async def endless(writer, piece, pause):
    writer.write(head(HEADS["/length"]))
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


async def sink(reader):
    while await reader.read(RATE):
        await asyncio.sleep(1)


async def answer(request, reader, writer):
    path = request.split(b" ")[1].decode()
    if path in HEADS:
        await part(path, writer)
    elif path == "/endless":
        await endless(writer, b"e" * 65536, 0)
    elif path == "/drip":
        await endless(writer, b"d" * RATE, 1)
    elif path == "/sink":
        await sink(reader)
    else:
        writer.write(head("Content-Length: 3\r\n") + b"ok\n")
        await writer.drain()


async def serve(reader, writer):
    try:
        while True:
            await answer(await reader.readuntil(b"\r\n\r\n"), reader, writer)
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What is slow shall be so for the sender too: Linux opens the window of a larger one rarely.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * RATE)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    server = await asyncio.start_server(serve, sock=listener, limit=4 * RATE, backlog=8192)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
