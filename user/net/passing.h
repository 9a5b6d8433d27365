/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Messages with descriptors, from one process to another, over a SOCK_SEQPACKET pair.
 *
 * For: handing sockets over (unix(7), SCM_RIGHTS). Owns: nothing; received descriptors belong to
 * the caller and are close-on-exec. May know: nobody. Must never know: what the bytes mean.
 */
#ifndef NET_PASSING_H
#define NET_PASSING_H

#include <sys/types.h>

#define PASSING_MAX_FDS	  64
#define PASSING_MAX_BYTES 131072 /* of one message: below the default net.core.wmem_default */

/* Both ends non-blocking and close-on-exec. */
int passing_pair(int ret_fds[2]);
/* 0, -EAGAIN (the other side does not read), or another -errno. */
int passing_send(int channel, const void *data, size_t len, const int *fds, unsigned n);
/* Bytes, 0 at the end, -EAGAIN, or another -errno. <ret_fds> has room for PASSING_MAX_FDS. */
ssize_t passing_receive(int channel, void *data, size_t size, int *ret_fds, unsigned *ret_n);

#endif
