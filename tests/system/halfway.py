#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""An lbd that goes half the way of an upgrade.   halfway.py PROGRAM WHEN kill|stop [ARGUMENT...]

Stands between the lbd that is to be replaced and PROGRAM, which was to replace it, and passes on
what they say (user/daemon/handover.h), up to the message of type WHEN: a word of the old one still
arrives, one of the new does not. Then PROGRAM is killed and this ends by signal 9, or PROGRAM is
stopped and nothing is said any more.
"""
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

CHANNEL = "LBD_HANDOVER"
MOST = 1 << 18  # bytes of a message
PR_SET_PDEATHSIG = 1


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(program, arguments):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {**os.environ, CHANNEL: str(theirs.fileno())}
    process = subprocess.Popen([program, *arguments], env=env, pass_fds=[theirs.fileno()],
                               preexec_fn=die_with_parent)
    theirs.close()
    return process, ours


def half(process, action):
    process.send_signal(signal.SIGKILL if action == "kill" else signal.SIGSTOP)
    if action == "kill":
        process.wait()
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        time.sleep(60)  # until we are ended


def main():
    program, when, action, *arguments = sys.argv[1:]
    old = socket.socket(fileno=int(os.environ[CHANNEL]))
    old.setblocking(True)
    process, new = start(program, arguments)
    others = {old: new, new: old}
    while True:
        for source in select.select([old, new], [], [])[0]:
            data, fds, _, _ = socket.recv_fds(source, MOST, 253)
            if not data:
                process.kill()
                sys.exit(process.wait() and 1)
            met = json.loads(data)["type"] == when
            if source is old or not met:
                socket.send_fds(others[source], [data], fds)
            for fd in fds:
                os.close(fd)
            if met:
                half(process, action)


if __name__ == "__main__":
    main()
