#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What varnishtest's clients cannot do: half a close, a reset.   client.py ADDRESS SOCKET TEXT [BUFFER]

TEXT is Python: <s> is the connection, everything() what comes until its end, with how it ended,
api(PATH) what lbd's API answers.
"""
import json
import socket
import struct
import sys
import time


def everything():
    text = b""
    try:
        while more := s.recv(65536):
            text += more
    except ConnectionResetError:
        return text.replace(b"\r\n", b" ") + b" reset"
    return text.replace(b"\r\n", b" ") + b" closed"


def reset():
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def api(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(sys.argv[2])
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: lbd\r\n\r\n".encode())
        text = b"".join(iter(lambda: sock.recv(65536), b""))
    return json.loads(text.partition(b"\r\n\r\n")[2])


host, _, port = sys.argv[1].rpartition(":")
s = socket.socket()
s.settimeout(5)
if len(sys.argv) > 4:  # bytes that the kernel may take before we do
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(sys.argv[4]))
s.connect((host, int(port)))
exec(sys.argv[3], {"s": s, "time": time, "everything": everything, "reset": reset, "api": api})
