#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""lbd as systemd runs it, with this test in its place: what lbd says, the sockets it is passed, and
those that are kept for it while it is gone."""
import array
import os
import signal
import socket

from lab import NO_CHECK, PROXY, Lab, Lbd, config, pool
from successor import Successor, follow
from tap import check, forget, main, ok, on_failure, wait_for
from traffic import ask, connect

ALL = ["b1", "b2", "b3"]
WEB, OTHER = f"{PROXY}:80", f"{PROXY}:81"
WRAPPER = """#!/bin/bash
# Descriptors come under any number, as they are in the test; lbd finds them from 3 on.
export LISTEN_PID=$$
eval "exec $MOVE"
unset MOVE
exec {program} "$@"
"""


def services(*listen):
    return config(None, {"web": pool(ALL, health=NO_CHECK)},
                  {f"web{i}": {"listen": at, "protocol": "http", "pool": "web"}
                   for i, at in enumerate(listen)}, workers=2)


class Manager:
    """The end that lbd talks to, and its store: name -> descriptors."""

    def __init__(self, lbd):
        self.path = f"{lbd.directory}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.path)
        self.said, self.store = [], {}  # said: (pid, {word: value})

    def listen(self):
        """Takes what has come."""
        while True:
            try:
                text, control, _, _ = self.socket.recvmsg(65536, 65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            pid, fds = 0, array.array("i")
            for level, kind, data in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid = array.array("i", data)[0]
                elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(data)
            words = dict(line.split("=", 1) for line in text.decode().split("\n"))
            self.said.append((pid, words))
            self.keep(words, fds)

    def keep(self, words, fds):
        if words.get("FDSTOREREMOVE") == "1":
            for fd in self.store.pop(words["FDNAME"], []):
                os.close(fd)
        elif words.get("FDSTORE") == "1":
            kept = self.store.setdefault(words["FDNAME"], [])
            there = {os.fstat(fd).st_ino for fd in kept}
            for fd in fds:
                if os.fstat(fd).st_ino in there:
                    os.close(fd)
                else:
                    kept.append(fd)

    def heard(self, word, value=None, pid=None, since=0):
        self.listen()
        return any(word in words and value in (None, words[word]) and pid in (None, who)
                   for who, words in self.said[since:])

    def waits(self, word, value=None, pid=None, since=0):
        return wait_for(lambda: self.heard(word, value, pid, since), 10)

    def fds(self):
        return [fd for kept in self.store.values() for fd in kept]


class Service(Lbd):
    """lbd, started with descriptors and a notify socket."""

    def __init__(self, lab, config_):
        super().__init__(lab, config_)
        self.manager = Manager(self)
        self.passed, self.more = [], {}
        self.wrapper = f"{self.directory}/wrapper"
        with open(self.wrapper, "w", encoding="ascii") as file:
            file.write(WRAPPER.replace("{program}", self.program))
        os.chmod(self.wrapper, 0o755)

    def spawn(self, *extra):
        high = [os.dup2(fd, 200 + i) for i, fd in enumerate(self.passed)]
        env = {**os.environ, "NOTIFY_SOCKET": self.manager.path, "LISTEN_FDS": str(len(high)),
               "MOVE": " ".join(f"{3 + i}<&{fd}" for i, fd in enumerate(high)) or ":", **self.more}
        with open(self.log_path, "ab") as log:
            self.process = self.lab.popen("lb", self.wrapper, "-c", self.file, *extra, stdout=log,
                                          stderr=log, env=env, pass_fds=high)
        for fd in high:
            os.close(fd)


def test_activation(lab, lbd):
    """The first start, with a socket that was opened before and has a client already."""
    listener = lab.socket("lb")
    host, port = WEB.split(":")
    listener.bind((host, int(port)))
    listener.listen(8)
    early = connect(lab, WEB)
    lbd.passed = [listener.fileno()]
    lbd.more = {"WATCHDOG_USEC": "200000"}
    lbd.start()
    listener.close()
    check("who was in the queue before lbd was there is served", ask(early) in ALL, True)
    pid = lbd.process.pid
    ok("lbd says that it is ready", lbd.manager.waits("READY", "1", pid), lbd.manager.said)
    ok("with a status in words", lbd.manager.heard("STATUS", "2 services, 1 pools"))
    ok("and gives signs of life", lbd.manager.waits("WATCHDOG", "1", pid))
    names = {"lbd-10.0.0.101.80", "lbd-10.0.0.101.81"}
    ok("its sockets are stored", wait_for(lambda: lbd.manager.heard("FDSTORE") and
                                          set(lbd.manager.store) == names), lbd.manager.store)
    with connect(lab, OTHER) as sock:
        ok("what was not passed was opened", ask(sock) in ALL)
    early.close()


def test_reload(_lab, lbd):
    since = len(lbd.manager.said)
    lbd.write_config(services(WEB))
    lbd.process.send_signal(signal.SIGHUP)
    ok("a reload is announced", lbd.manager.waits("RELOADING", "1", since=since))
    ok("with its time", lbd.manager.heard("MONOTONIC_USEC", since=since))
    ok("and its end", lbd.manager.waits("READY", "1", since=since))
    ok("what is not listened on any more leaves the store",
       wait_for(lambda: lbd.manager.heard("FDSTOREREMOVE") and
                set(lbd.manager.store) == {"lbd-10.0.0.101.80"}), lbd.manager.store)
    since = len(lbd.manager.said)
    lbd.write_config("services: 7\n")
    lbd.process.send_signal(signal.SIGHUP)
    ok("a reload that is refused has an end too", lbd.manager.waits("READY", "1", since=since))
    lbd.write_config(services(WEB))


def test_upgrade(lab, lbd):
    since = len(lbd.manager.said)
    old = lbd.process.pid
    check("an upgrade is done", lbd.lbadm("upgrade").returncode, 0)
    follow(lab, lbd)
    new = str(lbd.process.pid)
    ok("the old one names the new one", lbd.manager.waits("MAINPID", new, old, since))
    ok("the new one is ready", lbd.manager.waits("READY", "1", int(new), since))
    main_at = [words.get("MAINPID") for _, words in lbd.manager.said].index(new)
    ok("in this order", not any(pid == int(new) for pid, _ in lbd.manager.said[:main_at]))
    since = len(lbd.manager.said)
    ok("and the old one says no more", lbd.manager.waits("WATCHDOG", "1", int(new), since) and
       not any(pid == old for pid, _ in lbd.manager.said[since:]))


def test_crash(lab, lbd):
    """kill -9: who comes meanwhile waits in the queue of what is stored."""
    lbd.manager.listen()
    if isinstance(lbd.process, Successor):
        lbd.process.kill()
        lbd.process.wait()
    waiting = [connect(lab, WEB) for _ in range(20)]
    since = len(lbd.manager.said)
    lbd.passed = lbd.manager.fds()
    lbd.start()
    check("nobody who came while lbd was dead was refused", {ask(sock) in ALL for sock in waiting},
          {True})
    ok("it is ready again", lbd.manager.waits("READY", "1", lbd.process.pid, since))
    for sock in waiting:
        sock.close()


def test_stop(_lab, lbd):
    since = len(lbd.manager.said)
    lbd.process.send_signal(signal.SIGTERM)
    ok("lbd says that it stops", lbd.manager.waits("STOPPING", "1", since=since))
    ok("and ends", wait_for(lambda: lbd.process.poll() is not None, 10))
    check("with status 0", lbd.process.returncode, 0)


def test_stop_early(lab):
    """While the first checks are on: one backend refuses, another says nothing."""
    checks = {"type": "tcp", "interval": "5s", "timeout": "5s", "fall": 1}
    slow = pool(["b1"], port=9999, health=checks)
    slow["backends"].append({"address": "10.0.1.99:80", "name": "none"})
    lbd = Lbd(lab, config(None, {"web": slow}, {
        "web": {"listen": WEB, "protocol": "http", "pool": "web"}}))
    on_failure(lbd.log)
    try:
        lbd.spawn()
        ok("checks are on", lbd.wait_log("is down: connect_refused"))
        check("told to stop before it has opened its services, lbd ends well", lbd.stop(), 0)
        text = lbd.log_text()
        ok("and complains of nothing", " error: " not in text and "ready" not in text, text)
    finally:
        lbd.close()
        forget(lbd.log)


class Activated(Lbd):
    """lbd, started by systemd's own program for that, when somebody comes."""

    def __init__(self, lab, config_, listen):
        super().__init__(lab, config_)
        self.manager, self.listen = Manager(self), listen

    def listeners(self):
        """How many listening sockets there are at our two addresses."""
        return len(self.lab.must("lb", "ss", "-Htln", "src", PROXY).splitlines())

    def spawn(self, *extra):
        env = [f"--setenv=NOTIFY_SOCKET={self.manager.path}"]
        with open(self.log_path, "ab") as log:
            self.process = self.lab.popen(
                "lb", "systemd-socket-activate", *env,
                *(f"--listen={address}" for address in self.listen), self.program, "-c",
                self.file, *extra, stdout=log, stderr=log)


