/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/clock.h"
#include "dataplane/maps.h"

/*
 * Mapped memory is read by BPF programs on other CPUs. Words that decide (flags, table, used) are
 * stored after what they decide about; a release store orders them for readers on every CPU.
 */
static int backend_flags(void *ctx, uint16_t id, uint32_t flags)
{
	struct maps *maps = ctx;

	__atomic_store_n(&maps->backends[id].flags, flags, __ATOMIC_RELEASE);
	return 0;
}

static int backend_body(void *ctx, uint16_t id, const struct lb_backend *body)
{
	struct lb_backend *row = &((struct maps *)ctx)->backends[id];

	row->addr = body->addr;
	row->port = body->port;
	row->zone = body->zone;
	row->pool = body->pool;
	__atomic_store_n(&row->weight, body->weight, __ATOMIC_RELAXED);
	row->removed_at = body->removed_at;
	row->source = body->source;
	memcpy(row->name, body->name, sizeof(row->name));
	return 0;
}

static int slots(void *ctx, uint32_t offset, const uint16_t *ids, uint32_t count)
{
	struct maps *maps = ctx;

	memcpy((uint16_t *)maps->lines + offset, ids, count * sizeof(*ids));
	return 0;
}

static int pool_table(void *ctx, uint32_t id, uint64_t table)
{
	struct maps *maps = ctx;

	__atomic_store_n(&maps->pools[id].table, table, __ATOMIC_RELEASE);
	return 0;
}

static int pool_body(void *ctx, uint32_t id, const struct lb_pool *body)
{
	struct lb_pool *row = &((struct maps *)ctx)->pools[id];

	row->choice = body->choice;
	row->client_only = body->client_only;
	row->hash_seed = body->hash_seed;
	memcpy(row->name, body->name, sizeof(row->name));
	__atomic_store_n(&row->used, body->used, __ATOMIC_RELEASE);
	return 0;
}

static int service_put(void *ctx, const struct lb_service_key *key, const struct lb_service *value)
{
	const struct maps *maps = ctx;

	return bpf_map_update_elem(maps->services, key, value, BPF_ANY) ? -errno : 0;
}

static int service_delete(void *ctx, const struct lb_service_key *key)
{
	const struct maps *maps = ctx;

	return bpf_map_delete_elem(maps->services, key) ? -errno : 0;
}

static int ends(void *ctx, const uint64_t *words)
{
	struct maps *maps = ctx;

	/* Before whatever needs them is stored, by a release store or a system call. */
	for (uint32_t i = 0; i < LB_ENDS_WORDS; i++)
		__atomic_store_n(&maps->ends[i], words[i], __ATOMIC_RELAXED);
	return 0;
}

static int snat_put(void *ctx, uint32_t row, const struct lb_snat *value)
{
	((struct maps *)ctx)->snat[row] = *value;
	return 0;
}

static int vip_put(void *ctx, uint32_t row, const struct lb_ip *addr)
{
	((struct maps *)ctx)->vips[row] = *addr;
	return 0;
}

/* A connected datagram socket sends nothing, but has a route and with it an address. */
static int source(void *ctx, const struct lb_ip *ip, struct lb_ip *ret_source)
{
	struct addr to = {.port = htons(9)};
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	(void)ctx;
	memset(ret_source, 0, sizeof(*ret_source));
	memcpy(to.ip, ip, sizeof(to.ip));
	len = addr_to_sockaddr(&to, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	len = connect(fd, (struct sockaddr *)&sa, len) == 0 ? sizeof(sa) : 0;
	if (len && getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
	    addr_from_sockaddr(&sa, &to) == 0)
		memcpy(ret_source, to.ip, sizeof(*ret_source));
	(void)close(fd);
	return 0;
}

static int prefix_put(void *ctx, const struct lb_prefix_key *key, uint32_t value)
{
	const struct maps *maps = ctx;

	return bpf_map_update_elem(maps->prefixes, key, &value, BPF_ANY) ? -errno : 0;
}

static int prefix_delete(void *ctx, const struct lb_prefix_key *key)
{
	const struct maps *maps = ctx;

	return bpf_map_delete_elem(maps->prefixes, key) ? -errno : 0;
}

static int prefix_next(void *ctx, const struct lb_prefix_key *prev, struct lb_prefix_key *ret_key,
		       uint32_t *ret_value)
{
	const struct maps *maps = ctx;

	if (bpf_map_get_next_key(maps->prefixes, prev, ret_key) != 0)
		return -errno;
	return bpf_map_lookup_elem(maps->prefixes, ret_key, ret_value) ? -errno : 0;
}

static int clear_stats(int fd, uint32_t id)
{
	int cpus = libbpf_num_possible_cpus();
	struct lb_traffic *zero;
	int rc;

	if (cpus < 0)
		return cpus;
	zero = calloc((size_t)cpus, sizeof(*zero));
	if (!zero)
		return -ENOMEM;
	rc = bpf_map_update_elem(fd, &id, zero, BPF_ANY) ? -errno : 0;
	free(zero);
	return rc;
}

static int backend_clear_stats(void *ctx, uint16_t id)
{
	return clear_stats(((struct maps *)ctx)->backend_stats, id);
}

static int service_clear_stats(void *ctx, uint32_t id)
{
	return clear_stats(((struct maps *)ctx)->service_stats, id);
}

static int service_next(void *ctx, const struct lb_service_key *prev,
			struct lb_service_key *ret_key, struct lb_service *ret_value)
{
	const struct maps *maps = ctx;

	if (bpf_map_get_next_key(maps->services, prev, ret_key) != 0)
		return -errno;
	return bpf_map_lookup_elem(maps->services, ret_key, ret_value) ? -errno : 0;
}

static uint64_t now_ms(void *ctx)
{
	(void)ctx;
	return clock_ms();
}

static void wait_ms(void *ctx, uint32_t ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	(void)ctx;
	(void)nanosleep(&time, NULL);
}

const struct map_ops kernel_map_ops = {
	.backend_flags = backend_flags,
	.backend_body = backend_body,
	.slots = slots,
	.pool_table = pool_table,
	.pool_body = pool_body,
	.service_put = service_put,
	.service_delete = service_delete,
	.ends = ends,
	.snat_put = snat_put,
	.vip_put = vip_put,
	.source = source,
	.prefix_put = prefix_put,
	.prefix_delete = prefix_delete,
	.prefix_next = prefix_next,
	.backend_clear_stats = backend_clear_stats,
	.service_clear_stats = service_clear_stats,
	.service_next = service_next,
	.now_ms = now_ms,
	.wait_ms = wait_ms,
};
