# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The tables of tests/vectors, and HTTP/1.1 messages as they stand on the wire.

    for vector in load("requests"): vector["send"] is bytes, vector["backend"] a list of Message

The reader of messages here is for what a proxy has written: it knows one way to write each thing
and refuses every other, so that a test which compares messages has compared bytes.
"""
import json
import re

from build import ROOT

CHUNK = re.compile(rb"([0-9a-fA-F]{1,16})\r\n")


class Malformed(Exception):
    """Bytes that no proxy should have written."""


class Message:
    def __init__(self):
        self.line = None  # bytes, None until the whole head is there
        self.fields = []  # (name, value)
        self.body = b""
        self.trailers = []
        self.whole = False
        self.cut = False  # in a table: only a beginning of it may arrive
        self.end = 0  # so many bytes of the input
        self.raw = b""  # them, if it is whole

    def values(self, name):
        return [value for n, value in self.fields if n.lower() == name]

    def told(self, added=()):
        """What two messages are compared by: order counts among fields of one name only."""
        fields = [f for f in self.fields if f[0].lower() not in added]
        return {"line": self.line, "fields": sorted(fields, key=lambda f: f[0].lower()),
                "trailers": sorted(self.trailers, key=lambda f: f[0].lower()), "body": self.body}


# ---- The tables --------------------------------------------------------------------------------

def text(value):
    """The bytes of a text: a string, or its parts; [text, n] is n times the text."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if len(value) == 2 and isinstance(value[1], int):
        return text(value[0]) * value[1]
    return b"".join(map(text, value))


def _field(line):
    name, _, value = line.partition(b":")
    return name, value.strip(b" \t")


def _message(row):
    message = Message()
    message.line = text(row["line"])
    message.fields = [_field(text(f)) for f in row.get("fields", [])]
    message.body = text(row.get("body", ""))
    message.trailers = [_field(text(t)) for t in row.get("trailers", [])]
    message.cut = row.get("cut", False)
    return message


def _list(value):
    return value if isinstance(value, list) else [value]


def load(name):
    """(vectors, lower-case names of the fields that a proxy adds)"""
    with open(f"{ROOT}/tests/vectors/{name}.json", encoding="ascii") as file:
        table = json.load(file)
    vectors = []
    for number, row in enumerate(table["vectors"], 1):
        vector = {"then": None, "close": False, **row, "number": number, "send": text(row["send"]),
                  "answer": _list(row["answer"])}
        for who in ("backend", "client"):
            vector[who] = [_message(m) for m in _list(row.get(who, []))]
        vector["request"] = text(row.get("request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        vectors.append(vector)
    return vectors, {n.lower().encode() for n in table["added"]}


# ---- On the wire -------------------------------------------------------------------------------

def _read_lines(data, at):
    """Field lines up to the empty one: (fields, where they end), or None."""
    fields = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        line = data[at:end]
        at = end + 2
        if not line:
            return fields, at
        if not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\0-\x08\x0a-\x1f\x7f]*", line):
            raise Malformed(f"field line {line!r}")
        fields.append(_field(line))


def _read_chunks(message, data, at):
    while True:
        size = CHUNK.match(data, at)
        if not size:
            if b"\r\n" in data[at:at + 18] or len(data) - at > 18:
                raise Malformed(f"chunk {data[at:at + 30]!r}")
            return
        length, at = int(size.group(1), 16), size.end()
        if length == 0:
            lines = _read_lines(data, at)
            if lines:
                message.trailers, message.end = lines
                message.whole = True
            return
        message.body += data[at:at + length]
        at += length
        if not b"\r\n".startswith(data[at:at + 2]):
            raise Malformed(f"{data[at:at + 2]!r} behind a chunk")
        if len(data) < at + 2:
            return
        at += 2


def _read_body(message, data, at, until_close, eof, strict):
    lengths = message.values(b"content-length")
    codings = message.values(b"transfer-encoding")
    if not strict:
        codings = [c.lower() for c in codings]
        lengths = [n.lstrip(b"0") or b"0" for n in lengths]
    if codings and (lengths or codings != [b"chunked"]) or len(lengths) > 1:
        raise Malformed(f"framing {lengths} {codings}")
    if codings:
        _read_chunks(message, data, at)
    elif until_close and not lengths:
        message.body, message.end, message.whole = data[at:], len(data), eof
    else:
        if lengths and not re.fullmatch(rb"0|[1-9][0-9]{0,18}", lengths[0]):
            raise Malformed(f"length {lengths[0]!r}")
        message.end = at + (int(lengths[0]) if lengths else 0)
        message.body = data[at:message.end]
        message.whole = len(data) >= message.end


def read(data, asked=None, eof=False, strict=True):
    """The message at the start of <data>, or as much of it as is there. <asked> is the method of
    the request if it is a response; <eof>: nothing will follow. Not <strict>: what frames it may
    be written in any way that means one thing only."""
    message = Message()
    end = data.find(b"\r\n", 0)
    lines = _read_lines(data, end + 2) if end >= 0 else None
    if not lines:
        return message
    message.line = data[:end]
    message.fields, at = lines
    status = int(message.line[9:12]) if asked else 0
    if asked and (asked == b"HEAD" or status < 200 or status in (204, 304)):
        message.end, message.whole = at, True
    else:
        _read_body(message, data, at, asked is not None, eof, strict)
    message.raw = data[:message.end] if message.whole else b""
    return message
