/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "algorithm/spec.h"

#include "views.h"

static const struct pick_key no_key;

static void every_registered_name_is_an_algorithm(void **state)
{
	static const struct {
		const char *name;
		enum lb_choice choice;
		bool client_only;
	} rows_of[] = {
		{"round-robin", LB_CHOICE_TABLE_NEXT, false},
		{"weighted-round-robin", LB_CHOICE_TABLE_NEXT, false},
		{"least-connections", LB_CHOICE_LEAST, false},
		{"maglev", LB_CHOICE_TABLE_HASH, false},
		{"source-hash", LB_CHOICE_TABLE_HASH, true},
		{"random-two", LB_CHOICE_TWO, false},
		{"least-latency", LB_CHOICE_LATENCY, false},
	};
	unsigned n = sizeof(rows_of) / sizeof(rows_of[0]);

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		const struct algorithm_ops *ops = algorithm_create(rows_of[i].name);

		assert_non_null(ops);
		assert_string_equal(algorithm_name(i), rows_of[i].name);
		assert_true(algorithm_exists(rows_of[i].name));
		assert_int_equal(ops->choice, rows_of[i].choice);
		assert_int_equal(ops->client_only, rows_of[i].client_only);
	}
	assert_null(algorithm_name(n));
	assert_false(algorithm_exists("round_robin"));
	assert_null(algorithm_create(""));
}

static void an_unknown_algorithm_is_refused(void **state)
{
	struct view *view = view_of(1, NULL, NULL, 0);
	struct balancer *balancer = NULL;

	(void)state;
	assert_int_equal(balancer_new("best", view, NULL, &balancer), -ENOENT);
	assert_null(balancer);
	assert_int_equal(atomic_load(&view->refs), 1);
	view_put(view);
}

static void nobody_is_picked_from_an_empty_view(void **state)
{
	(void)state;
	for (unsigned i = 0; algorithm_name(i); i++) {
		struct balancer *balancer = balancer_of(algorithm_name(i), 0, NULL);

		assert_int_equal(balancer->n_slots, 0);
		assert_null(balancer_pick(balancer, &no_key, NULL, 0));
		balancer_ids(balancer, NULL);
		balancer_free(balancer);
	}
	balancer_free(NULL);
}

static void every_member_is_in_the_table_and_is_picked(void **state)
{
	static const uint32_t counts[] = {1, 2, 7, 300};

	(void)state;
	for (unsigned i = 0; algorithm_name(i); i++) {
		for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
			struct balancer *balancer = balancer_of(algorithm_name(i), counts[c], NULL);
			uint16_t *ids = calloc(balancer->n_slots, sizeof(*ids));
			uint32_t in_table = 0;
			uint32_t picked = 0;
			bool seen_id[512] = {0};
			bool seen[512] = {0};

			assert_non_null(ids);
			balancer_ids(balancer, ids);
			for (uint32_t s = 0; s < balancer->n_slots; s++) {
				in_table += !seen_id[ids[s]];
				seen_id[ids[s]] = true;
			}
			for (uint64_t n = 0; n < 40ULL * counts[c]; n++) {
				struct pick_key key = {.hash = n * 0x9e3779b97f4a7c15U};

				memcpy(key.client.ip, &key.hash, sizeof(key.hash));
				const struct view_member *member =
					balancer_pick(balancer, &key, NULL, 0);

				picked += !seen[member->id];
				seen[member->id] = true;
			}
			assert_int_equal(in_table, counts[c]);
			assert_int_equal(picked, counts[c]);
			free(ids);
			balancer_free(balancer);
		}
	}
}

static void round_robin_is_exact_over_any_window(void **state)
{
	enum { MEMBERS = 5, PICKS = 60 };
	struct balancer *balancer = balancer_of("round-robin", MEMBERS, NULL);
	uint16_t picked[PICKS];

	(void)state;
	for (int i = 0; i < PICKS; i++) {
		picked[i] = balancer_pick(balancer, &no_key, NULL, 0)->id;
		if (i >= MEMBERS)
			assert_int_equal(picked[i], picked[i - MEMBERS]);
		for (int back = 1; back < MEMBERS && back <= i; back++)
			assert_int_not_equal(picked[i], picked[i - back]);
	}
	balancer_free(balancer);
}

