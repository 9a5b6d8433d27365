/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/log.h"
#include "base/slice.h"

#define USUAL	  "/sys/fs/bpf"
#define MAX_PINS  1000
#define PATH_MODE 0700

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* The nearest directory above <path> that exists. */
static void existing_part(const char *path, char ret_part[static BPFFS_PATH_LEN])
{
	struct stat st;

	(void)snprintf(ret_part, BPFFS_PATH_LEN, "%s", path);
	while (stat(ret_part, &st) != 0) {
		char *slash = strrchr(ret_part, '/');

		if (!slash || slash == ret_part) {
			(void)snprintf(ret_part, BPFFS_PATH_LEN, "/");
			return;
		}
		*slash = '\0';
	}
}

static int ensure_mounted(const char *path, struct error *err)
{
	char part[BPFFS_PATH_LEN];

	existing_part(path, part);
	if (is_bpffs(part))
		return 0;
	if (slice_starts(slice_of(path), SLICE(USUAL "/")) && !is_bpffs(USUAL)) {
		if (mount("bpf", USUAL, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700") == 0) {
			log_info("mounted a BPF file system at '" USUAL "'");
			return 0;
		}
		return error_set(err, -errno, "pin-path",
				 "cannot mount a BPF file system at '" USUAL
				 "': %s; run 'mount -t bpf bpf " USUAL "'",
				 strerror(errno));
	}
	return error_set(err, -EINVAL, "pin-path",
			 "pin path '%s' is not on a BPF file system; use a path below '" USUAL
			 "', or mount one there: 'mount -t bpf bpf %s'",
			 path, part);
}

static int make_directory(const char *path, struct error *err)
{
	if (mkdir(path, PATH_MODE) == 0 || errno == EEXIST)
		return 0;
	return error_set(err, -errno, "pin-path", "cannot make '%s': %s%s", path, strerror(errno),
			 errno == EPERM ? " (names on a BPF file system have no dots)" : "");
}

static int make_path(const char *path, struct error *err)
{
	char part[BPFFS_PATH_LEN];
	int rc = 0;

	(void)snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); rc == 0 && slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		rc = make_directory(part, err);
		*slash = '/';
	}
	return rc ? rc : make_directory(path, err);
}

int bpffs_make(const char *path, char ret_real[static BPFFS_PATH_LEN], struct error *err)
{
	static const char *const dirs[] = {"maps", "links"};
	char real[PATH_MAX];
	char sub[BPFFS_PATH_LEN];
	int rc;

	if (*path != '/' || strlen(path) >= BPFFS_PATH_LEN / 2)
		return error_set(err, -EINVAL, "pin-path",
				 "pin path '%s' is not an absolute path of at most %d bytes", path,
				 BPFFS_PATH_LEN / 2 - 1);
	rc = ensure_mounted(path, err);
	if (rc == 0)
		rc = make_path(path, err);
	if (rc)
		return rc;
	if (!realpath(path, real) || strlen(real) >= BPFFS_PATH_LEN / 2)
		return error_set(err, -EINVAL, "pin-path", "cannot resolve '%s'", path);
	for (size_t i = 0; rc == 0 && i < sizeof(dirs) / sizeof(*dirs); i++) {
		(void)snprintf(sub, sizeof(sub), "%.*s/%s", BPFFS_PATH_LEN / 2, real, dirs[i]);
		rc = make_directory(sub, err);
	}
	if (rc == 0)
		(void)snprintf(ret_real, BPFFS_PATH_LEN, "%.*s", BPFFS_PATH_LEN / 2, real);
	return rc;
}

int bpffs_join(const char *path, const char *dir, const char *name,
	       char ret_joined[static BPFFS_PATH_LEN])
{
	int len = snprintf(ret_joined, BPFFS_PATH_LEN, "%s/%s/%s", path, dir, name);

	return len < 0 || len >= BPFFS_PATH_LEN ? -ENAMETOOLONG : 0;
}

int bpffs_pin(int fd, const char *path)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return -errno;
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

int bpffs_remove(const char *path)
{
	static const char *const dirs[] = {"links", "maps"};
	char joined[BPFFS_PATH_LEN];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		if (bpffs_join(path, dirs[i], "", joined) == 0 && rmdir(joined) != 0 &&
		    errno != ENOENT)
			return -errno;
	}
	return rmdir(path) != 0 && errno != ENOENT ? -errno : 0;
}

int bpffs_each(const char *path, const char *dir, int (*each)(void *ctx, const char *name),
	       void *ctx)
{
	char joined[BPFFS_PATH_LEN];
	struct dirent *entry;
	DIR *stream;
	int rc = bpffs_join(path, dir, "", joined);

	if (rc)
		return rc;
	stream = opendir(joined);
	if (!stream)
		return errno == ENOENT ? 0 : -errno;
	for (uint32_t i = 0; rc == 0 && i < MAX_PINS; i++) {
		entry = readdir(stream);
		if (!entry)
			break;
		if (*entry->d_name != '.')
			rc = each(ctx, entry->d_name);
	}
	(void)closedir(stream);
	return rc;
}
