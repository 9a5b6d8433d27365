/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The dry load of the programs, with which packets are traced: it says and shows what would happen,
 * and writes nothing but its own scratch. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "conv.h"
#include "load.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define MOST_MAPS   64
#define ROWS_MOST   1024 /* what tests use of the maps whose rows have numbers */

/* ---- The contents of maps ------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, const uint8_t *bytes, size_t len)
{
	uint64_t word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	while (len--)
		hash = (hash ^ *bytes++) * 0x100000001b3ULL;
	return hash;
}

/* Only what a packet may write: maps of one kind of value, that can be walked. */
static bool is_watched(const char *name, const struct bpf_map_info *info)
{
	/* Scratch of one packet, and what the tests and the daemon alone write. */
	static const char *const own[] = {"lb_packet", "lb_scratch",  "lb_answer", "lb_icmp",
					  "lb_trace",  "lb_backends", "lb_slots",  "lb_ends"};

	for (size_t i = 0; i < COUNT(own); i++)
		if (strcmp(name, own[i]) == 0)
			return false;
	return info->type == BPF_MAP_TYPE_ARRAY || info->type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       info->type == BPF_MAP_TYPE_HASH;
}

/* A row may be anywhere in these. */
static bool is_hashed(const struct bpf_map_info *info)
{
	return strcmp(info->name, "lb_frags") == 0 || strcmp(info->name, "lb_rates") == 0;
}

static uint64_t hash_array(int fd, const struct bpf_map_info *info)
{
	uint32_t rows = info->max_entries;
	size_t size = (info->value_size + 7U) & ~7U;
	uint64_t hash = 0xcbf29ce484222325ULL;
	uint32_t *keys;
	uint8_t *values;
	uint32_t next;

	if (rows > ROWS_MOST && !is_hashed(info))
		rows = ROWS_MOST;
	if (info->type == BPF_MAP_TYPE_PERCPU_ARRAY)
		size *= (size_t)world.cpus;
	else
		size = info->value_size;
	keys = calloc(rows, sizeof(*keys));
	values = calloc(rows, size);
	assert_non_null(keys);
	assert_non_null(values);
	if (bpf_map_lookup_batch(fd, NULL, &next, keys, values, &rows, NULL) && errno != ENOENT)
		fail();
	hash = mix(hash, values, rows * size);
	free(values);
	free(keys);
	return hash;
}

static uint64_t hash_keys(int fd, const struct bpf_map_info *info)
{
	uint8_t key[256];
	uint8_t value[256];
	uint64_t hash = 0;
	const void *from = NULL;

	assert_in_range(info->key_size, 1, sizeof(key));
	assert_in_range(info->value_size, 1, sizeof(value));
	while (bpf_map_get_next_key(fd, from, key) == 0) {
		from = key;
		if (bpf_map_lookup_elem(fd, key, value) == 0)
			hash += mix(mix(1, key, info->key_size), value, info->value_size);
	}
	return hash;
}

struct print {
	const char *name;
	uint64_t hash;
};

static uint32_t prints_take(struct print prints[static MOST_MAPS])
{
	uint32_t n = 0;
	const char *name;
	int fd;

	for (uint32_t i = 0; (name = load_map_at(i, &fd)); i++) {
		struct bpf_map_info info = {0};
		uint32_t len = sizeof(info);

		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
		if (!is_watched(name, &info))
			continue;
		assert_in_range(n, 0, MOST_MAPS - 1);
		prints[n].name = name;
		prints[n++].hash = info.type == BPF_MAP_TYPE_HASH ? hash_keys(fd, &info)
								  : hash_array(fd, &info);
	}
	return n;
}

static void prints_expect_same(const struct print *before, uint32_t n)
{
	struct print after[MOST_MAPS];

	expect_equal(prints_take(after), n);
	for (uint32_t i = 0; i < n; i++)
		if (before[i].hash != after[i].hash)
			run_fail("a dry packet changed %s", before[i].name);
}

/* ---- Packets ------------------------------------------------------------------------------- */

static void send_dry(const struct wire *wire, enum side side, struct sent *ret_sent)
{
	struct frame in;

	wire_build(&in, wire);
	expect_equal(run_program(world.hook->xdp ? world.dry_xdp : world.dry_tc, &in,
				 place_ifindex(side), ret_sent),
		     0);
}

