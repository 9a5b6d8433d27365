/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/route.h"

#include <errno.h>

/* "Example.com.:80" is "Example.com"; "[::1]:80" is "[::1]". */
static struct slice host_of(struct slice authority)
{
	size_t len = authority.len;

	while (len > 0 && authority.ptr[len - 1] >= '0' && authority.ptr[len - 1] <= '9')
		len--;
	if (len > 0 && authority.ptr[len - 1] == ':')
		authority.len = len - 1;
	if (authority.len > 0 && authority.ptr[authority.len - 1] == '.')
		authority.len--;
	return authority;
}

static struct slice path_of(struct slice target)
{
	const char *query = target.len ? memchr(target.ptr, '?', target.len) : NULL;

	if (query)
		target.len = (size_t)(query - target.ptr);
	return target;
}

/* "*.example.com" is every name below example.com, and not example.com itself. */
static bool host_fits(struct slice want, struct slice host)
{
	struct slice tail;

	if (want.len == 0)
		return true;
	if (want.ptr[0] != '*')
		return slice_caseeq(want, host);
	want.ptr++;
	want.len--;
	if (host.len <= want.len)
		return false;
	tail = (struct slice){host.ptr + host.len - want.len, want.len};
	return slice_caseeq(want, tail);
}

int route_find(const struct service_spec *spec, struct slice authority, struct slice target)
{
	struct slice host = host_of(authority);
	struct slice path = path_of(target);

	for (uint32_t i = 0; i < spec->n_routes; i++) {
		const struct route_spec *route = &spec->routes[i];

		if (host_fits(slice_of(route->host), host) &&
		    slice_starts(path, slice_of(route->path)))
			return (int)i;
	}
	return -ENOENT;
}
