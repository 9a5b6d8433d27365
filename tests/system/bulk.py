# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""iperf3 between the client and the first backend."""
import json
import re
import statistics
import subprocess

import tap

PORT = "5201"
PATIENCE = 20  # seconds


def median(values):
    return statistics.median(values) if values else 0


class Bulk:
    def __init__(self, lab):
        self.lab = lab
        self.server = None

    def __enter__(self):
        self.server = self.lab.popen("b1", "iperf3", "-s", "-p", PORT,
                                     stderr=subprocess.DEVNULL)
        tap.wait_for(self._listens)
        return self

    def __exit__(self, *_):
        self.lab.end(self.server)

    def _listens(self):
        return PORT in self.lab.run("b1", "ss", "-Hltn", f"sport = :{PORT}").stdout

    def run(self, address, way, *length):
        """Bits per second that the receiver got of so much (iperf3's -t or -n); 0: it failed."""
        argv = ["iperf3", "-c", address, "-p", PORT, *length, "-J", "--connect-timeout", "1000"]
        try:
            done = self.lab.run("client", *argv, *(["-R"] if way == "down" else []),
                                timeout=PATIENCE)
            answer = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            tap.note(f"iperf3 to {address}: {error}")
            return 0
        if "error" in answer:
            tap.note(f"iperf3 to {address}: {answer['error']}")
            return 0
        return answer["end"]["sum_received"]["bits_per_second"]

    def largest_packet(self, link, address, way):
        """The largest packet that the balancer sent out of <link> during a short run."""
        dump = self.lab.popen("lb", "tcpdump", "-Q", "out", "-c", "20000", "-nns", "96", "-i", link,
                              "tcp", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        dump.stderr.readline()  # it listens
        self.run(address, way, "-n", "256M")
        self.lab.end(dump)
        text = dump.stdout.read()
        return max((int(n) for n in re.findall(r"length (\d+)", text)), default=0)
