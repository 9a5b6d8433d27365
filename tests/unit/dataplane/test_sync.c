/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sync against the fake maps: every change, cut off anywhere, and what packets see meanwhile.
 */
#include "fake_maps.h"

/* ---- The changes that are tried ------------------------------------------------------------ */

static const struct row_state none;

static const struct row_state two = {
	.backends = {{1, 1, 1, "10.0.0.1:80", 'e'}, {2, 1, 1, "10.0.0.2:80", 'e'}},
	.pools = {{1, LB_CHOICE_TABLE_NEXT, "web", {1, 2}}},
	.services = {{1, 1, "192.0.2.1:80"}},
};

static const struct row_state three = {
	.backends = {{1, 1, 1, "10.0.0.1:80", 'e'},
		     {2, 1, 1, "10.0.0.2:80", 'e'},
		     {3, 1, 2, "10.0.0.3:80", 'e'}},
	.pools = {{1, LB_CHOICE_TABLE_NEXT, "web", {3, 1, 3, 2}}},
	.services = {{1, 1, "192.0.2.1:80"}},
};

static const struct row_state heavier = {
	.backends = {{1, 1, 5, "10.0.0.1:80", 'e'}, {2, 1, 1, "10.0.0.2:80", 'e'}},
	.pools = {{1, LB_CHOICE_TABLE_NEXT, "web", {1, 1, 1, 2, 1, 1}}},
	.services = {{1, 1, "192.0.2.1:80"}},
};

static const struct row_state one_down = {
	.backends = {{1, 1, 1, "10.0.0.1:80", 'e'}, {2, 1, 1, "10.0.0.2:80", 'i'}},
	.pools = {{1, LB_CHOICE_TABLE_NEXT, "web", {1}}},
	.services = {{1, 1, "192.0.2.1:80"}},
};

static const struct row_state all_down = {
	.backends = {{1, 1, 1, "10.0.0.1:80", 'i'}, {2, 1, 1, "10.0.0.2:80", 'i'}},
	.pools = {{1, LB_CHOICE_TABLE_NEXT, "web", {0}}},
	.services = {{1, 1, "192.0.2.1:80"}},
};

static const struct row_state buried = {
	.backends = {{1, 1, 1, "10.0.0.1:80", 'e'}, {2, 1, 1, "10.0.0.2:80", 't'}},
	.pools = {{1, LB_CHOICE_LEAST, "web", {1}}},
	.services = {{1, 1, "192.0.2.1:80"}, {1, 1, "192.0.2.1:81"}},
};

static const struct row_state other_pool = {
	.backends = {{1, 1, 1, "10.0.0.1:80", 'e'},
		     {2, 1, 1, "10.0.0.2:80", 't'},
		     {7, 2, 1, "10.0.0.1:80", 'e'}},
	.pools = {{1, LB_CHOICE_LEAST, "web", {1}}, {2, LB_CHOICE_TABLE_HASH, "api", {7, 7, 7}}},
	.services = {{1, 2, "192.0.2.1:80"}, {2, 1, "[fd00::1]:81"}},
};

static const struct row_state moved = {
	.backends = {{7, 2, 1, "10.0.0.1:80", 'e'}},
	.pools = {{2, LB_CHOICE_TABLE_HASH, "api", {7, 7, 7}}},
	.services = {{1, 2, "192.0.2.1:80"}},
};

static const struct row_state guarded = {
	.backends = {{1, 1, 1, "10.0.0.1:80", 'e'}, {2, 1, 1, "10.0.0.2:80", 'e'}},
	.pools = {{1, LB_CHOICE_TABLE_NEXT, "web", {1, 2}}},
	.services = {{1, 1, "192.0.2.1:80", {"+10.0.0.0/8", "-10.1.0.0/16", "+fd00::/8"}}},
};

static const struct row_state guarded_more = {
	.backends = {{1, 1, 1, "10.0.0.1:80", 'e'}, {2, 1, 1, "10.0.0.2:80", 'e'}},
	.pools = {{1, LB_CHOICE_TABLE_NEXT, "web", {1, 2}}},
	.services = {{1, 1, "192.0.2.1:80", {"-10.0.0.0/8", "+10.1.0.0/16"}},
		     {2, 1, "192.0.2.2:80", {"-10.0.0.0/8"}}},
};

