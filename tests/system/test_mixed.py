#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Random clients and random servers (mixed.py): nobody gets what is another's, what is cut looks
cut, nothing waits for a time-out, and nothing is left of it. Another seed each time, which a failure
tells.

    test_mixed.py [SEED]
"""
import asyncio
import os
import sys

from loopback import Loopback
from mixed import Mixture
from tap import at_least, check, main, wait_for

SECONDS = float(os.environ.get("LBD_TEST_SECONDS", "4"))
CLIENTS = 40
SERVERS = 3
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else int.from_bytes(os.urandom(4), "big")


def configuration(mixture, lbd):
    limit = mixture.some("", "    max-connections: 8\n    queue: {size: 1000, timeout: 20s}\n")
    rows = "".join(f"      - {{name: b{i}, address: 127.0.0.1:{7000 + i}}}\n"
                   for i in range(1, SERVERS + 1))
    return (f"workers: 2\nadmin: {{socket: {lbd.socket}}}\nstate-path: {lbd.directory}/state\n"
            f"pools:\n  web:\n    health: {{type: none}}\n"
            f"    algorithm: {mixture.some('round-robin', 'least-connections', 'random-two')}\n"
            f"    retries: {{attempts: 3, on: [connect, closed, 503]}}\n{limit}"
            f"    backends:\n{rows}"
            "services:\n  web:\n    listen: 127.0.0.1:7000\n    protocol: http\n    pool: web\n"
            f"    access-log: {{file: {lbd.directory}/access, format: \"${{request}} ${{reason}}\"}}\n"
            "    timeouts: {client-header: 20s, client-body: 20s, response-header: 20s,\n"
            "               response-idle: 20s, client-idle: 20s}\n")


async def play(mixture):
    servers = [await asyncio.start_server(mixture.serve, "127.0.0.1", 7000 + i, backlog=1024)
               for i in range(1, SERVERS + 1)]
    clients = [asyncio.ensure_future(mixture.client(("127.0.0.1", 7000))) for _ in range(CLIENTS)]
    await asyncio.sleep(SECONDS)
    mixture.over = True
    await asyncio.gather(*clients)
    for server in servers:
        server.close()


def left(lbd):
    return (lbd.get("/v1/services/web")["open"] +
            sum(backend["open"] for backend in lbd.backends("web").values()))


def waited(lbd):
    with open(f"{lbd.directory}/access", encoding="utf-8") as log:
        return [line.strip() for line in log if "timeout" in line]


def test_mixed():
    print(f"# seed {SEED}", flush=True)
    mixture = Mixture(SEED)
    with Loopback() as lab:
        lbd = lab.lbd("")
        lbd.write_config(f"pin-path: {lab.pin_path}\n" + configuration(mixture, lbd))
        with lbd:
            asyncio.run(play(mixture))
            wait_for(lambda: left(lbd) == 0, 5)
            check(f"seed {SEED}: nothing is open when all have gone", left(lbd), 0)
            check(f"seed {SEED}: nothing was ended by its time only", waited(lbd), [])
        check(f"seed {SEED}: each answer was its request's", mixture.wrong, [])
        at_least("and there were many", mixture.whole, 100)


if __name__ == "__main__":
    del sys.argv[1:]
    main(test_mixed)