/* Every kind of packet, of a flow and of none. */
static void send_all_dry(const struct conv *conv)
{
	static const uint8_t flags[] = {SYN, ACK, ACK | FIN, RST, SYN | ACK};

	for (uint32_t i = 0; i < 2 * 2 * 2 * COUNT(flags); i++) {
		struct conv other = *conv;
		struct wire wire;
		struct sent sent;
		enum speaker by = i & 1 ? BY_BACKEND : BY_CLIENT;

		other.client_port += i >> 1 & 1;
		wire = conv_wire(&other, by, flags[i >> 3], 30);
		wire.df = false;
		wire.cut_len = i & 4 ? 24 : 0;
		send_dry(&wire, (enum side)by, &sent);
		wire.cut_at = wire.cut_len;
		send_dry(&wire, (enum side)by, &sent);
		wire.payload = 2000;
		wire.cut_len = 0;
		wire.cut_at = 0;
		send_dry(&wire, (enum side)by, &sent);
	}
}

/* So that the cells of sources could be written too. */
static void limit_sources(const struct conv *conv)
{
	const struct lb_service service = {.id = 1,
					   .pool = 1,
					   .forward = (uint8_t)conv->mode->forward,
					   .snat = 1,
					   .n_snat = 1,
					   .rate_new = 100,
					   .rate_ticks = world.second,
					   .rate_bits4 = 32,
					   .rate_bits6 = 64};

	world_listen(&service, &conv->vip, conv->vip_port, conv->mode->proto);
}

static void dry_packets_write_nothing(void **state)
{
	static const uint32_t flags[] = {ELIGIBLE, ELIGIBLE | LB_BACKEND_KILL, LB_BACKEND_USED};

	for (uint32_t i = 0; i < n_modes; i++) {
		struct print before[MOST_MAPS];
		struct conv conv;
		uint32_t n;

		world_reset(state);
		conv = conv_of(&modes[i]);
		conv_open(&conv);
		limit_sources(&conv);
		n = prints_take(before);
		for (uint32_t k = 0; k < COUNT(flags); k++) {
			run_row("%s, backend %x", modes[i].name, flags[k]);
			world.backends[1].flags = flags[k];
			send_all_dry(&conv);
		}
		prints_expect_same(before, n);
		expect_live(1, &(struct counts){1, 0, 1, 1, 0});
	}
}

/* Hops of a flow that is silent are asked again, and its packets are seen: not by dry ones. */
static void dry_packet_of_a_silent_flow_writes_nothing(void **state)
{
	for (uint32_t i = 0; i < n_modes; i++) {
		struct print before[MOST_MAPS];
		struct conv conv;
		uint32_t n;

		world_reset(state);
		run_row("%s, silent for two seconds", modes[i].name);
		conv = conv_of(&modes[i]);
		conv_open(&conv);
		world_age(2000000000);
		world.backends[1].hop.asked_at -= world.second;
		conv_flow(&conv)->way_asked -= world.second;
		n = prints_take(before);
		send_all_dry(&conv);
		prints_expect_same(before, n);
	}
}

static void dry_packet_of_a_flow_comes_out_as_a_real_one(void **state)
{
	for (uint32_t i = 0; i < n_modes * 2; i++) {
		enum speaker by = i % 2 ? BY_BACKEND : BY_CLIENT;
		struct conv conv;
		struct frame expected;
		struct wire wire;
		struct sent sent;

		world_reset(state);
		run_row("%s, by %s", modes[i / 2].name, i % 2 ? "backend" : "client");
		conv = conv_of(&modes[i / 2]);
		if (i % 2 && !conv_is_two_way(&conv))
			continue;
		conv_open(&conv);
		wire = conv_wire(&conv, by, ACK, 50);
		send_dry(&wire, (enum side)by, &sent);
		conv_expected(&conv, by, &wire, &sent.out, &expected);
		run_expect_frame(&sent, &expected);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(dry_packets_write_nothing),
		TEST(dry_packet_of_a_silent_flow_writes_nothing),
		TEST(dry_packet_of_a_flow_comes_out_as_a_real_one),
	};

	(void)argc;
	return RUN_TESTS(tests, argv);
}
