#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What varnishtest's clients cannot do: half a close, a reset.   client.py ADDRESS TEXT

TEXT is Python: <s> is the connection, everything() what comes until its end, with how it ended.
"""
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


host, _, port = sys.argv[1].rpartition(":")
s = socket.create_connection((host, int(port)), 5)
exec(sys.argv[2], {"s": s, "time": time, "everything": everything, "reset": reset})
