/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pin path: a directory on a BPF file system, and the pins below it.
 *
 * For: maps, attach, teardown. Owns: nothing; the pins are files.
 * May know: base. Must never know: what is pinned.
 */
#ifndef DATAPLANE_BPFFS_H
#define DATAPLANE_BPFFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BPFFS_PATH_LEN 512

/*
 * Makes <path> and its subdirectories "maps" and "links". When no BPF file system is mounted at
 * /sys/fs/bpf and the path is below it, mounts one. <ret_real> is the path without links and dots.
 */
int bpffs_make(const char *path, char ret_real[static BPFFS_PATH_LEN], struct error *err);
/* -ENAMETOOLONG, or 0: "<path>/<dir>/<name>". */
int bpffs_join(const char *path, const char *dir, const char *name,
	       char ret_joined[static BPFFS_PATH_LEN]);
/* Pins <fd> there, in place of what is there. 0 or -errno. */
int bpffs_pin(int fd, const char *path);
/* Removes <path> and its subdirectories, which hold no pin any more. 0 or -errno. */
int bpffs_remove(const char *path);
/* Calls <each>(ctx, name) for every pin in <path>/<dir>, at most a thousand; no directory: none. */
int bpffs_each(const char *path, const char *dir, int (*each)(void *ctx, const char *name),
	       void *ctx);

#endif
