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
#include <time.h>
#include <unistd.h>

#include "lb/ends.h"

#include "load.h"

#define NS_PER_S 1000000000ULL
/* Backends and pools that tests use; the rest of the maps is never written. */
#define IDS_USED       512
#define SNAT_USED      16
#define TICKS_MEASURED 20
#define BUCKET_BYTES   8 /* of lb_bucket's value on each CPU */

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

static bool fds_are_good(void)
{
	return world.half >= 0 && world.frags >= 0 && world.locks >= 0 && world.services >= 0 &&
	       world.prefixes >= 0 && world.counters >= 0 && world.bucket >= 0;
}

static int open_maps(void)
{
	world.half = load_map("lb_half");
	world.frags = load_map("lb_frags");
	world.locks = load_map("lb_locks");
	world.prefixes = load_map("lb_prefixes");
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
	world.crowds = load_memory("lb_crowds", NULL);
	world.buckets = load_memory("lb_index", NULL);
	world.snat = load_memory("lb_snat", NULL);
	world.vips = load_memory("lb_vips", NULL);
	world.ways = load_memory("lb_ways", NULL);
	world.ends = load_memory("lb_ends", NULL);
	world.meta = load_memory("lb_meta", NULL);
	return fds_are_good() && world.pools && world.slots && world.backends && world.live &&
			       world.flows && world.crowds && world.buckets && world.snat &&
			       world.ends && world.vips && world.ways && world.meta
		       ? 0
		       : -1;
}

/* As struct clock of bpf/lb_sweep.bpf.c. */
struct clock {
	uint64_t ticks;
	uint64_t ns;
};

static int ask_clock(int program, struct clock *ret_clock)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = ret_clock,
		    .ctx_size_in = sizeof(*ret_clock));

	return bpf_prog_test_run_opts(program, &opts);
}

/* How long a tick is, as the daemon finds out. */
static int open_clock(int program)
{
	struct clock first = {0};
	struct clock last = {0};
	int rc = ask_clock(program, &first);

	while (rc == 0 && last.ticks < first.ticks + TICKS_MEASURED)
		rc = ask_clock(program, &last);
	if (rc)
		return rc;
	world.tick_ns = (uint32_t)((last.ns - first.ns) / (last.ticks - first.ticks));
	world.second = (uint32_t)((NS_PER_S + world.tick_ns / 2) / world.tick_ns);
	world.ticks = last.ticks;
	world.clock_ns = last.ns;
	return 0;
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
	rc = open_clock(programs.clock);
	if (rc)
		return cannot("ask the kernel's clock", rc);
	if (stay_on_this_cpu() || place_make() || open_maps() || open_devices())
		return cannot("make a namespace and map the maps", -errno);
	world.xdp = programs.xdp;
	world.tc = programs.tc;
	world.dry_xdp = programs.dry_xdp;
	world.dry_tc = programs.dry_tc;
	world.decap = programs.decap;
	world.sweep = programs.sweep;
	world.arm = programs.arm;
	world.kill = programs.kill;
	world.clock = programs.clock;
	world.max_flows = world_flows;
	world.n_records = LB_RECORDS(world_flows);
	world.n_buckets = LB_BUCKETS(world_flows);
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
	char values[256 * BUCKET_BYTES] = {0};
	uint32_t zero = 0;

	bpf_map_update_elem(world.bucket, &zero, values, BPF_ANY);
}

static void clear_array(int fd, size_t size, uint32_t n)
{
	uint32_t *keys;
	char *values;
	uint32_t count = n;

	if (!n)
		return;
	keys = calloc(n, sizeof(*keys));
	values = calloc(n, size);
	assert_non_null(keys);
	assert_non_null(values);
	for (uint32_t i = 0; i < n; i++)
		keys[i] = i;
	assert_int_equal(bpf_map_update_batch(fd, keys, values, &count, NULL), 0);
	free(keys);
	free(values);
}

static void clear_ring(int fd, uint64_t tickets, uint32_t cells)
{
	clear_array(fd, sizeof(uint64_t), tickets < cells ? (uint32_t)tickets : cells);
}

