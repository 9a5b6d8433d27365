/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "load.h"

#define NS_PER_S 1000000000ULL
/* Backends and pools that tests use; the rest of the maps is never written. */
#define IDS_USED 512

/* Linux 6.11: the skb comes with the sum of its bytes, and it must fit when the program returns. */
#define TEST_SKB_CHECKSUM_COMPLETE (1U << 2)

const struct hook hook_xdp = {.name = "xdp", .xdp = true};
const struct hook hook_tc = {.name = "tc"};
const struct hook hook_tc_complete = {.name = "tc_complete", .flags = TEST_SKB_CHECKSUM_COMPLETE};

struct world world;
uint32_t world_flows = 64;

struct lb_ip ip_of(uint32_t addr)
{
	struct lb_ip ip = {.w = {0, 0, htonl(0xffff), htonl(addr)}};

	return ip;
}

/* ---- Open and close ------------------------------------------------------------------------ */

static int open_maps(void)
{
	world.index = load_map("lb_index");
	world.free = load_map("lb_free");
	world.services = load_map("lb_services");
	world.counters = load_map("lb_counters");
	world.bucket = load_map("lb_bucket");
	world.svc_stats = load_map("lb_svc_stats");
	world.be_stats = load_map("lb_be_stats");
	world.pools = load_memory("lb_pools", NULL);
	world.slots = load_memory("lb_slots", NULL);
	world.backends = load_memory("lb_backends", NULL);
	world.live = load_memory("lb_live", NULL);
	world.flows = load_memory("lb_flows", NULL);
	world.meta = load_memory("lb_meta", NULL);
	return world.index < 0 || world.free < 0 || world.services < 0 || world.counters < 0 ||
			       world.bucket < 0 || !world.pools || !world.slots ||
			       !world.backends || !world.live || !world.flows || !world.meta
		       ? -1
		       : 0;
}

static int open_devices(void)
{
	int devs = load_map("lb_devs");
	int rc = 0;

	for (enum side side = CLIENT_SIDE; side <= BACKEND_SIDE; side++) {
		uint32_t ifindex = place_ifindex(side);

		rc |= bpf_map_update_elem(devs, &ifindex, &ifindex, BPF_ANY);
	}
	return rc;
}

static int cannot(const char *what, int rc)
{
	(void)fprintf(stderr, "# cannot %s: %s; these tests need root\n", what, strerror(-rc));
	return -1;
}

/* Some of what the programs keep is kept per CPU: the limit of answers. */
static int stay_on_this_cpu(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	return sched_setaffinity(0, sizeof(here), &here);
}

/* Without the flag its tests are those of plain TC again. */
static uint32_t flags_of_kernel(void)
{
	const char arp[60] = {[12] = 0x08, [13] = 0x06};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = arp, .data_size_in = sizeof(arp),
		    .flags = TEST_SKB_CHECKSUM_COMPLETE);

	if (bpf_prog_test_run_opts(world.tc, &opts) == 0)
		return TEST_SKB_CHECKSUM_COMPLETE;
	(void)fprintf(stderr, "# complete checksums cannot be tested before Linux 6.11\n");
	return 0;
}

int world_open(void **state)
{
	const struct load_constants constants = {
		.max_flows = world_flows, .reply_rate = 1, .reply_burst = REPLY_BURST};
	struct load_programs programs;
	int rc;

	(void)state;
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	rc = load_objects(&constants, &programs);
	if (rc)
		return cannot("load the BPF objects", rc);
	if (stay_on_this_cpu() || place_make() || open_maps() || open_devices())
		return cannot("make a namespace and map the maps", -errno);
	world.xdp = programs.xdp;
	world.tc = programs.tc;
	world.sweep = programs.sweep;
	world.arm = programs.arm;
	world.max_flows = world_flows;
	world.flags_known = flags_of_kernel();
	world.cpus = libbpf_num_possible_cpus();
	return 0;
}

int world_close(void **state)
{
	(void)state;
	load_close();
	return 0;
}

/* ---- Reset --------------------------------------------------------------------------------- */

/* The next key is asked before this one goes: else the search begins anew each time. */
static void clear_hash(int fd, void *key, void *next, size_t size)
{
	int rc = bpf_map_get_next_key(fd, NULL, key);

	while (rc == 0) {
		rc = bpf_map_get_next_key(fd, key, next);
		bpf_map_delete_elem(fd, key);
		memcpy(key, next, size);
	}
}

/* A bucket that was last filled at the epoch is full. */
void world_fill_bucket(void)
{
	char values[256 * 16] = {0};
	uint32_t zero = 0;

	bpf_map_update_elem(world.bucket, &zero, values, BPF_ANY);
}