static const struct {
	const struct row_state *from;
	const struct row_state *to;
} changes[] = {
	{&none, &two},
	{&two, &three},
	{&three, &two},
	{&two, &heavier},
	{&heavier, &two},
	{&two, &one_down},
	{&one_down, &two},
	{&two, &all_down},
	{&all_down, &two},
	{&two, &buried},
	{&buried, &two},
	{&buried, &other_pool},
	{&two, &other_pool},
	{&other_pool, &moved},
	{&moved, &two},
	{&other_pool, &none},
	{&three, &buried},
	{&none, &none},
	{&two, &guarded},
	{&guarded, &two},
	{&guarded, &guarded_more},
	{&guarded_more, &guarded},
	{&guarded, &none},
};
#define N_CHANGES (sizeof(changes) / sizeof(*changes))

static void fresh_maps(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.budget = UINT32_MAX;
	fake.now_ms = 1000;
}

static void start(struct sync *sync)
{
	const struct map_view view = {fake.backends, fake.pools, fake.lines,
				      fake.ends,     fake.snat,	 fake.vips};

	sync_init(sync, &ops, NULL, &view);
}

static int write_state(struct sync *sync, const struct row_state *state)
{
	struct wanted wanted = wanted_of(state);
	struct error err = {0};
	int rc = sync_write(sync, &wanted, &err);

	if (rc == 0)
		check_all(&wanted);
	else
		assert_int_equal(err.code, rc);
	wanted_fini(&wanted);
	return rc;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void every_change_arrives_and_packets_never_see_it_half_done(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N_CHANGES; i++) {
		struct sync sync;

		fresh_maps();
		start(&sync);
		assert_int_equal(write_state(&sync, changes[i].from), 0);
		assert_int_equal(write_state(&sync, changes[i].to), 0);
		sync_fini(&sync);
	}
}

static void what_is_there_already_is_not_written_again(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < N_CHANGES; i++) {
		struct sync sync;

		fresh_maps();
		start(&sync);
		assert_int_equal(write_state(&sync, changes[i].to), 0);
		fake.writes = 0;
		assert_int_equal(write_state(&sync, changes[i].to), 0);
		assert_int_equal(fake.writes, 0);
		sync_fini(&sync);
		/* The next daemon finds it in the maps. */
		start(&sync);
		assert_int_equal(write_state(&sync, changes[i].to), 0);
		assert_int_equal(fake.writes, 0);
		sync_fini(&sync);
	}
}

/* The change stops after <k> writes; then the same daemon, or a new one, tries again. */
static bool interrupted(size_t change, uint32_t k, bool new_daemon)
{
	struct sync sync;
	int rc;

	fresh_maps();
	start(&sync);
	assert_int_equal(write_state(&sync, changes[change].from), 0);
	fake.budget = k;
	rc = write_state(&sync, changes[change].to);
	fake.budget = UINT32_MAX;
	if (new_daemon) {
		sync_fini(&sync);
		start(&sync);
	}
	assert_int_equal(write_state(&sync, changes[change].to), 0);
	/* And from there on everywhere. */
	assert_int_equal(write_state(&sync, &two), 0);
	assert_int_equal(write_state(&sync, &none), 0);
	sync_fini(&sync);
	return rc != 0;
}

static void a_change_cut_off_after_any_write_is_completed_by_the_next(void **unused)
{
	uint32_t cuts = 0;

	(void)unused;
	for (size_t i = 0; i < N_CHANGES; i++) {
		uint32_t k = 0;

		for (; interrupted(i, k, false) | interrupted(i, k, true); k++)
			assert_in_range(k, 0, 200);
		cuts += k;
	}
	assert_true(cuts > 50);
}

static void an_ineligible_backend_is_marked_by_the_first_write(void **unused)
{
	struct sync sync;

	(void)unused;
	fresh_maps();
	start(&sync);
	assert_int_equal(write_state(&sync, &two), 0);
	fake.budget = 1;
	assert_int_equal(write_state(&sync, &one_down), -EIO);
	assert_int_equal(fake.backends[2].flags, LB_BACKEND_USED);
	sync_fini(&sync);
}

static void counters_of_the_kernel_and_the_kill_flag_survive(void **unused)
{
	struct sync sync;

	(void)unused;
	fresh_maps();
	start(&sync);
	assert_int_equal(write_state(&sync, &two), 0);
	assert_int_equal(fake.cleared, 3);
	fake.pools[1].next = 77;
	fake.backends[2].flags |= LB_BACKEND_KILL;
	struct wanted wanted = wanted_of(&heavier);

	assert_int_equal(sync_write(&sync, &wanted, NULL), 0);
	assert_int_equal(fake.pools[1].next, 77);
	assert_true(fake.backends[2].flags & LB_BACKEND_KILL);
	assert_int_equal(fake.cleared, 3);
	wanted_fini(&wanted);
	sync_fini(&sync);
}

