#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Uploads of a browser's size and form, by curl, to a server that hashes what came."""
import hashlib
import http.server
import json
import os
import re
import threading

from build import SLOW
from lab import NO_CHECK
from loopback import Loopback
from tap import at_most, check, main, ok

SIZE = 50 << 20
URL = "http://127.0.0.1:7000"
GROWTH_KB = 2048 * SLOW


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with what it got: {"length", "sha256", "parts": {name: [file name, sha256]}}."""
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def parts(self, body):
        """RFC 7578 as curl writes it."""
        boundary = re.search("boundary=(.*)", self.headers.get("Content-Type", ""))
        if not boundary:
            return {}
        found = {}
        for part in body.split(b"--" + boundary.group(1).encode())[1:-1]:
            end = part.find(b"\r\n\r\n")
            words = dict(re.findall('(\\w+)="([^"]*)"', part[:end].decode()))
            content = memoryview(part)[end + 4:-2]
            found[words["name"]] = [words.get("filename"), hashlib.sha256(content).hexdigest()]
        return found

    def do_POST(self):
        if self.path == "/refuse":
            self.send_error(413, "too large for me")
            self.close_connection = True
            return
        body = self.body()
        answer = json.dumps({"length": len(body), "sha256": hashlib.sha256(body).hexdigest(),
                             "expect": self.headers.get("Expect"),
                             "parts": self.parts(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_POST

    def handle_expect_100(self):
        return self.path == "/refuse" or super().handle_expect_100()

    def log_message(self, *_):
        pass


def memory_kb(lbd, key="VmRSS"):
    with open(f"/proc/{lbd.process.pid}/status", encoding="ascii") as file:
        return int(re.search(rf"{key}:\s+(\d+)", file.read()).group(1))


def curl(lab, *args):
    """(status, JSON answer or text)."""
    done = lab.run("client", "curl", "-sS", "--max-time", "60", "-w", "\n%{http_code}", *args)
    body, _, status = done.stdout.rpartition("\n")
    try:
        return int(status), json.loads(body)
    except ValueError:
        return int(status), body + done.stderr


def test_upload():
    config = {"workers": 1,
              "pools": {"web": {"algorithm": "round-robin", "health": NO_CHECK,
                                "backends": [{"name": "b1", "address": "127.0.0.1:7001"}]}},
              "services": {"web": {"listen": "127.0.0.1:7000", "protocol": "http", "pool": "web"}}}
    with Loopback() as lab, lab.lbd(config) as lbd:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 7001), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path = f"{lab.run_dir}/photo.raw"
        with open(path, "wb") as file:
            file.write(os.urandom(1 << 20) * (SIZE >> 20))
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        uploads(lab, lbd, path, digest)
        server.shutdown()
        server.server_close()


def uploads(lab, lbd, path, digest):
    curl(lab, "-F", "title=warm", f"{URL}/")
    before = memory_kb(lbd)
    form = ["-F", "title=my photo", "-F", f"file=@{path};filename=photo.raw"]
    wanted = {"title": [None, hashlib.sha256(b"my photo").hexdigest()],
              "file": ["photo.raw", digest]}
    status, answer = curl(lab, *form, f"{URL}/")
    check("a form of 50 MB arrives whole, after 100-continue",
          (status, answer["parts"], answer["expect"]), (200, wanted, "100-continue"))
    status, answer = curl(lab, *form, "-H", "Expect:", f"{URL}/")
    check("likewise without it", (status, answer["parts"], answer["expect"]), (200, wanted, None))
    status, answer = curl(lab, *form, "-H", "Transfer-Encoding: chunked", f"{URL}/")
    check("likewise chunked", (status, answer["parts"]), (200, wanted))
    status, answer = curl(lab, "-T", path, f"{URL}/photo.raw")
    check("a PUT of 50 MB arrives whole", (status, answer["length"], answer["sha256"]),
          (200, SIZE, digest))
    status, answer = curl(lab, *form, f"{URL}/refuse")
    check("a server that refuses the form at once is heard: with 100-continue", status, 413)
    status, answer = curl(lab, *form, "-H", "Expect:", f"{URL}/refuse")
    ok("and without, while the body comes", status == 413, (status, answer))
    at_most("lbd's memory has grown by at most so many KB", memory_kb(lbd, "VmHWM") - before,
            GROWTH_KB)


if __name__ == "__main__":
    main(test_upload)
