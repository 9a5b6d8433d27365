# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A flow table full of open connections that nobody opened, written into the pinned maps.

They stand where no packet would find them: for what walks the table.

The layouts are those of struct lb_flow, lb_meta and lb_live in include/lb/abi.h.
"""
import ctypes
import mmap
import struct

from lab import BPF_SYSCALL, _libc

BPF_OBJ_GET = 7
FLOW, LIVE = 64, 128  # bytes
OPEN_COUNTED = 4 | 1 << 8 | 1 << 32  # state, LB_FLOW_COUNTED, generation 1
LIVE_FLOWS, SWEPT_TICKS = 48, 64  # in lb_meta
VIP_ROW = 1  # of the only service


def _memory(path, size):
    name = ctypes.create_string_buffer(path.encode())
    attr = ctypes.create_string_buffer(struct.pack("QII", ctypes.addressof(name), 0, 0), 128)
    fd = _libc.syscall(BPF_SYSCALL, BPF_OBJ_GET, attr, len(attr))
    if fd < 0:
        raise OSError(ctypes.get_errno(), path)
    return mmap.mmap(fd, size)


def _mapped(address):
    return bytes(10) + b"\xff\xff" + address


def _record(i, n_backends, now):
    """Sixteen connections of each client from 10.64.0.0 on, to backends with the ids from 1 on."""
    backend = 1 + i % n_backends
    return (struct.pack("<QIHH", OPEN_COUNTED, now, backend, 1)
            + _mapped(struct.pack(">I", 0x0a400000 + i // 16))
            + struct.pack(">HHH", 1024 + i % 16, 80, 1024 + i % 16)
            + struct.pack("<HHHBB", VIP_ROW, 0, 0, 6, 0))


def fill(pin_path, count, n_backends):
    flows = _memory(f"{pin_path}/maps/lb_flows", count * FLOW)
    meta = _memory(f"{pin_path}/maps/lb_meta", mmap.PAGESIZE)
    live = _memory(f"{pin_path}/maps/lb_live", 16 * mmap.PAGESIZE)
    now, = struct.unpack_from("<I", meta, SWEPT_TICKS)
    for i in range(count):
        record = _record(i, n_backends, now)
        flows[i * FLOW:i * FLOW + len(record)] = record
    for i in range(n_backends):
        struct.pack_into("<Q", live, (1 + i) * LIVE, len(range(i, count, n_backends)))
    struct.pack_into("<Q", meta, LIVE_FLOWS, count)
