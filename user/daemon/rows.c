/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "daemon/rows.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS_SIZE (LB_MAX_BACKENDS * sizeof(struct lb_live))

static int make_memory(void)
{
	int fd = memfd_create("lbd-rows", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)ROWS_SIZE) == 0)
		return fd;
	close(fd);
	return -ENOMEM;
}

/* Rows of another size are another version's. */
static bool fits(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && status.st_size == (off_t)ROWS_SIZE;
}

int rows_open(struct load_balancer *lb, int fd)
{
	void *rows;

	if (fd >= 0 && !fits(fd)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		fd = make_memory();
	if (fd < 0)
		return fd;
	rows = mmap(NULL, ROWS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (rows == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	lb->rows = rows;
	lb->rows_fd = fd;
	return 0;
}

void rows_close(struct load_balancer *lb)
{
	if (!lb->rows)
		return;
	(void)munmap(lb->rows, ROWS_SIZE);
	close(lb->rows_fd);
	lb->rows = NULL;
	lb->rows_fd = -1;
}

void rows_settle(struct lb_live *rows)
{
	for (uint32_t id = 1; id < LB_MAX_BACKENDS; id++)
		if (rows[id].proxy_closed != rows[id].proxy_opened)
			rows[id].proxy_closed = rows[id].proxy_opened;
}
