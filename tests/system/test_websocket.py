#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""WebSockets through the proxy, by a client and a server of python3-websockets."""
import asyncio
import http
import logging
import os

import websockets

from lab import NO_CHECK, settle
from loopback import Loopback
from tap import at_least, check, main, ok, wait_for

LISTEN, BACKEND = ("127.0.0.1", 7000), ("127.0.0.1", 7001)
URL = "ws://127.0.0.1:7000/chat?room=1"
MEGABYTE = 1 << 20
MANY = 300
PATIENCE_S = 20


def configuration(tunnel="60s"):
    return {"workers": 2,
            "pools": {"web": {"algorithm": "round-robin", "health": NO_CHECK,
                              "backends": [{"name": "echo", "address": "127.0.0.1:7001"}]}},
            "services": {"web": {"listen": "127.0.0.1:7000", "protocol": "http", "pool": "web",
                                 "timeouts": {"tunnel": tunnel}}}}


async def echo(socket):
    """Echoes; some words are orders."""
    async for message in socket:
        if message == "close":
            await socket.close(4321, "as you wish")
        elif message == "headers":
            await socket.send(socket.path + " " + socket.request_headers["X-Forwarded-For"])
        elif message == "die":
            socket.transport.abort()
        else:
            await socket.send(message)


async def refuse_some(path, _headers):
    if path == "/forbidden":
        return http.HTTPStatus.FORBIDDEN, [("X-Why", "private")], b"not you\n"
    return None


def client(url=URL, **more):
    return websockets.connect(url, max_size=4 * MEGABYTE, ping_interval=None, **more)


async def echoed(socket, message):
    await socket.send(message)
    return await socket.recv()


async def test_messages(_lbd):
    async with client(subprotocols=["chat", "other"]) as socket:
        check("a text comes back", await echoed(socket, "hällo"), "hällo")
        check("bytes come back", await echoed(socket, bytes(range(256))), bytes(range(256)))
        check("an empty message comes back", await echoed(socket, b""), b"")
        check("the path and the client's address reach the server",
              await echoed(socket, "headers"), "/chat?room=1 127.0.0.1")
        check("the subprotocol is agreed on", socket.subprotocol, "chat")
        ok("compression is agreed on", socket.extensions, "no permessage-deflate")
        big = os.urandom(MEGABYTE)
        ok("1 MB comes back whole", await echoed(socket, big) == big)
        parts = [os.urandom(70000) for _ in range(15)]
        ok("1 MB in fragments comes back whole", await echoed(socket, parts) == b"".join(parts))
        pong = await socket.ping(b"are you there")
        await asyncio.wait_for(pong, PATIENCE_S)
        ok("a ping is answered by the server's pong", True)
        await socket.close(1000, "bye")
        check("the close is answered", socket.close_code, 1000)


async def test_closes(lbd):
    async with client() as socket:
        await socket.send("close")
        await socket.wait_closed()
        check("the server's close comes with its code and reason",
              (socket.close_code, socket.close_reason), (4321, "as you wish"))
    async with client() as socket:
        await socket.send("die")
        await asyncio.wait_for(socket.wait_closed(), PATIENCE_S)
        check("a server that dies is no proper close for the client", socket.close_code, 1006)
    try:
        async with client("ws://127.0.0.1:7000/forbidden"):
            ok("a refused handshake is refused for the client", False, "it was accepted")
    except websockets.InvalidStatusCode as error:
        check("a refused handshake is refused for the client, with the server's answer",
              (error.status_code, error.headers["X-Why"]), (403, "private"))
    ok("nothing is counted as open after that",
       await asyncio.to_thread(wait_for, lambda: lbd.backends("web")["echo"]["open"] == 0),
       lbd.backends("web"))


async def test_many(lbd):
    async def talk(number):
        async with client(compression=None) as socket:
            joined.append(number)
            await everybody.wait()
            texts = [f"{number}:{i}" for i in range(20)]
            return [await echoed(socket, text) for text in texts] == texts

    everybody, joined = asyncio.Event(), []
    talks = [asyncio.create_task(talk(number)) for number in range(MANY)]
    while len(joined) < MANY and not any(t.done() for t in talks):
        await asyncio.sleep(0.01)
    backend = await asyncio.to_thread(lambda: lbd.backends("web")["echo"])
    check(f"{MANY} WebSockets at once are open", backend["open"], MANY)
    everybody.set()
    results = await asyncio.gather(*talks, return_exceptions=True)
    check("and each gets its own messages back, in order",
          [r for r in results if r is not True], [])


async def test_flood(_lbd):
    """The server's echo is not read until all is sent: back-pressure both ways, nothing lost."""
    async with client(compression=None, max_queue=None) as socket:
        async def read():
            await asyncio.sleep(0.2)
            return [await socket.recv() for _ in range(200)]
        reader = asyncio.create_task(read())
        sent = [os.urandom(50000) for _ in range(200)]
        for message in sent:
            await socket.send(message)
        ok("10 MB each way at the same time arrive whole",
           await asyncio.wait_for(reader, PATIENCE_S) == sent)


async def test_reload(lbd):
    async with client() as socket:
        await echoed(socket, "before")
        lbd.write_config(configuration("300ms"))
        ok("a reload is done", await asyncio.to_thread(lbd.reload))
        check("an open WebSocket goes on after a reload", await echoed(socket, "after"), "after")
        await asyncio.to_thread(settle, 0.6)
        check("with the tunnel time-out that it began with", await echoed(socket, "later"), "later")
    async with client() as socket:
        for _ in range(4):
            await asyncio.sleep(0.15)
            await asyncio.wait_for(await socket.ping(), PATIENCE_S)
        ok("pings keep a WebSocket open beyond the tunnel time-out", socket.open)
        await asyncio.wait_for(socket.wait_closed(), PATIENCE_S)
        check("without them it is closed", socket.close_code, 1006)


async def run(lbd):
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # ends that are meant to be abrupt
    async with websockets.serve(echo, *BACKEND, process_request=refuse_some, ping_interval=None,
                                max_size=4 * MEGABYTE, subprotocols=["chat"], backlog=1024):
        for test in (test_messages, test_closes, test_many, test_flood, test_reload):
            try:
                await asyncio.wait_for(test(lbd), 3 * PATIENCE_S)
            except Exception as error:
                ok(f"{test.__name__} runs to its end", False, repr(error))
    log = [line for line in lbd.log_text().splitlines() if "error" in line]
    check("lbd logs no error", log, [])
    at_least("lbd has counted every handshake", lbd.get("/v1/services/web")["opened"], MANY)


def test_websocket():
    with Loopback() as lab, lab.lbd(configuration()) as lbd:
        asyncio.run(run(lbd))


if __name__ == "__main__":
    main(test_websocket)
