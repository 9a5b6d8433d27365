/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a service says to systemd and gets from it: datagrams and a few variables.
 *
 * For: the daemon. Owns: nothing. May know: nobody. Must never know: what a service does.
 * The protocol is that of sd_notify(3) and sd_listen_fds(3), which need no library.
 */
#ifndef NET_SYSTEMD_H
#define NET_SYSTEMD_H

#include <stdint.h>
#include <sys/un.h>

#define SYSTEMD_FIRST_FD 3

struct systemd {
	struct sockaddr_un notify; /* of NOTIFY_SOCKET */
	unsigned notify_len;	   /* 0: nobody wants to know */
	uint32_t watchdog_ms;	   /* a sign of life is wanted at least this often; 0: none is */
};

/* Reads the environment, and leaves it to those who are started after us. */
void systemd_init(struct systemd *systemd);
/*
 * Lines like "READY=1\nSTATUS=...", with descriptors for its store. 0, also when nobody wants to
 * know, or -errno; it never blocks.
 */
int systemd_notify(const struct systemd *systemd, const int *fds, unsigned n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* How many descriptors were passed to this process, from SYSTEMD_FIRST_FD on; once, so that it is
 * said to nobody else. They are made close-on-exec. */
unsigned systemd_passed(void);

#endif
