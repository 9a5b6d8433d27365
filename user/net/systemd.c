/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_TEXT   1024
#define MAX_FDS	   64 /* of one message; systemd takes 768 (NOTIFY_FD_MAX) */
#define MAX_PASSED 65536

/* 0: it is not there, or no number. */
static unsigned long long number_of(const char *variable)
{
	const char *text = getenv(variable);
	unsigned long long value;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	value = strtoull(text, &end, 10);
	return *end || errno ? 0 : value;
}

static bool is_for_us(const char *variable)
{
	return !getenv(variable) || number_of(variable) == (unsigned long long)getpid();
}

void systemd_init(struct systemd *systemd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;
	unsigned long long usec = number_of("WATCHDOG_USEC");

	*systemd = (struct systemd){.notify.sun_family = AF_UNIX};
	if (is_for_us("WATCHDOG_PID") && usec > 0 && usec / 1000 <= UINT32_MAX)
		systemd->watchdog_ms = usec < 1000 ? 1 : (uint32_t)(usec / 1000);
	if (len < 2 || len >= sizeof(systemd->notify.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(systemd->notify.sun_path, path, len);
	if (*path == '@') /* the abstract namespace (unix(7)) */
		systemd->notify.sun_path[0] = '\0';
	systemd->notify_len = (unsigned)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* Aligned as cmsg(3) asks for. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
};

static int send_text(const struct systemd *systemd, struct iovec *text, const int *fds, unsigned n)
{
	struct sockaddr_un name = systemd->notify;
	union control control = {0};
	struct msghdr message = {.msg_name = &name,
				 .msg_namelen = systemd->notify_len,
				 .msg_iov = text,
				 .msg_iovlen = 1};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (n > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n * sizeof(int));
	}
	r = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int systemd_notify(const struct systemd *systemd, const int *fds, unsigned n, const char *fmt, ...)
{
	char text[MAX_TEXT];
	struct iovec iov = {.iov_base = text};
	va_list args;
	int len;

	if (systemd->notify_len == 0)
		return 0;
	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len < 0 || len >= (int)sizeof(text) || n > MAX_FDS)
		return -EMSGSIZE;
	iov.iov_len = (size_t)len;
	return send_text(systemd, &iov, fds, n);
}

unsigned systemd_passed(void)
{
	unsigned long long n = number_of("LISTEN_FDS");

	if (!getenv("LISTEN_PID") || !is_for_us("LISTEN_PID") || n > MAX_PASSED)
		n = 0;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	for (unsigned i = 0; i < n; i++)
		(void)fcntl(SYSTEMD_FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
	return (unsigned)n;
}
