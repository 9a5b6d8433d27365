#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The tables of tests/vectors over sockets: each vector whole, byte by byte and cut at token borders.

Of a request: the answers, the end of the connection after a refusal, and every byte that reached
the backend. Of a response: every byte that reached the client, and whether the connection to the
backend was thrown away.

    tests/system/test_strict.py [test_requests | test_responses]
"""
import asyncio

from lab import NO_CHECK, PROXY, Lab, backends, config
from lane import BYTE_BY_BYTE, PATIENCE_S, PROBE_LINE, TOKENS, WHOLE, Backend, Lane, send
from tap import main, ok
from vectors import Malformed, load, read

LANES = 24


def services():
    pools, found = {}, {}
    for i in range(LANES):
        pools[f"p{i}"] = {"algorithm": "round-robin", "health": NO_CHECK,
                          "backends": backends(["b1"], 7000 + i)}
        found[f"s{i}"] = {"listen": f"{PROXY}:{9000 + i}", "protocol": "http", "pool": f"p{i}"}
    return config(None, pools, found, workers=1)


def differ(what, got, expected):
    if got == expected:
        return []
    return [f"{what}: expected {expected!r:.2000}", f"{' ' * len(what)}       got {got!r:.2000}"]


# ---- Requests ----------------------------------------------------------------------------------

async def converse(lane, vector, how):
    """Sends the vector; (client, statuses of the answers)."""
    client = await lane.connect()
    sending = asyncio.ensure_future(send(client.sock, vector["send"], how))
    statuses = []
    asked = vector["send"].split(b" ")[0]
    for _ in vector["answer"]:
        for message in await client.answers(asked):
            statuses.append(int(message.line[9:12]) if message.line else client.end)
    await sending
    return client, statuses


async def conclude(lane, vector, client):
    """The connection is over, or goes on with the next request: what is wrong with that."""
    if vector["then"] or vector["answer"][-1] >= 400:
        await client.finish()
        wrong = differ("end", (client.end, client.data), ("closed", b""))
        client.sock.close()
        good = await lane.probe()
        return wrong + ([] if good else ["the next request, on a new connection, is not answered"])
    if await lane.probe(client):
        return []
    return ["the next request on the connection is not answered: the two sides disagree where "
            "the last one ended"]


def beginning(vector, upstreams, added):
    """What is wrong with bytes at the backend that make no whole message."""
    rests = [u.data for u in upstreams if u.data]
    cut = [m for m in vector["backend"] if m.cut]
    if not rests:
        return []
    if not cut or len(rests) > 1:
        return [f"the backend got {rests!r:.500} and never the rest"]
    part, expected = read(rests[0]), cut[0]
    if part.line is None:
        return ["half of a head at the backend"]
    begun = expected.body.startswith(part.body)
    expected.body, expected.trailers = part.body, part.trailers
    return differ("beginning at the backend", part.told(added), expected.told(added)) + (
        [] if begun else [f"the backend got of the body: {part.body!r:.500}"])


def arrived(lane, vector, added):
    local = "{}:{}".format(*lane.address).encode()
    expected = [m for m in vector["backend"] if not m.cut]
    for message in expected:
        message.fields = [(n, local if v == b"{local}" else v) for n, v in message.fields]
    got = [m for _, m in lane.backend.seen if m.line != PROBE_LINE]
    return differ("at the backend", [m.told(added) for m in got],
                  [m.told(added) for m in expected])


async def one_request(lane, vector, how, added):
    lane.backend.reset()
    client, statuses = await converse(lane, vector, how)
    wrong = differ("answers", statuses, vector["answer"])
    wrong += await conclude(lane, vector, client)
    wrong += arrived(lane, vector, added)
    wrong += beginning(vector, lane.backend.upstreams, added)
    return wrong + lane.backend.wrong


# ---- Responses ---------------------------------------------------------------------------------

def judge_answers(vector, client, got, added):
    """What the client got."""
    expected = list(vector["client"])
    final = vector["answer"][-1]
    cut = bool(expected) and expected[-1].cut
    if final == 502:
        wrong = differ("status", got[-1].line, b"HTTP/1.1 502 Bad Gateway")
        return wrong + differ("before the 502", [m.told(added) for m in got[:-1]],
                              [m.told(added) for m in expected])
    wrong = differ("whole", got[-1].whole, not cut)
    if cut and expected[-1].body.startswith(got[-1].body):
        expected[-1].body = got[-1].body
        expected[-1].trailers = got[-1].trailers
    unframed = not got[-1].values(b"content-length") and not got[-1].values(b"transfer-encoding")
    if cut and unframed:
        wrong += differ("end", client.end, "reset")
    return wrong + differ("at the client", [m.told(added) for m in got],
                          [m.told(added) for m in expected])


async def judge_upstream(lane, vector, client):
    """Is the connection to the backend thrown away if it has to be, and used again if not?"""
    first = lane.backend.seen[0][0]
    kept = vector["answer"] != [502] and not vector["then"] and not any(
        m.cut for m in vector["client"])
    if not kept and not vector["close"]:
        await asyncio.wait_for(first.gone.wait(), PATIENCE_S)
    if b"HTTP/1.0" in vector["request"]:
        await client.finish()
    good = await lane.probe(None if client.end else client)
    wrong = [] if good else ["the next request is not answered"]
    last, message = lane.backend.seen[-1]
    return (wrong + differ("the probe", message.line, PROBE_LINE) +
            differ("the same connection to the backend", last is first, kept))


async def one_response(lane, vector, how, added):
    lane.backend.reset(vector["send"], vector["close"], how)
    client = await lane.connect()
    asked = vector["request"].split(b" ")[0]
    await send(client.sock, vector["request"], WHOLE)
    got = await client.answers(asked)
    wrong = judge_answers(vector, client, got, added)
    wrong += differ("more at the client", client.data if got[-1].whole else b"", b"")
    wrong += await judge_upstream(lane, vector, client)
    return wrong + lane.backend.wrong


# ---- Tests -------------------------------------------------------------------------------------

async def run_lane(lane, work, play, added, results):
    while work:
        vector, how = work.pop()
        try:
            wrong = await asyncio.wait_for(play(lane, vector, how, added), 6 * PATIENCE_S)
        except (OSError, Malformed, IndexError, asyncio.TimeoutError) as error:
            wrong = [repr(error)] + lane.backend.wrong
        results.append((vector, how, wrong))


async def run(lab, table, play):
    work, results, added = [], [], set()
    for how in (WHOLE, TOKENS, BYTE_BY_BYTE):
        vectors, added = load(table)
        work += [(v, how) for v in vectors if not v.get("known")]
    work.sort(key=lambda w: len(w[0]["send"]))  # taken from the end
    lanes = [Lane(lab, (PROXY, 9000 + i), Backend(lab, "b1", 7000 + i)) for i in range(LANES)]
    await asyncio.gather(*(run_lane(lane, work, play, added, results) for lane in lanes))
    for lane in lanes:
        lane.backend.task.cancel()
        lane.backend.listener.close()
    return results


def play_all(table, play):
    with Lab("tc", 1) as lab, lab.lbd(services()):
        results = asyncio.run(run(lab, table, play))
    for vector, how, wrong in sorted(results, key=lambda r: (r[0]["number"], r[1])):
        ok(f"{table}: {vector['name']}, {how}", not wrong,
           "\n".join([f"sent: {vector['send']!r:.500}", f"rule: {vector['rule']}"] + wrong))


def test_requests():
    play_all("requests", one_request)


def test_responses():
    play_all("responses", one_response)


if __name__ == "__main__":
    main(test_requests, test_responses)
