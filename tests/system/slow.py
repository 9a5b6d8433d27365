#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Many slow connections, until it is ended.   slow.py KIND COUNT PORT

    reader    reads an endless body at 1 KB/s           (the backend is fast)
    drip      reads what a backend sends at 1 KB/s      (the client is fast)
    uploader  sends an endless body at 1 KB/s
    sink      sends as fast as it can to a backend that takes 1 KB/s
    loris     sends a head, a byte every second, that does not end

Says "ready" when all have begun: the answer's head is there, or the first byte of a head is sent.
"""
import resource
import socket
import sys
import time

RATE = 1024
BODY = b"Content-Length: 1125899906842624\r\n\r\n"
HEADS = {"reader": b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n",
         "drip": b"GET /drip HTTP/1.1\r\nHost: a\r\n\r\n",
         "uploader": b"POST /sink HTTP/1.1\r\nHost: a\r\n" + BODY,
         "sink": b"POST /sink HTTP/1.1\r\nHost: a\r\n" + BODY,
         "loris": b"G"}
LORIS = b"ET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 4096


def begin(kind, port):
    sock = socket.socket()
    sock.settimeout(10)
    if kind == "reader":  # or the kernel would read for us
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.sendall(HEADS[kind])
    return sock


def turn(kind, sock, count):
    """What a connection does in its second <count>; BlockingIOError: it cannot."""
    if kind == "reader":
        return sock.recv(RATE)
    if kind == "drip":
        return sock.recv(1 << 20)
    if kind == "loris":
        return sock.send(LORIS[count:count + 1])
    return sock.send(b"u" * (RATE if kind == "uploader" else 1 << 18))


def main():
    kind, count, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    socks = [begin(kind, port) for _ in range(count)]
    if kind in ("reader", "drip"):
        for sock in socks:
            sock.recv(1)
    for sock in socks:
        sock.setblocking(False)
    print("ready", flush=True)
    began, number = time.monotonic(), 0
    while True:
        for i, sock in enumerate(socks):
            try:
                turn(kind, sock, number)
            except BlockingIOError:
                pass
            except OSError:
                pass  # the test counts at the proxy
            if i % 50 == 49:  # spread over the second
                time.sleep(max(0, began + number + i / count - time.monotonic()))
        number += 1
        time.sleep(max(0, began + number - time.monotonic()))


if __name__ == "__main__":
    main()