static void an_old_table_is_not_overwritten_for_100_ms(void **unused)
{
	uint64_t old;
	struct sync sync;

	(void)unused;
	fresh_maps();
	start(&sync);
	assert_int_equal(write_state(&sync, &two), 0);
	old = fake.pools[1].table;
	for (int i = 0; i < 20; i++) {
		fake.now_ms += 4;
		assert_int_equal(write_state(&sync, i % 2 ? &three : &heavier), 0);
		assert_int_not_equal(LB_TABLE_OFFSET(fake.pools[1].table), LB_TABLE_OFFSET(old));
	}
	fake.now_ms += SYNC_RETIRE_MS;
	assert_int_equal(write_state(&sync, &two), 0);
	assert_int_equal(LB_TABLE_OFFSET(fake.pools[1].table), LB_TABLE_OFFSET(old));
	assert_int_equal(fake.waits, 0);
	sync_fini(&sync);
}

/* As many tables of the largest size as there are leave room for none of the next ones. */
#define TABLES (LB_MAX_SLOTS / LB_MAX_TABLE)

static void a_full_arena_waits_for_retired_tables(void **unused)
{
	struct wanted wanted = wanted_of(&two);
	struct sync sync;

	(void)unused;
	fresh_maps();
	free(wanted.pools[0].slots);
	free(wanted.pools);
	wanted.n_pools = TABLES;
	wanted.pools = calloc(TABLES, sizeof(*wanted.pools));
	for (uint32_t i = 0; i < TABLES; i++) {
		struct wanted_pool *pool = &wanted.pools[i];

		*pool = (struct wanted_pool){.id = i + 1, .n_slots = LB_MAX_TABLE};
		pool->slots = calloc(LB_MAX_TABLE, sizeof(*pool->slots));
		for (uint32_t slot = 0; slot < LB_MAX_TABLE; slot++)
			pool->slots[slot] = 1;
		(void)snprintf(pool->name, sizeof(pool->name), "pool %u", i);
	}
	start(&sync);
	assert_int_equal(sync_write(&sync, &wanted, NULL), 0);
	assert_int_equal(fake.waits, 0);
	for (uint32_t i = 0; i < TABLES; i++)
		wanted.pools[i].slots[5] = 2;
	struct error err = {0};

	/* Nothing is retired yet that the first could wait for. */
	assert_int_equal(sync_write(&sync, &wanted, &err), -ENOSPC);
	/* With one less there is always a place, after a wait. */
	wanted.n_pools = TABLES - 1;
	for (uint32_t i = 0; i < TABLES - 1; i++)
		wanted.pools[i].slots[5] = 1;
	assert_int_equal(sync_write(&sync, &wanted, &err), 0);
	fake.now_ms += SYNC_RETIRE_MS;
	for (uint32_t i = 0; i < TABLES - 1; i++)
		wanted.pools[i].slots[5] = 2;
	assert_int_equal(sync_write(&sync, &wanted, &err), 0);
	assert_true(fake.waits > 0);
	check_all(&wanted);
	wanted.n_pools = TABLES;
	wanted_fini(&wanted);
	sync_fini(&sync);
}

static void a_contradiction_is_refused_before_anything_is_written(void **unused)
{
	static const struct row_state rows[] = {
		{.pools = {{LB_MAX_POOLS, LB_CHOICE_LEAST, "web", {0}}}},
		{.services = {{LB_MAX_SERVICES, 1, "192.0.2.1:80"}}},
		{.services = {{1, LB_MAX_POOLS, "192.0.2.1:80"}}},
		{.services = {{1, 0, "192.0.2.1:80"}}},
		{.services = {{1, 1, "192.0.2.1:80"}, {2, 1, "192.0.2.1:80"}}},
		{.backends = {{1, LB_MAX_POOLS, 1, "10.0.0.1:80", 'e'}}},
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct sync sync;

		fresh_maps();
		start(&sync);
		assert_int_equal(write_state(&sync, &rows[i]), -EINVAL);
		assert_int_equal(fake.writes, 0);
		sync_fini(&sync);
	}
}