void world_age_frags(uint64_t ns)
{
	static struct lb_frag frags[LB_FRAGS];
	static uint32_t keys[LB_FRAGS];
	uint32_t count = LB_FRAGS;
	uint32_t next;

	if (bpf_map_lookup_batch(world.frags, NULL, &next, keys, frags, &count, NULL) &&
	    errno != ENOENT)
		fail();
	assert_int_equal(count, LB_FRAGS);
	for (uint32_t i = 0; i < count; i++) {
		if (!frags[i].sequence)
			continue;
		frags[i].seen -= world_ticks(ns);
		assert_int_equal(bpf_map_update_elem(world.frags, &keys[i], &frags[i], 0), 0);
	}
}

/* As the daemon makes it, but that no flow times out, and that the hash is always the same. */
static void make_meta(struct lb_meta *meta)
{
	memset(meta, 0, sizeof(*meta));
	meta->magic = LB_META_MAGIC;
	meta->flow_abi = LB_FLOW_ABI;
	meta->ctl_abi = LB_CTL_ABI;
	meta->max_flows = world.max_flows;
	meta->tick_ns = world.tick_ns;
	meta->second = world.second;
	meta->hops_changed = world_now() - 100 * world.second;
	for (uint64_t i = 0; i < LB_HASH_KEYS; i++)
		meta->hash_keys[i] = (i + 1) * 0x9e3779b97f4a7c15ULL | 1;
}

void world_forget(void)
{
	clear_ring(world.half, world.meta->half_tail, LB_HALF_FLOWS(world.max_flows));
	memset(world.buckets, 0, world.n_buckets * sizeof(*world.buckets));
	memset(world.flows, 0, world.n_records * sizeof(*world.flows));
	memset(world.crowds, 0, LB_CROWDS(world.max_flows) * sizeof(*world.crowds));
	make_meta(world.meta);
}

static void clear_ids(void)
{
	memset(world.pools, 0, IDS_USED * sizeof(*world.pools));
	memset(world.backends, 0, IDS_USED * sizeof(*world.backends));
	memset(world.live, 0, IDS_USED * sizeof(*world.live));
	memset(world.ends, 0, LB_ENDS_WORDS * sizeof(*world.ends));
	memset(world.snat, 0, SNAT_USED * sizeof(*world.snat));
	memset(world.vips, 0, LB_MAX_VIPS * sizeof(*world.vips));
	memset(world.ways, 0, LB_WAYS * sizeof(*world.ways));
}

int world_reset(void **state)
{
	static const uint16_t one[] = {1};
	struct lb_service_key keys[2];
	struct lb_prefix_key prefixes[2];

	if (*state)
		world.hook = *state;
	world_forget();
	clear_hash(world.services, &keys[0], &keys[1], sizeof(*keys));
	clear_hash(world.prefixes, &prefixes[0], &prefixes[1], sizeof(*prefixes));
	clear_ids();
	world_fill_bucket();
	world_backend(1, BACKEND_ADDR(1), BACKEND_PORT, 1, ELIGIBLE);
	world_pool(1, LB_CHOICE_TABLE_NEXT, one, 1);
	world_service(1, VIP, VIP_PORT, 1, 0);
	return 0;
}

/* ---- What the daemon writes ---------------------------------------------------------------- */

static void end_set(uint64_t hash)
{
	world.ends[lb_end_word(hash)] |= lb_end_bits(hash);
}

static void end_add(const struct lb_ip *addr, uint16_t port, uint8_t proto)
{
	end_set(lb_end_hash(lb_end_address(addr), htons(port), proto));
	if (port == 0)
		end_set(LB_END_ANY_PORT);
}

uint16_t world_vip(const struct lb_ip *addr)
{
	uint16_t row = 1;

	while (world.vips[row].q[1] && memcmp(&world.vips[row], addr, sizeof(*addr)) != 0)
		row++;
	world.vips[row] = *addr;
	return row;
}

