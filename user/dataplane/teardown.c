/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "dataplane/link.h"
#include "dataplane/lock.h"
#include "dataplane/log_libbpf.h"

struct teardown {
	const char *path;
	int rc; /* the first failure */
	struct error *err;
};

static int detach_one(void *ctx, const char *pin)
{
	struct teardown *teardown = ctx;
	struct attachment attachment;
	int rc = link_open(teardown->path, pin, &attachment);

	if (rc == 0)
		rc = link_detach(teardown->path, &attachment);
	if (rc == 0)
		log_info("detached from '%s'", attachment.spec.name);
	else if (teardown->rc == 0)
		teardown->rc = error_set(teardown->err, rc, "interface",
					 "cannot detach '%s' below '%s': %s", pin, teardown->path,
					 strerror(-rc));
	return 0;
}

static int remove_directories(const char *path, struct error *err)
{
	int rc = bpffs_remove(path);

	return rc ? error_set(err, rc, "pin-path", "cannot remove '%s': %s", path, strerror(-rc))
		  : 0;
}

/* Links first: the maps live as long as a program uses them, and packets go on until then. */
static int remove_all(const char *path, struct error *err)
{
	struct teardown teardown = {.path = path, .err = err};
	struct maps maps;
	int rc = bpffs_each(path, "links", detach_one, &teardown);

	if (rc == 0)
		rc = teardown.rc;
	if (rc)
		return rc;
	(void)maps_find(&maps, path);
	rc = maps_remove(&maps, path);
	if (rc) {
		maps_fini(&maps);
		return error_set(err, rc, "pin-path", "cannot unpin the maps below '%s': %s", path,
				 strerror(-rc));
	}
	return remove_directories(path, err);
}

int dataplane_teardown(const char *pin_path, struct error *err)
{
	char real[PATH_MAX];
	int lock_fd;
	int rc;

	log_libbpf();
	if (!realpath(pin_path, real)) {
		if (errno == ENOENT) {
			log_info("nothing is pinned at '%s'", pin_path);
			return 0;
		}
		return error_set(err, -errno, "pin-path", "cannot resolve '%s': %s", pin_path,
				 strerror(errno));
	}
	if (strlen(real) >= BPFFS_PATH_LEN / 2)
		return error_set(err, -ENAMETOOLONG, "pin-path", "pin path '%s' is too long", real);
	rc = lock_take(real, &lock_fd, err);
	if (rc)
		return rc;
	rc = remove_all(real, err);
	(void)close(lock_fd);
	return rc;
}
