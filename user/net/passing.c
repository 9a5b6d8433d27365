/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/passing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Aligned as cmsg(3) asks for. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(PASSING_MAX_FDS * sizeof(int))];
};

int passing_pair(int ret_fds[2])
{
	int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;

	return socketpair(AF_UNIX, type, 0, ret_fds) < 0 ? -errno : 0;
}

int passing_send(int channel, const void *data, size_t len, const int *fds, unsigned n)
{
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};
	ssize_t sent;

	if (n > PASSING_MAX_FDS || len > PASSING_MAX_BYTES)
		return -EMSGSIZE;
	if (n > 0) {
		struct cmsghdr *head;

		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(head), fds, n * sizeof(int));
	}
	do {
		sent = sendmsg(channel, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

static unsigned take_fds(struct msghdr *message, int *fds)
{
	unsigned n = 0;

	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		unsigned more = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
		    n + more > PASSING_MAX_FDS)
			continue;
		memcpy(&fds[n], CMSG_DATA(head), more * sizeof(int));
		n += more;
	}
	return n;
}

ssize_t passing_receive(int channel, void *data, size_t size, int *ret_fds, unsigned *ret_n)
{
	struct iovec iov = {.iov_base = data, .iov_len = size};
	union control control;
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fds[PASSING_MAX_FDS];
	unsigned n_fds;
	ssize_t n;

	do {
		n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	n_fds = take_fds(&message, fds);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		close_all(fds, n_fds);
		return -EMSGSIZE;
	}
	memcpy(ret_fds, fds, n_fds * sizeof(int));
	*ret_n = n_fds;
	return n;
}
