/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One lbd per pin path: a lock that ends with the process that holds it.
 *
 * For: open and teardown. Owns: the descriptor it returns (close ends the lock).
 * May know: base. A BPF file system holds no regular files, so the lock of "/sys/fs/bpf/lbd" is
 * "/run/lbd/sys-fs-bpf-lbd.lock"; '-' and '%' of the path are written %2d and %25. The file holds
 * the pid of its owner and is left behind: removing it would race with the next one.
 */
#ifndef DATAPLANE_LOCK_H
#define DATAPLANE_LOCK_H

#include "base/error.h"

/* Takes over one that another process holds through the same open file, so that there is no moment
 * without a holder; it names us from now on. */
int lock_adopt(int fd, struct error *err);
/* -EBUSY with the pid of the holder in <err>. */
int lock_take(const char *pin_path, int *ret_fd, struct error *err);

#endif