void world_listen(const struct lb_service *service, const struct lb_ip *addr, uint16_t port,
		  uint8_t proto)
{
	const struct lb_service_key key = {.addr = *addr, .port = htons(port), .proto = proto};
	const struct lb_service_key echo = {.addr = *addr, .proto = LB_PROTO_ICMP};
	struct lb_service value = *service;

	value.vip = world_vip(addr);
	end_add(addr, port, proto);
	assert_int_equal(bpf_map_update_elem(world.services, &key, &value, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(world.services, &echo, &value, BPF_ANY), 0);
}

void world_service(uint32_t id, uint32_t addr, uint16_t port, uint32_t pool, uint32_t flags)
{
	const struct lb_ip ip = ip_of(addr);
	const struct lb_service service = {
		.id = id, .pool = pool, .flags = flags, .forward = LB_FORWARD_NAT};

	world_listen(&service, &ip, port, LB_PROTO_TCP);
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

void world_backend_at(uint16_t id, const struct lb_ip *addr, uint16_t port, uint32_t weight,
		      uint32_t flags)
{
	const struct lb_backend backend = {
		.addr = *addr, .port = htons(port), .flags = flags, .pool = 1, .weight = weight};

	end_add(addr, port, LB_PROTO_TCP);
	end_add(addr, port, LB_PROTO_UDP);
	world.backends[id] = backend;
}

void world_backend(uint16_t id, uint32_t addr, uint16_t port, uint32_t weight, uint32_t flags)
{
	const struct lb_ip ip = ip_of(addr);

	world_backend_at(id, &ip, port, weight, flags);
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

/* As struct kill of bpf/lb_sweep.bpf.c. */
void world_kill(uint32_t record, uint32_t generation)
{
	struct {
		uint32_t record;
		uint32_t generation;
	} kill = {record, generation};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &kill, .ctx_size_in = sizeof(kill));

	assert_int_equal(bpf_prog_test_run_opts(world.kill, &opts), 0);
}

uint32_t world_ticks(uint64_t ns)
{
	return ns < world.tick_ns ? 1 : (uint32_t)(ns / world.tick_ns);
}

uint32_t world_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)(world.ticks + ((uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec -
					 world.clock_ns) /
						world.tick_ns);
}

void world_pass(uint32_t ticks)
{
	struct clock clock = {0};
	uint64_t first;

	assert_int_equal(ask_clock(world.clock, &clock), 0);
	first = clock.ticks;
	while (clock.ticks - first < ticks)
		assert_int_equal(ask_clock(world.clock, &clock), 0);
}

void world_timeout(enum lb_flow_state state, uint64_t ns)
{
	world.meta->timeout[state] = ns ? world_ticks(ns) : 0;
}

void world_timeouts(uint64_t ns)
{
	for (int s = 0; s < LB_FLOW_STATES; s++)
		world_timeout((enum lb_flow_state)s, ns);
}

void world_age(uint64_t ns)
{
	for (uint32_t i = 0; i < world.n_records; i++)
		world.flows[i].seen -= world_ticks(ns);
}

uint32_t world_index_count(void)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < world.n_buckets; i++)
		for (uint32_t k = 0; k < LB_BUCKET_ENTRIES; k++)
			count += world.buckets[i].entry[k] != 0;
	return count;
}

uint32_t world_entries_of(const struct lb_flow *flow)
{
	uint64_t named = LB_ENTRY(0, LB_FLOW_GENERATION(flow->word), flow - world.flows);
	uint32_t count = 0;

	for (uint32_t i = 0; i < world.n_buckets; i++)
		for (uint32_t k = 0; k < LB_BUCKET_ENTRIES; k++)
			count += (world.buckets[i].entry[k] & ~0ULL >> 16) == named;
	return count;
}

void world_counts(struct lb_count ret_counts[static LB_VERDICT_COUNT])
{
	static struct lb_count each[LB_VERDICT_COUNT * 256];
	uint32_t keys[LB_VERDICT_COUNT];
	uint32_t count = LB_VERDICT_COUNT;
	uint32_t next;

	if (bpf_map_lookup_batch(world.counters, NULL, &next, keys, each, &count, NULL) &&
	    errno != ENOENT)
		fail();
	assert_int_equal(count, LB_VERDICT_COUNT);
	for (uint32_t v = 0; v < LB_VERDICT_COUNT; v++) {
		ret_counts[v] = (struct lb_count){0};
		for (int cpu = 0; cpu < world.cpus; cpu++) {
			ret_counts[v].packets += each[v * (uint32_t)world.cpus + cpu].packets;
			ret_counts[v].bytes += each[v * (uint32_t)world.cpus + cpu].bytes;
		}
	}
}

void world_count(enum lb_verdict verdict, struct lb_count *ret_count)
{
	struct lb_count counts[LB_VERDICT_COUNT];

	world_counts(counts);
	*ret_count = counts[verdict];
}