static void a_damaged_table_is_moved_elsewhere(void **unused)
{
	struct sync sync;

	(void)unused;
	fresh_maps();
	start(&sync);
	assert_int_equal(write_state(&sync, &other_pool), 0);
	sync_fini(&sync);
	/* Both point into the same region. */
	fake.pools[2].table = LB_TABLE(LB_TABLE_OFFSET(fake.pools[1].table), 1);
	start(&sync);
	assert_int_equal(write_state(&sync, &other_pool), 0);
	assert_int_not_equal(LB_TABLE_OFFSET(fake.pools[2].table),
			     LB_TABLE_OFFSET(fake.pools[1].table));
	sync_fini(&sync);
}

/* ---- Sources of tunnels -------------------------------------------------------------------- */

static bool is_eligible(uint16_t id)
{
	return fake.backends[id].flags & LB_BACKEND_ELIGIBLE;
}

static void a_tunnel_takes_no_flow_before_its_source_is_known(void **unused)
{
	struct sync sync;

	(void)unused;
	fresh_maps();
	fake.tunnels = true;
	start(&sync);
	assert_int_equal(write_state(&sync, &one_down), 0);
	assert_false(is_eligible(1));
	/* Health says up while there is no way: it is remembered, not done. */
	assert_false(sync_source_allows(&sync, 2, true));
	fake.net = 7;
	assert_int_equal(sync_sources_step(&sync, true), 0);
	assert_true(is_eligible(1));
	assert_true(is_eligible(2));
	assert_true(sync_source_allows(&sync, 2, true));
	sync_fini(&sync);
}

static void a_source_follows_our_addresses_and_is_kept_when_the_way_is_lost(void **unused)
{
	static const struct {
		uint8_t net;
		bool written; /* everything is wanted again, too */
		uint8_t source;
	} rows[] = {
		{7, false, 7}, {8, false, 8}, {0, false, 8}, {0, true, 8}, {9, true, 9},
	};
	struct sync sync;

	(void)unused;
	fresh_maps();
	fake.tunnels = true;
	fake.net = 7;
	start(&sync);
	assert_int_equal(write_state(&sync, &two), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		fake.net = rows[i].net;
		if (rows[i].written)
			assert_int_equal(write_state(&sync, &two), 0);
		sync_sources_changed(&sync);
		assert_int_equal(sync_sources_step(&sync, false), 0);
		assert_int_equal(fake.backends[1].source.b[14], rows[i].source);
		assert_int_equal(fake.backends[2].source.b[14], rows[i].source);
		assert_true(is_eligible(1));
	}
	sync_fini(&sync);
}

static void a_source_that_changed_between_two_daemons_is_found(void **unused)
{
	struct sync sync;

	(void)unused;
	fresh_maps();
	fake.tunnels = true;
	for (fake.net = 7; fake.net < 9; fake.net++) {
		start(&sync);
		/* A heartbeat before the first write. */
		assert_int_equal(sync_sources_step(&sync, false), 0);
		assert_int_equal(write_state(&sync, &two), 0);
		assert_int_equal(sync_sources_step(&sync, false), 0);
		assert_int_equal(fake.backends[1].source.b[14], fake.net);
		sync_fini(&sync);
	}
}

static void another_backend_of_the_same_id_has_a_source_of_its_own(void **unused)
{
	struct sync sync;

	(void)unused;
	fresh_maps();
	fake.tunnels = true;
	fake.net = 7;
	start(&sync);
	assert_int_equal(write_state(&sync, &two), 0);
	assert_int_equal(write_state(&sync, &none), 0);
	fake.net = 0;
	assert_int_equal(write_state(&sync, &two), 0);
	assert_int_equal(fake.backends[1].source.b[14], 0);
	assert_false(is_eligible(1));
	sync_fini(&sync);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_change_arrives_and_packets_never_see_it_half_done),
		cmocka_unit_test(what_is_there_already_is_not_written_again),
		cmocka_unit_test(a_change_cut_off_after_any_write_is_completed_by_the_next),
		cmocka_unit_test(an_ineligible_backend_is_marked_by_the_first_write),
		cmocka_unit_test(counters_of_the_kernel_and_the_kill_flag_survive),
		cmocka_unit_test(an_old_table_is_not_overwritten_for_100_ms),
		cmocka_unit_test(a_full_arena_waits_for_retired_tables),
		cmocka_unit_test(a_contradiction_is_refused_before_anything_is_written),
		cmocka_unit_test(a_damaged_table_is_moved_elsewhere),
		cmocka_unit_test(a_tunnel_takes_no_flow_before_its_source_is_known),
		cmocka_unit_test(a_source_follows_our_addresses_and_is_kept_when_the_way_is_lost),
		cmocka_unit_test(a_source_that_changed_between_two_daemons_is_found),
		cmocka_unit_test(another_backend_of_the_same_id_has_a_source_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