static void clear_free_ring(void)
{
	const uint64_t empty = 0;
	uint64_t used = world.meta->free_tail;

	for (uint32_t i = 0; i < world.max_flows && i < used; i++)
		bpf_map_update_elem(world.free, &i, &empty, BPF_ANY);
}

void world_forget(void)
{
	struct lb_flow_key keys[2];

	clear_hash(world.index, &keys[0], &keys[1], sizeof(*keys));
	clear_free_ring();
	memset(world.flows, 0, world.max_flows * sizeof(*world.flows));
	memset(world.meta, 0, sizeof(*world.meta));
	world.meta->magic = LB_META_MAGIC;
	world.meta->flow_abi = LB_FLOW_ABI;
	world.meta->ctl_abi = LB_CTL_ABI;
	world.meta->max_flows = world.max_flows;
}

static void clear_ids(void)
{
	memset(world.pools, 0, IDS_USED * sizeof(*world.pools));
	memset(world.backends, 0, IDS_USED * sizeof(*world.backends));
	memset(world.live, 0, IDS_USED * sizeof(*world.live));
}

int world_reset(void **state)
{
	static const uint16_t one[] = {1};
	struct lb_service_key keys[2];

	if (*state)
		world.hook = *state;
	world_forget();
	clear_hash(world.services, &keys[0], &keys[1], sizeof(*keys));
	clear_ids();
	world_fill_bucket();
	world_backend(1, BACKEND_ADDR(1), BACKEND_PORT, 1, ELIGIBLE);
	world_pool(1, LB_CHOICE_TABLE_NEXT, one, 1);
	world_service(1, VIP, VIP_PORT, 1, 0);
	return 0;
}

/* ---- What the daemon writes ---------------------------------------------------------------- */

void world_service(uint32_t id, uint32_t addr, uint16_t port, uint32_t pool, uint32_t flags)
{
	const struct lb_service_key key = {
		.addr = ip_of(addr), .port = htons(port), .proto = LB_PROTO_TCP};
	const struct lb_service service = {
		.id = id, .pool = pool, .flags = flags, .forward = LB_FORWARD_NAT};

	assert_int_equal(bpf_map_update_elem(world.services, &key, &service, BPF_ANY), 0);
}

void world_pool(uint32_t id, enum lb_choice choice, const uint16_t *slots, uint32_t n_slots)
{
	uint32_t offset = 1024 * id;

	for (uint32_t i = 0; i < n_slots; i++)
		world.slots[(offset + i) / 4].id[(offset + i) % 4] = slots[i];
	world.pools[id].choice = choice;
	world.pools[id].client_only = 0;
	world.pools[id].used = 1;
	world.pools[id].hash_seed = 0x5eed;
	world.pools[id].table = LB_TABLE(offset, n_slots);
}

void world_backend(uint16_t id, uint32_t addr, uint16_t port, uint32_t weight, uint32_t flags)
{
	const struct lb_backend backend = {.addr = ip_of(addr),
					   .port = htons(port),
					   .flags = flags,
					   .pool = 1,
					   .weight = weight};

	world.backends[id] = backend;
}

void world_backends(uint16_t n)
{
	for (uint16_t id = 1; id <= n; id++)
		world_backend(id, BACKEND_ADDR(id), BACKEND_PORT, 1, ELIGIBLE);
}

/* ---- Time and counts ----------------------------------------------------------------------- */

static void run_syscall(int program)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	assert_int_equal(bpf_prog_test_run_opts(program, &opts), 0);
	assert_int_equal(opts.retval, 0);
}

void world_sweep(void)
{
	run_syscall(world.sweep);
}

void world_arm(void)
{
	run_syscall(world.arm);
}

void world_age(uint64_t ns)
{
	for (uint32_t i = 0; i < world.max_flows; i++)
		world.flows[i].seen_at -= ns;
}

uint32_t world_index_count(void)
{
	struct lb_flow_key key;
	struct lb_flow_key *from = NULL;
	uint32_t count = 0;

	while (bpf_map_get_next_key(world.index, from, &key) == 0) {
		from = &key;
		count++;
	}
	return count;
}

void world_count(enum lb_verdict verdict, struct lb_count *ret_count)
{
	struct lb_count each[256];
	struct lb_count sum = {0};
	uint32_t key = verdict;

	assert_int_equal(bpf_map_lookup_elem(world.counters, &key, each), 0);
	for (int cpu = 0; cpu < world.cpus; cpu++) {
		sum.packets += each[cpu].packets;
		sum.bytes += each[cpu].bytes;
	}
	*ret_count = sum;
}
