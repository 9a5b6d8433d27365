# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Whether anything in the pinned maps has changed.

    with contextlib.closing(Maps(lab.pin_path)) as maps:
        before = maps.sums()
        ...
        maps.changed(before)   # names of the maps that are not as they were

Left out is what changes by itself: the fields of the sweep and the heartbeat, what each passing ARP
frame counts, and the scratch that it is looked at in.
"""
import ctypes
import hashlib
import mmap
import os
import struct

from lab import BPF_SYSCALL

OBJ_GET, OBJ_INFO, GET_NEXT_KEY, LOOKUP, LOOKUP_BATCH = 7, 15, 4, 1, 24
HASH, ARRAY, PERCPU_ARRAY, LPM, DEVMAP_HASH, RINGBUF = 1, 2, 6, 11, 25, 27
PAGE = mmap.PAGESIZE
# Byte ranges of lb_meta: heartbeat_at and swept_at; sweep_next, hops_changed and swept_ticks.
META_MOVES = [(32, 48), (56, 68)]
COUNTERS_MOVE = 3  # not_ip, not_ours, not_handled: ARP and neighbour discovery of the lab itself
SCRATCH = ["lb_packet"]

_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attr):
    buffer = (ctypes.c_char * 128).from_buffer(attr)
    result = _libc.syscall(BPF_SYSCALL, command, buffer, 128)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _attr(layout, *values):
    attr = bytearray(128)
    struct.pack_into("=" + layout, attr, 0, *values)
    return attr


class Map:
    def __init__(self, path):
        self.name = os.path.basename(path)
        text = ctypes.create_string_buffer(path.encode())
        self.fd = _bpf(OBJ_GET, _attr("QII", ctypes.addressof(text), 0, 0))
        info = ctypes.create_string_buffer(256)
        _bpf(OBJ_INFO, _attr("IIQ", self.fd, 256, ctypes.addressof(info)))
        self.kind, _, self.key_size, self.value_size, self.entries = struct.unpack_from(
            "=IIIII", info.raw)

    def value_bytes(self):
        if self.kind != PERCPU_ARRAY:
            return self.value_size
        with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
            cpus = int(file.read().strip().rpartition("-")[2]) + 1
        return (self.value_size + 7) // 8 * 8 * cpus

    def read(self):
        if self.kind == RINGBUF:  # the producer's position
            with mmap.mmap(self.fd, PAGE, mmap.MAP_SHARED, mmap.PROT_READ, offset=PAGE) as page:
                return page[:8]
        if self.kind in (ARRAY, PERCPU_ARRAY):
            return self._read_batch()
        return self._read_keys()

    def _read_batch(self):
        each = self.value_bytes()
        keys = ctypes.create_string_buffer(self.entries * 4)
        values = ctypes.create_string_buffer(self.entries * each)
        after = ctypes.create_string_buffer(4)
        _bpf(LOOKUP_BATCH, _attr("QQQQIIQQ", 0, ctypes.addressof(after), ctypes.addressof(keys),
                                 ctypes.addressof(values), self.entries, self.fd, 0, 0))
        return self._without_what_moves(bytearray(values.raw), each)

    def _without_what_moves(self, data, each):
        if self.name == "lb_meta":
            for first, end in META_MOVES:
                data[first:end] = bytes(end - first)
        if self.name == "lb_counters":
            data[:COUNTERS_MOVE * each] = bytes(COUNTERS_MOVE * each)
        return data

    def _read_keys(self):
        key = ctypes.create_string_buffer(self.key_size)
        value = ctypes.create_string_buffer(self.value_bytes())
        rows, at = [], 0
        for _ in range(self.entries + 1):
            try:
                _bpf(GET_NEXT_KEY, _attr("IIQQ", self.fd, 0, at, ctypes.addressof(key)))
                _bpf(LOOKUP, _attr("IIQQQ", self.fd, 0, ctypes.addressof(key),
                                   ctypes.addressof(value), 0))
            except FileNotFoundError:
                break
            rows.append(key.raw + value.raw)
            at = ctypes.addressof(key)
        return b"".join(sorted(rows))


class Maps:
    def __init__(self, pin_path):
        directory = f"{pin_path}/maps"
        self.maps = [Map(f"{directory}/{name}") for name in sorted(os.listdir(directory))
                     if name not in SCRATCH]

    def close(self):
        for each in self.maps:
            os.close(each.fd)

    def sums(self):
        return {each.name: hashlib.sha256(each.read()).hexdigest() for each in self.maps}

    def changed(self, before):
        after = self.sums()
        return [name for name in after if after[name] != before[name]]
