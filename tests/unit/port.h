/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ports of 127.0.0.1 that belong to one test, also while nobody listens there.
 *
 * For: tests that run beside others on one machine. Owns: nothing; the caller closes. May know:
 * base.
 */
#ifndef TEST_PORT_H
#define TEST_PORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>

#include "base/addr.h"

/*
 * A free port as long as the descriptor is open. Who connects to it is refused, until the test
 * listens there, with SO_REUSEADDR. A port that was only found free is anybody's: with SO_REUSEPORT
 * two processes even listen on it together. The kernel gives a bound port to nobody who asks for
 * any (inet_csk_find_open_port and __inet_hash_connect in net/ipv4), and to those who name it if
 * both have the option and the older does not listen (inet_bind_conflict there).
 */
static inline int port_reserve(struct addr *ret_addr)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	const int on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	assert_int_equal(addr_from_sockaddr(&ss, ret_addr), 0);
	return fd;
}

#endif