static void a_reload_goes_on_where_the_turn_was(void **state)
{
	struct view *view = view_of(4, NULL, NULL, 0);
	struct balancer *first;
	struct balancer *second;

	(void)state;
	assert_int_equal(balancer_new("round-robin", view, NULL, &first), 0);
	assert_int_equal(balancer_pick(first, &no_key, NULL, 0)->id, 1);
	assert_int_equal(balancer_new("round-robin", view, first, &second), 0);
	assert_int_equal(balancer_pick(second, &no_key, NULL, 0)->id, 2);
	assert_int_equal(balancer_pick(first, &no_key, NULL, 0)->id, 3);
	balancer_free(first);
	assert_int_equal(balancer_pick(second, &no_key, NULL, 0)->id, 4);
	balancer_free(second);
	view_put(view);
}

static void least_connections_takes_the_lowest_load_for_its_weight(void **state)
{
	static const struct {
		uint16_t weights[3];
		struct lb_live live[3];
		uint16_t id;
	} rows_of[] = {
		{{1, 1, 1}, {{.opened = 5}, {.opened = 3}, {.opened = 4}}, 2},
		{{1, 1, 1}, {{.opened = 5, .closed = 5}, {.opened = 1}, {.opened = 1}}, 1},
		{{1, 1, 1}, {{.proxy_opened = 2}, {.opened = 1}, {.proxy_opened = 3}}, 2},
		{{1, 1, 1}, {{.pending_in = 2}, {.opened = 1}, {.opened = 2}}, 2},
		{{4, 1, 1}, {{.opened = 7}, {.opened = 2}, {.opened = 2}}, 1},
		{{4, 1, 1}, {{.opened = 9}, {.opened = 2}, {.opened = 3}}, 2},
		{{1, 3, 256}, {{.opened = 1}, {.opened = 2}, {.opened = 200}}, 2},
		/* A flood of SYNs counts as 64 connections, not as a thousand. */
		{{1, 1, 1}, {{.pending_in = 1000}, {.opened = 65}, {.opened = 70}}, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows_of) / sizeof(rows_of[0]); i++) {
		struct balancer *balancer = balancer_of("least-connections", 3, rows_of[i].weights);

		for (int m = 0; m < 3; m++)
			*balancer->view->members[m].live = rows_of[i].live[m];
		for (int turn = 0; turn < 3; turn++)
			assert_int_equal(balancer_pick(balancer, &no_key, NULL, 0)->id,
					 rows_of[i].id);
		balancer_free(balancer);
	}
}

static void ties_of_least_connections_turn(void **state)
{
	struct balancer *balancer = balancer_of("least-connections", 4, NULL);

	(void)state;
	for (int i = 0; i < 12; i++)
		assert_int_equal(balancer_pick(balancer, &no_key, NULL, 0)->id, i % 4 + 1);
	balancer_free(balancer);
}

static void connections_kept_open_are_shared_by_weight(void **state)
{
	static const uint16_t weights[] = {1, 2, 3, 4};
	struct balancer *balancer = balancer_of("least-connections", 4, weights);

	(void)state;
	for (int i = 0; i < 1000; i++)
		balancer_pick(balancer, &no_key, NULL, 0)->live->opened++;
	for (int m = 0; m < 4; m++) {
		uint64_t due = weights[m] * 100;

		assert_in_range(balancer->view->members[m].live->opened, due - 1, due + 1);
	}
	balancer_free(balancer);
}

static void large_pools_stay_balanced_by_samples(void **state)
{
	enum { MEMBERS = LB_LEAST_EXACT + 44 };
	static const char *const names[] = {"least-connections", "random-two"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct balancer *balancer = balancer_of(names[i], MEMBERS, NULL);

		for (int n = 0; n < MEMBERS * 50; n++)
			balancer_pick(balancer, &no_key, NULL, 0)->live->proxy_opened++;
		for (int m = 0; m < MEMBERS; m++)
			assert_in_range(live_open(balancer->view->members[m].live), 40, 56);
		balancer_free(balancer);
	}
}

static void random_two_never_takes_the_most_loaded(void **state)
{
	struct balancer *balancer = balancer_of("random-two", 3, NULL);
	bool seen[4] = {0};

	(void)state;
	balancer->view->members[1].live->opened = 100;
	for (int i = 0; i < 1000; i++)
		seen[balancer_pick(balancer, &no_key, NULL, 0)->id] = true;
	assert_true(seen[1] && !seen[2] && seen[3]);
	balancer_free(balancer);
}

static void least_latency_prefers_the_faster_and_still_asks_the_slower(void **state)
{
	struct balancer *balancer = balancer_of("least-latency", 2, NULL);
	int slow = 0;

	(void)state;
	balancer->view->members[0].live->latency_us = 900;
	balancer->view->members[1].live->latency_us = 100;
	for (int i = 0; i < 1000; i++)
		slow += balancer_pick(balancer, &no_key, NULL, 0)->id == 1;
	assert_in_range(slow, 150, 350); /* a quarter: both draws are of the slower */
	balancer_free(balancer);
}

