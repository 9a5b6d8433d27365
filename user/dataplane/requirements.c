/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/requirements.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define MIN_MAJOR 6
#define MIN_MINOR 1

static bool has(const struct __user_cap_data_struct *data, int capability)
{
	return data[capability / 32].effective & (1U << capability % 32);
}

static int check_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, data) != 0)
		return 0; /* the kernel will say what is missing */
	if ((has(data, CAP_SYS_ADMIN) || (has(data, CAP_BPF) && has(data, CAP_PERFMON))) &&
	    has(data, CAP_NET_ADMIN))
		return 0;
	return error_set(err, -EPERM, "",
			 "kernel services need the capabilities CAP_BPF, CAP_PERFMON and "
			 "CAP_NET_ADMIN; run lbd as root, or give them by systemd's "
			 "AmbientCapabilities");
}

int requirements_kernel(const char *release, struct error *err)
{
	int major = 0;
	int minor = 0;
	int used = 0;

	/* NOLINTNEXTLINE(bugprone-unchecked-string-to-number-conversion,cert-err34-c) */
	if (sscanf(release, "%4d.%4d%n", &major, &minor, &used) != 2 || major > MIN_MAJOR ||
	    (major == MIN_MAJOR && minor >= MIN_MINOR))
		return 0;
	return error_set(err, -EOPNOTSUPP, "",
			 "kernel %s is too old: kernel services need Linux %d.%d or later; use "
			 "'path: proxy'",
			 release, MIN_MAJOR, MIN_MINOR);
}

int requirements_check(struct error *err)
{
	struct utsname name;
	int rc = uname(&name) == 0 ? requirements_kernel(name.release, err) : 0;

	return rc ? rc : check_capabilities(err);
}
