# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A lab that is only a loopback: one new network namespace, where the calling thread, what it
starts and an lbd without any privilege see nobody else. For tests of the proxy alone.

    with Loopback() as lab, lab.lbd(config) as lbd:
        connect to 127.0.0.1

The namespace goes when the last process in it ends: there is nothing to clean up.
"""
import contextlib
import ctypes
import os
import shutil
import subprocess
import tempfile
import threading

from lab import CLONE_NEWNET, WITH_US, Lab, _libc, _setns

# Root without capabilities: what an unprivileged user may do, with files where only root can read.
NO_PRIVILEGE = ["--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"]
SYSCTLS = {"net.ipv4.ip_local_port_range": "20000 65000", "net.ipv4.tcp_tw_reuse": 1,
           "net.core.somaxconn": 8192}


class Loopback(Lab):
    def __init__(self):
        super().__init__(backends=0, prefix="loopback")
        self.run_dir = None
        self._before = None

    def __enter__(self):
        with open(f"/proc/self/task/{threading.get_native_id()}/ns/net", "rb") as here:
            self._before = os.fdopen(os.dup(here.fileno()), "rb")
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self.run_dir = tempfile.mkdtemp(prefix="lbd-loopback-")
        self.pin_path = f"{self.run_dir}/pins"
        os.mkdir(f"{self.run_dir}/pids")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["sysctl", "-qw", *(f"{key}={value}" for key, value in SYSCTLS.items())],
                       check=True)
        return self

    def __exit__(self, *_):
        for process in list(self.processes):
            self.end(process)
        _setns(self._before)
        self._before.close()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def enter(self, name):
        return WITH_US + (NO_PRIVILEGE if name == "lb" else [])

    @contextlib.contextmanager
    def inside(self, _name="client"):
        yield