static void a_retry_skips_what_was_tried_while_another_is_there(void **state)
{
	enum { MEMBERS = 6 };

	(void)state;
	for (unsigned i = 0; algorithm_name(i); i++) {
		struct balancer *balancer = balancer_of(algorithm_name(i), MEMBERS, NULL);

		for (uint64_t n = 0; n < 200; n++) {
			struct pick_key key = {.hash = n * 0x9e3779b97f4a7c15U};
			uint16_t tried[MEMBERS];

			memcpy(key.client.ip, &key.hash, sizeof(key.hash));
			for (uint32_t m = 0; m < MEMBERS; m++) {
				tried[m] = balancer_pick(balancer, &key, tried, m)->id;
				for (uint32_t before = 0; before < m; before++)
					assert_int_not_equal(tried[m], tried[before]);
			}
			assert_non_null(balancer_pick(balancer, &key, tried, MEMBERS));
		}
		balancer_free(balancer);
	}
}

static void one_client_stays_with_one_backend(void **state)
{
	struct balancer *balancer = balancer_of("source-hash", 10, NULL);
	struct pick_key key = {.hash = 1};
	uint16_t id;
	int others = 0;

	(void)state;
	assert_null(addr_parse(SLICE("192.0.2.7:4000"), true, &key.client));
	id = balancer_pick(balancer, &key, NULL, 0)->id;
	for (int port = 1; port < 200; port++) {
		key.client.port = (in_port_t)port;
		key.hash = (uint64_t)port * 0x9e3779b97f4a7c15U;
		assert_int_equal(balancer_pick(balancer, &key, NULL, 0)->id, id);
	}
	for (int client = 1; client < 200; client++) {
		key.client.ip[15] = (uint8_t)client;
		others += balancer_pick(balancer, &key, NULL, 0)->id != id;
	}
	assert_in_range(others, 140, 198);
	balancer_free(balancer);
}

/* ---- Threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, PICKS_EACH = 20000, MEMBERS_SHARED = 5 };

static void *pick_many(void *arg)
{
	const struct balancer *balancer = arg;

	for (int i = 0; i < PICKS_EACH; i++) {
		const struct view_member *member = balancer_pick(balancer, &no_key, NULL, 0);

		__atomic_fetch_add(&member->live->proxy_opened, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void threads_share_one_turn_exactly(void **state)
{
	struct balancer *balancer = balancer_of("round-robin", MEMBERS_SHARED, NULL);
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pick_many, balancer), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int m = 0; m < MEMBERS_SHARED; m++)
		assert_int_equal(balancer->view->members[m].live->proxy_opened,
				 THREADS * PICKS_EACH / MEMBERS_SHARED);
	balancer_free(balancer);
}

static void threads_may_pick_by_load_while_counts_move(void **state)
{
	struct balancer *balancer = balancer_of("least-connections", MEMBERS_SHARED, NULL);
	pthread_t threads[THREADS];
	uint64_t sum = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, pick_many, balancer), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int m = 0; m < MEMBERS_SHARED; m++) {
		uint64_t open = live_open(balancer->view->members[m].live);

		/* Each thread's choice may be stale by the others' one connection. */
		assert_in_range(open, THREADS * PICKS_EACH / MEMBERS_SHARED - 2 * THREADS,
				THREADS * PICKS_EACH / MEMBERS_SHARED + 2 * THREADS);
		sum += open;
	}
	assert_int_equal(sum, THREADS * PICKS_EACH);
	balancer_free(balancer);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_registered_name_is_an_algorithm),
		cmocka_unit_test(an_unknown_algorithm_is_refused),
		cmocka_unit_test(nobody_is_picked_from_an_empty_view),
		cmocka_unit_test(every_member_is_in_the_table_and_is_picked),
		cmocka_unit_test(round_robin_is_exact_over_any_window),
		cmocka_unit_test(a_reload_goes_on_where_the_turn_was),
		cmocka_unit_test(least_connections_takes_the_lowest_load_for_its_weight),
		cmocka_unit_test(ties_of_least_connections_turn),
		cmocka_unit_test(connections_kept_open_are_shared_by_weight),
		cmocka_unit_test(large_pools_stay_balanced_by_samples),
		cmocka_unit_test(random_two_never_takes_the_most_loaded),
		cmocka_unit_test(least_latency_prefers_the_faster_and_still_asks_the_slower),
		cmocka_unit_test(a_retry_skips_what_was_tried_while_another_is_there),
		cmocka_unit_test(one_client_stays_with_one_backend),
		cmocka_unit_test(threads_share_one_turn_exactly),
		cmocka_unit_test(threads_may_pick_by_load_while_counts_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
