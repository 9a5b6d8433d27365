/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_DIR "/run/lbd"

static int path_of(const char *pin_path, char *path, size_t size)
{
	size_t used = (size_t)snprintf(path, size, LOCK_DIR "/");

	for (const char *c = pin_path + (*pin_path == '/'); *c; c++) {
		const char *escaped = *c == '-'	  ? "%2d"
				      : *c == '%' ? "%25"
				      : *c == '/' ? "-"
						  : NULL;
		int len = escaped ? snprintf(path + used, size - used, "%s", escaped)
				  : snprintf(path + used, size - used, "%c", *c);

		used += (size_t)len;
		if (used + sizeof(".lock") > size)
			return -ENAMETOOLONG;
	}
	(void)snprintf(path + used, size - used, ".lock");
	return 0;
}

static int busy(int fd, const char *pin_path, struct error *err)
{
	char pid[16] = "";
	ssize_t len = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[len > 0 ? strcspn(pid, "\n") : 0] = '\0';
	return error_set(err, -EBUSY, "pin-path",
			 "pin path '%s' is in use by another lbd, process %s; stop it or use "
			 "another pin-path",
			 pin_path, *pid ? pid : "unknown");
}

static int write_pid(int fd)
{
	char pid[16];
	int len = snprintf(pid, sizeof(pid), "%d\n", getpid());

	return ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)len, 0) != len ? -EIO : 0;
}

/* Locks of flock(2) belong to the open file, which processes may share. */
int lock_adopt(int fd, struct error *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) != 0 || write_pid(fd) != 0)
		return error_set(err, -EIO, "pin-path", "cannot take the lock over: %s",
				 strerror(errno));
	return 0;
}

int lock_take(const char *pin_path, int *ret_fd, struct error *err)
{
	char path[PATH_MAX];
	int fd;

	if (path_of(pin_path, path, sizeof(path)))
		return error_set(err, -ENAMETOOLONG, "pin-path", "pin path '%s' is too long",
				 pin_path);
	(void)mkdir(LOCK_DIR, 0755);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return error_set(err, -errno, "pin-path", "cannot open lock '%s': %s", path,
				 strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		int rc = errno == EWOULDBLOCK
				 ? busy(fd, pin_path, err)
				 : error_set(err, -errno, "pin-path", "cannot lock '%s': %s", path,
					     strerror(errno));

		(void)close(fd);
		return rc;
	}
	if (write_pid(fd) != 0) {
		(void)close(fd);
		return error_set(err, -EIO, "pin-path", "cannot write lock '%s'", path);
	}
	*ret_fd = fd;
	return 0;
}