def test_real_activation():
    with Lab("xdp") as lab:
        lbd = Activated(lab, services(WEB, OTHER), (WEB, OTHER))
        on_failure(lbd.log)
        try:
            lbd.spawn()
            ok("systemd-socket-activate listens", lbd.wait_log(f"Listening on {OTHER}"))
            check("and lbd is not there", lbd.wait_log("ready", 0), False)
            first, second = connect(lab, WEB), connect(lab, OTHER)
            ok("who comes is answered, by an lbd that was started for that", ask(first) in ALL)
            ok("on each socket", ask(second) in ALL)
            ok("it says that it is ready", lbd.manager.waits("READY", "1", lbd.process.pid))
            check("and listens nowhere else", lbd.listeners(), 2)
            for count in (1, 2):
                check(f"upgrade {count} is done", lbd.lbadm("upgrade").returncode, 0)
                follow(lab, lbd)
                with connect(lab, WEB) as sock:
                    ok("the sockets go along", ask(sock) in ALL)
                check("and are the only ones still", lbd.listeners(), 2)
            first.close()
            second.close()
        finally:
            lbd.close()
            forget(lbd.log)


def test_all():
    with Lab("xdp") as lab:
        test_stop_early(lab)
        lbd = Service(lab, services(WEB, OTHER))
        on_failure(lbd.log)
        try:
            for test in (test_activation, test_reload, test_upgrade, test_crash, test_stop):
                test(lab, lbd)
        finally:
            lbd.close()
            forget(lbd.log)


if __name__ == "__main__":
    main(test_all, test_real_activation)
