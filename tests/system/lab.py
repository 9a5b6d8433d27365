# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The lab of tools/lab for tests, and an lbd inside it.

    with Lab("xdp") as lab, lab.lbd(config) as lbd:
        lbd.api("GET", "/v1/status")

Everything that is started is recorded in the lab's pid files and ended with it, and so is the test
itself: the next one that uses the lab ends what a killed one has left. LBD_BUILD names the build to test, LBD_LAB_PREFIX another set of namespaces.
"""
import contextlib
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import tap
from build import BUILD, ROOT, SLOW

VIP, VIP6 = "10.0.0.100", "fd00::100"  # nobody's address: for kernel services
PROXY = "10.0.0.101"  # on the balancer's loopback: for the proxy
READY_S = 10
# A test that is killed takes along what it runs.
WITH_US = ["setpriv", "--pdeathsig", "KILL"]

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}[os.uname().machine]


def _default_prefix():
    name = re.sub("[^a-z0-9]", "", os.path.basename(sys.argv[0]).rpartition(".")[0].lower())
    return os.environ.get("LBD_LAB_PREFIX", name.replace("test", "t", 1)[:10])


def address_of(backend):
    return f"10.0.1.{10 + int(backend[1:])}"


def start_time(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[19]


class Lab:
    def __init__(self, profile="xdp", backends=3, prefix=None):
        self.profile = profile
        self.names = [f"b{i}" for i in range(1, backends + 1)]
        self.prefix = prefix or _default_prefix()
        self.run_dir = f"/run/lbd-lab-{self.prefix}"
        self.pin_path = f"/sys/fs/bpf/lbd-test-{self.prefix}"
        self.processes = []

    def __enter__(self):
        try:
            self._tool("up", "--profile", self.profile, "--backends", str(len(self.names)))
            self._write_pid("test", os.getpid())
            self.remove_pins()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in list(self.processes):
            self.end(process)
        self.remove_pins()
        self._remove_pid("test")
        self._tool("down")

    def _tool(self, verb, *args):
        subprocess.run(WITH_US + [f"{ROOT}/tools/lab", verb, "--prefix", self.prefix, *args],
                       check=True, stdin=subprocess.DEVNULL)

    def _write_pid(self, name, pid):
        with open(f"{self.run_dir}/pids/{name}", "w", encoding="ascii") as file:
            file.write(f"{pid} {start_time(pid)}\n")

    def _remove_pid(self, name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.run_dir}/pids/{name}")

    def remove_pins(self):
        """By lbd itself; what a broken lbd left is unlinked, for the next test's sake."""
        if not os.path.isdir(self.pin_path):
            return True
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/teardown.yaml"
            with open(path, "w", encoding="ascii") as file:
                file.write(to_yaml({"pin-path": self.pin_path}))
            try:
                self.run("lb", f"{BUILD}/lbd", "-c", path, "--teardown", timeout=10)
            except (OSError, subprocess.TimeoutExpired) as error:
                tap.note(f"lbd --teardown: {error}")
        clean = not os.path.isdir(self.pin_path)
        shutil.rmtree(self.pin_path, ignore_errors=True)
        return clean

    # ---- Processes inside a namespace ------------------------------------------------------

    def enter(self, name):
        # Not "ip netns exec": that hides the pins below /sys/fs/bpf.
        return WITH_US + ["nsenter", f"--net=/run/netns/{self.prefix}-{name}"]

    def run(self, name, *argv, **options):
        options["timeout"] = options.get("timeout", 60) * SLOW
        done = subprocess.run(self.enter(name) + list(argv), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, **options)
        tap.no_report(" ".join(argv), done.stderr)
        return done

    def must(self, name, *argv):
        done = self.run(name, *argv)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr or done.stdout}")
        return done.stdout

    def popen(self, name, *argv, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        process = subprocess.Popen(self.enter(name) + list(argv), **options)
        self.record(process)
        return process

    def record(self, process):
        self.processes.append(process)
        self._write_pid(process.pid, process.pid)

    def end(self, process, number=signal.SIGTERM):
        """Ends a process of popen() and waits for it; returns its exit status."""
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            try:
                process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._remove_pid(process.pid)
        if process in self.processes:
            self.processes.remove(process)
        return process.returncode

    # ---- This process inside a namespace ---------------------------------------------------

    @contextlib.contextmanager
    def inside(self, name="client"):
        """The calling thread is in the namespace; a socket made here stays there."""
        with open(f"/run/netns/{self.prefix}-{name}", "rb") as there, \
                open(f"/proc/self/task/{threading.get_native_id()}/ns/net", "rb") as here:
            _setns(there)
            try:
                yield
            finally:
                _setns(here)

    def socket(self, name="client", family=socket.AF_INET, kind=socket.SOCK_STREAM):
        with self.inside(name):
            protocol = socket.IPPROTO_TCP if kind == socket.SOCK_RAW else 0
            return socket.socket(family, kind, protocol)

    # ---- Backends --------------------------------------------------------------------------

    def nginx_pid(self, backend):
        with open(f"{self.run_dir}/{backend}/nginx.pid", encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if f"{self.run_dir}/{backend}/".encode() not in file.read():
                raise RuntimeError(f"pid {pid} is not the nginx of {backend}")
        return pid

    def signal_nginx(self, backend, number):
        os.kill(self.nginx_pid(backend), number)

    def kill_nginx(self, backend):
        """Like a crash; returns when the kernel has closed its sockets."""
        pid = self.nginx_pid(backend)
        os.kill(pid, signal.SIGKILL)
        tap.wait_for(lambda: not _alive(pid))

    def start_nginx(self, backend):
        self.must(backend, "/usr/sbin/nginx", "-c", f"{self.run_dir}/{backend}/nginx.conf")

    def link(self, backend, state):
        """The cable at the switch: the backend does not notice, nothing reaches it."""
        self.must("sw", "ip", "link", "set", backend, state)

    def balancer_tx(self, state):
        """Checksum and segmentation offload of what the balancer itself sends."""
        for link in ("cl0", "be0"):
            self.must("lb", "ethtool", "-K", link, "tx", state)

    def take_xdp_tx(self, name="client", link="eth0"):
        """Frames that XDP sends back where they came from: to a peer without an XDP program of its
        own they go only together with others (veth_xdp_flush, drivers/net/veth.c)."""
        program = f"{self.run_dir}/pass.o"
        text = ('__attribute__((section("xdp"), used)) int pass(void *c) { return 2; }\n'
                'char _license[] __attribute__((section("license"), used)) = "GPL";\n')
        subprocess.run(["clang", "-O2", "-target", "bpf", "-xc", "-c", "-", "-o", program],
                       input=text, text=True, check=True)
        self.must(name, "ip", "link", "set", link, "xdpdrv", "object", program, "section", "xdp")

    def attached(self, link):
        """What sees the packets that come in at a link of the balancer: {"xdp"|"tcx"|"tc": ids}."""
        entry = json.loads(self.must("lb", "ip", "-j", "-d", "link", "show", link))[0]
        found = {"xdp": [entry["xdp"]["prog"]["id"]]} if "xdp" in entry else {}
        with self.inside("lb"):
            found["tcx"] = _tcx_programs(socket.if_nametoindex(link))
        filters = self.must("lb", "tc", "filter", "show", "dev", link, "ingress")
        found["tc"] = [int(n) for n in re.findall(r" id (\d+)", filters)]
        return {how: ids for how, ids in found.items() if ids}

    # ---- lbd -------------------------------------------------------------------------------

    def lbd(self, config, **options):
        return Lbd(self, config, **options)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _setns(file):
    if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _tcx_programs(ifindex):
    """BPF_PROG_QUERY of BPF_TCX_INGRESS (linux/bpf.h of 6.6); bpftool of Debian 12 knows no tcx."""
    ids = (ctypes.c_uint32 * 16)()
    query = bytearray(64)
    struct.pack_into("=IIIIQI", query, 0, ifindex, 46, 0, 0, ctypes.addressof(ids), 16)
    attr = (ctypes.c_char * 64).from_buffer(query)
    if _libc.syscall(BPF_SYSCALL, 16, attr, 64) != 0:
        return []
    return list(ids)[:struct.unpack_from("=I", query, 24)[0]]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=10 * SLOW):
        super().__init__("lbd", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Lbd:
    """One lbd with a directory, a socket, a state file and a pin path of its own."""

    def __init__(self, lab, config, privileged=True):
        self.lab = lab
        self.privileged = privileged
        self.directory = tempfile.mkdtemp(prefix="lbd-", dir=lab.run_dir)
        os.chmod(self.directory, 0o755)
        self.socket = f"{self.directory}/lbd.sock"
        self.file = f"{self.directory}/lbd.yaml"
        self.log_path = f"{self.directory}/log"
        self.process = None
        self.replaced = []  # what an upgrade left behind, draining
        self.program = f"{BUILD}/lbd"
        self.looked_at = 0  # this much of the log
        self.write_config(config)

    def write_config(self, config):
        """A configuration as a dictionary, completed with the paths; or a text as it is."""
        if isinstance(config, dict):
            config = to_yaml({"pin-path": self.lab.pin_path,
                              "state-path": f"{self.directory}/state",
                              "admin": {"socket": self.socket}, **config})
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(config)

    def __enter__(self):
        tap.on_failure(self.log)
        try:
            self.start()
        except Exception:
            tap.note(self.log())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        tap.forget(self.log)
        self.close()

    def close(self):
        for process in self.replaced:
            self.lab.end(process)
        if self.process:
            self.stop()
        self.lab.remove_pins()
        shutil.rmtree(self.directory, ignore_errors=True)

    def log_text(self):
        with contextlib.suppress(FileNotFoundError), \
                open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()
        return ""

    def log(self):
        lines = self.log_text().splitlines()[-40:]
        return "log of lbd:\n" + ("\n".join("  " + line for line in lines) or "  (empty)")

    def spawn(self, *extra):
        with open(self.log_path, "ab") as log:
            self.process = self.lab.popen("lb", self.program, "-c", self.file, *extra,
                                          stdout=log, stderr=log)

    def start(self):
        """Returns when the API answers."""
        self.spawn()
        if not tap.wait_for(self.ready, READY_S, 0.005):
            raise RuntimeError("lbd does not answer on its socket")
        if self.process.poll() is not None:
            raise RuntimeError(f"lbd ended with status {self.process.returncode}")

    def ready(self):
        if self.process.poll() is not None:
            return True
        try:
            return self.api("GET", "/v1/status")[0] == 200
        except OSError:
            return False

    def kill(self):
        """kill -9, and wait until it is gone."""
        self.end(signal.SIGKILL)

    def stop(self):
        return self.end(signal.SIGTERM)

    def end(self, number):
        """A report may come as late as the end: leaks are looked for then."""
        status = self.lab.end(self.process, number)
        text = self.log_text()
        tap.no_report("lbd", text[self.looked_at:])
        self.looked_at = len(text)
        return status

    def api(self, method, path, body=None):
        """(status, JSON answer); <body> is a dictionary or raw bytes."""
        connection = UnixConnection(self.socket)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except http.client.HTTPException as error:
            raise OSError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()

    def get(self, path):
        status, answer = self.api("GET", path)
        if status != 200:
            raise RuntimeError(f"GET {path}: {status} {answer}")
        return answer

    def backends(self, pool):
        """name -> backend, as the API shows it."""
        return {b["name"]: b for b in self.get(f"/v1/pools/{pool}/backends")["backends"]}

    def wait_eligible(self, pool, names, seconds=10):
        """Until exactly <names> are eligible; the answer says whether they came to be."""
        return tap.wait_for(lambda: names == [n for n, b in sorted(self.backends(pool).items())
                                              if b["eligible"]], seconds)

    def wait_log(self, text, seconds=5):
        return tap.wait_for(lambda: text in self.log_text(), seconds)

    def lbadm(self, *args, socket_path=None):
        done = subprocess.run([f"{BUILD}/lbadm", "--socket", socket_path or self.socket, *args],
                              capture_output=True, text=True, timeout=30 * SLOW,
                              stdin=subprocess.DEVNULL)
        tap.no_report("lbadm " + " ".join(args), done.stderr)
        return done

    def lbadm_json(self, *args):
        done = self.lbadm("--json", *args)
        if done.returncode:
            raise RuntimeError(f"lbadm {' '.join(args)}: {done.returncode} {done.stderr}")
        return json.loads(done.stdout)

    def flows(self):
        """Every flow, one page behind the other."""
        found, first = [], 0
        while True:
            answer = self.get(f"/v1/flows?limit=4000&from={first}")
            found += answer["flows"]
            first = answer.get("next")
            if not first:
                return found

    def drift(self, pool_name):
        """Backend -> (open by the counters, by the flow table), where the two differ."""
        flows = self.flows()
        wrong = {}
        for name, backend in self.backends(pool_name).items():
            real = sum(1 for f in flows if f["counted"] and f["pool"] == pool_name
                       and f["backend"] == backend["address"])
            if real != backend["open"]:
                wrong[name] = (backend["open"], real)
        return wrong

    def reload(self):
        """By signal; returns when the log says how it ended."""
        before = self.log_text().count("reload")
        self.process.send_signal(signal.SIGHUP)
        return tap.wait_for(lambda: self.log_text().count("reload") > before)


# ---- Configurations --------------------------------------------------------------------------

NO_CHECK = {"type": "none"}
FAST_CHECK = {"type": "http", "path": "/healthz", "interval": "200ms", "timeout": "200ms",
              "rise": 2, "fall": 2, "backoff-max": "1s"}


def backends(names, port=80, weights=None):
    rows = [{"address": f"{address_of(name)}:{port}", "name": name} for name in names]
    for row, weight in zip(rows, weights or []):
        row["weight"] = weight
    return rows


def pool(names, algorithm="round-robin", health=None, port=80, weights=None, **more):
    return {"algorithm": algorithm, "health": health or NO_CHECK,
            "backends": backends(names, port, weights), **more}


def nat(listen, pool_name):
    return {"listen": listen, "protocol": "tcp", "path": "kernel", "forward": "nat",
            "pool": pool_name}


def interfaces(hook):
    return [{"name": "cl0", "hook": hook}, {"name": "be0", "hook": hook}]


def config(hook, pools, services, **more):
    """<hook> None: no kernel path."""
    head = {"interfaces": interfaces(hook), "limits": {"flows": 65536}} if hook else {}
    return {**head, "pools": pools, "services": services, **more}


def _scalar(value):
    text = str(value)
    return json.dumps(text) if text == "" or text[0] in "[]{}*&!#%@|>'\"-?:`" else text


def to_yaml(value, indent=0):
    """Block style, as a person writes it."""
    pad = "  " * indent
    lines = []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{pad}{key}:\n{to_yaml(item, indent + 1)}")
            else:
                empty = {dict: "{}", list: "[]"}.get(type(item))
                lines.append(f"{pad}{key}: {empty or _scalar(item)}\n")
    elif isinstance(value, list):
        for item in value:
            lines.append(f"{pad}- {to_yaml(item, indent + 1).lstrip()}"
                         if isinstance(item, dict) else f"{pad}- {_scalar(item)}\n")
    return "".join(lines)


def settle(seconds):
    """For proving that something does not happen within a time; never for waiting."""
    time.sleep(seconds)
