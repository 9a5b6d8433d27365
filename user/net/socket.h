/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets: non-blocking, close-on-exec from birth.
 *
 * For: opening and connecting. Owns: nothing; descriptors belong to the caller.
 * May know: base. All return a descriptor or 0, else -errno.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include <stdbool.h>

#include "base/addr.h"

int socket_listen_tcp(const struct addr *addr, bool reuse_port, int backlog);
/* From now on new handshakes get no answer, as if nobody had heard them; those that have begun may
 * end. Accepted sockets are as ever. 0 or -errno. */
int socket_refuse_new(int fd);
int socket_welcome_new(int fd); /* undoes it */
/* Makes one that somebody else opened as socket_listen_tcp() does it. 0 or -errno. */
int socket_adopt_listener(int fd, int backlog);
int socket_unblock(int fd);
/* Replaces a stale socket file, refuses (-EADDRINUSE) one that somebody answers on. */
int socket_listen_unix(const char *path, unsigned mode);
/* Starts a connect; it is done when the socket turns writable (then ask socket_error). */
int socket_connect_tcp(const struct addr *addr, int *ret_fd);
int socket_error(int fd); /* SO_ERROR as 0 or -errno */
/* How a connect ended: socket_error(), and -ECONNREFUSED when the kernel chose the target's own
 * port as ours and so connected the socket to itself, as can be on one host with nobody listening.
 */
int socket_connected(int fd);
/* The next connection with TCP_NODELAY, or -EAGAIN; <ret_peer> may be NULL. */
int socket_accept(int fd, struct addr *ret_peer);
int socket_local(int fd, struct addr *ret_addr);
void socket_close_reset(int fd); /* closes so that the peer sees RST (SO_LINGER 0) */

#endif
