/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who gets a new flow: exact shares, the least loaded, the same one for the same client. */
#include <bpf/bpf.h>
#include <string.h>

#include "talk.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define FLOWS	    600
#define MEMBERS	    8
#define TWO_DRAWS   2000

static void use(enum lb_choice choice, const uint16_t *slots, uint32_t n_slots)
{
	world_backends(MEMBERS);
	world_pool(1, choice, slots, n_slots);
}

/* Opens a flow for the <n>th client and says who got it. */
static uint16_t choose(uint32_t n)
{
	struct talk talk = talk_of((uint16_t)(1024 + n % 60000));

	talk.client = CLIENT + n / 60000 * 256;
	return talk_syn_anywhere(&talk);
}

/* Forgets the flow, so that the next choice sees the loads that the test wrote. */
static uint16_t choose_and_forget(uint32_t n, const struct lb_live *live)
{
	uint16_t backend = choose(n);

	world_forget();
	memcpy(world.live, live, (MEMBERS + 1) * sizeof(*live));
	return backend;
}

/* ---- Turns --------------------------------------------------------------------------------- */

static void turns_are_exact(void **state)
{
	static const struct {
		const char *name;
		uint16_t slots[12];
		uint32_t n_slots;
		uint32_t ineligible; /* bits by id */
		uint32_t shares[5];  /* by id, of FLOWS */
	} rows[] = {
		{"three alike", {1, 2, 3}, 3, 0, {0, 200, 200, 200}},
		{"one alone", {4}, 1, 0, {0, 0, 0, 0, 600}},
		{"3:2:1", {1, 2, 1, 3, 2, 1}, 6, 0, {0, 300, 200, 100}},
		{"5:1", {1, 1, 2, 1, 1, 1}, 6, 0, {0, 500, 100}},
		{"one of two cannot", {1, 2}, 2, 1 << 1, {0, 0, 600}},
		{"the next one takes its turns", {1, 2, 3}, 3, 1 << 2, {0, 200, 0, 400}},
		{"the last one's turns go to the first", {1, 2, 3}, 3, 1 << 3, {0, 400, 200, 0}},
		{"only the last can", {1, 2, 3, 4}, 4, 0x0e, {0, 0, 0, 0, 600}},
		{"a slot of nobody is passed over", {1, 0, 2}, 3, 0, {0, 200, 400}},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t got[MEMBERS + 1] = {0};

		world_reset(state);
		run_row("%s", rows[i].name);
		use(LB_CHOICE_TABLE_NEXT, rows[i].slots, rows[i].n_slots);
		for (uint16_t id = 1; id <= MEMBERS; id++)
			if (rows[i].ineligible & 1U << id)
				world.backends[id].flags = LB_BACKEND_USED;
		for (uint32_t n = 0; n < FLOWS; n++)
			got[choose(n)]++;
		for (uint32_t id = 1; id < COUNT(rows[i].shares); id++)
			if (got[id] != rows[i].shares[id])
				run_fail("backend %u: expected %u of %d, got %u", id,
					 rows[i].shares[id], FLOWS, got[id]);
		for (uint32_t id = 1; id < COUNT(rows[i].shares); id++)
			expect_live((uint16_t)id, &(struct counts){0, 0, rows[i].shares[id], 0, 0});
	}
}

static void turns_go_on_when_the_table_changes(void **state)
{
	static const uint16_t three[] = {1, 2, 3};
	static const uint16_t two[] = {2, 3};
	uint32_t got[MEMBERS + 1] = {0};

	(void)state;
	run_row("three, then two of them");
	use(LB_CHOICE_TABLE_NEXT, three, 3);
	for (uint32_t n = 0; n < 300; n++)
		got[choose(n)]++;
	world_pool(1, LB_CHOICE_TABLE_NEXT, two, 2);
	for (uint32_t n = 300; n < 400; n++)
		got[choose(n)]++;
	expect_equal(got[1], 100);
	expect_equal(got[2], 150);
	expect_equal(got[3], 150);
}

static void table_may_begin_anywhere_in_the_arena(void **state)
{
	static const uint16_t slots[] = {8, 8, 8, 8, 8, 1, 2, 3, 8, 8, 8};

	(void)state;
	for (uint32_t skip = 1; skip <= 5; skip += 2) {
		uint32_t got[MEMBERS + 1] = {0};

		world_reset(state);
		run_row("slot %u of the arena", 1024 + skip);
		use(LB_CHOICE_TABLE_NEXT, slots + 5 - skip, skip + 6);
		world.pools[1].table = LB_TABLE(1024 + skip, 3);
		for (uint32_t n = 0; n < 90; n++)
			got[choose(n)]++;
		for (uint16_t id = 1; id <= 3; id++)
			expect_equal(got[id], 30);
	}
}

/* Failover does not wait for another table: a thousand slots are looked through. */
static void only_eligible_one_is_found_far_down_the_table(void **state)
{
	static uint16_t slots[1024];
	static const struct {
		const char *name;
		enum lb_choice choice;
	} rows[] = {{"turns", LB_CHOICE_TABLE_NEXT},
		    {"hash", LB_CHOICE_TABLE_HASH},
		    {"least", LB_CHOICE_LEAST},
		    {"two", LB_CHOICE_TWO}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		world_reset(state);
		run_row("%s", rows[i].name);
		for (size_t slot = 0; slot < COUNT(slots); slot++)
			slots[slot] = 1;
		slots[1023] = 2;
		use(rows[i].choice, slots, COUNT(slots));
		world.backends[1].flags = LB_BACKEND_USED;
		for (uint32_t n = 0; n < 20; n++)
			expect_equal(choose(n), 2);
	}
}

/* The choice is made once per flow: what follows goes where the SYN went. */
static void open_flow_keeps_a_backend_that_is_not_eligible_any_more(void **state)
{
	static const uint16_t two[] = {1, 2};
	struct talk talk = talk_of(CLIENT_PORT);
	struct talk next = talk_of(CLIENT_PORT + 1);

	(void)state;
	run_row("drained");
	use(LB_CHOICE_TABLE_NEXT, two, 2);
	talk_open(&talk);
	world.backends[1].flags = LB_BACKEND_USED;
	talk_say(&talk, BY_CLIENT, ACK, 10, LB_V_FORWARDED);
	talk_say(&talk, BY_BACKEND, ACK, 10, LB_V_REPLIED);
	expect_equal(talk_syn_anywhere(&next), 2);
	talk_say(&talk, BY_CLIENT, ACK | FIN, 0, LB_V_FORWARDED);
	talk_say(&talk, BY_BACKEND, ACK | FIN, 0, LB_V_REPLIED);
	expect_live(1, &(struct counts){1, 1, 1, 1, 0});
}

/* ---- Least connections --------------------------------------------------------------------- */

struct load {
	uint64_t open;
	uint64_t proxy_open;
	uint64_t pending;
	uint32_t weight;
	bool ineligible;
};

static void set_load(uint16_t id, const struct load *load)
{
	/* Totals are large: only differences mean something. */
	world.live[id].opened = 1000000 + load->open;
	world.live[id].closed = 1000000;
	world.live[id].proxy_opened = 77 + load->proxy_open;
	world.live[id].proxy_closed = 77;
	world.live[id].pending_in = 5000 + load->pending;
	world.live[id].pending_out = 5000;
	world.backends[id].weight = load->weight;
	world.backends[id].flags = load->ineligible ? LB_BACKEND_USED : ELIGIBLE;
}

struct least {
	const char *name;
	struct load loads[3];
	uint16_t best;
};

static const struct least leasts[] = {
	{"fewest open", {{5, 0, 0, 1, 0}, {3, 0, 0, 1, 0}, {9, 0, 0, 1, 0}}, 2},
	{"none open", {{1, 0, 0, 1, 0}, {1, 0, 0, 1, 0}, {0, 0, 0, 1, 0}}, 3},
	{"6 at weight 3 is less than 3 at 1",
	 {{6, 0, 0, 3, 0}, {3, 0, 0, 1, 0}, {9, 0, 0, 1, 0}},
	 1},
	{"10 at 3 is more than 3 at 1", {{10, 0, 0, 3, 0}, {3, 0, 0, 1, 0}, {9, 0, 0, 1, 0}}, 2},
	{"the proxy's connections count", {{2, 9, 0, 1, 0}, {3, 9, 0, 1, 0}, {9, 1, 0, 1, 0}}, 3},
	{"pending ones count", {{0, 0, 5, 1, 0}, {4, 0, 0, 1, 0}, {9, 0, 0, 1, 0}}, 2},
	{"at most 64 pending ones", {{0, 0, 900, 1, 0}, {65, 0, 0, 1, 0}, {66, 0, 0, 1, 0}}, 1},
	{"64 pending are 64", {{0, 0, 900, 1, 0}, {63, 0, 0, 1, 0}, {66, 0, 0, 1, 0}}, 2},
	{"the best cannot", {{0, 0, 0, 1, 1}, {7, 0, 0, 1, 0}, {9, 0, 0, 1, 0}}, 2},
	{"weight 0 gets nothing", {{0, 0, 0, 0, 0}, {7, 0, 0, 1, 0}, {9, 0, 0, 1, 0}}, 2},
	{"large loads and weights",
	 {{4000000000, 0, 0, 256, 0}, {4000000000, 0, 0, 255, 0}, {4000000001, 0, 0, 256, 0}},
	 1},
	{"closed read before opened",
	 {{(uint64_t)-3, 0, 0, 1, 0}, {1, 0, 0, 1, 0}, {1, 0, 0, 1, 0}},
	 1},
};

static void least_loaded_by_weight_is_chosen_wherever_the_turn_is(void **state)
{
	static const uint16_t members[] = {1, 2, 3};

	for (size_t i = 0; i < COUNT(leasts); i++) {
		struct lb_live live[MEMBERS + 1];

		world_reset(state);
		run_row("%s", leasts[i].name);
		use(LB_CHOICE_LEAST, members, 3);
		for (uint16_t id = 1; id <= 3; id++)
			set_load(id, &leasts[i].loads[id - 1]);
		memcpy(live, world.live, sizeof(live));
		for (uint32_t n = 0; n < 7; n++) {
			uint16_t got = choose_and_forget(n, live);

			if (got != leasts[i].best)
				run_fail("expected backend %u, got %u", leasts[i].best, got);
		}
	}
}

static void equal_loads_are_shared_out_evenly(void **state)
{
	static const uint16_t members[] = {1, 2, 3};
	struct lb_live live[MEMBERS + 1] = {0};
	uint32_t got[MEMBERS + 1] = {0};

	(void)state;
	run_row("three idle ones, 60 lone connections");
	use(LB_CHOICE_LEAST, members, 3);
	for (uint32_t n = 0; n < 60; n++)
		got[choose_and_forget(n, live)]++;
	for (uint16_t id = 1; id <= 3; id++)
		expect_equal(got[id], 20);
}

static void connections_spread_by_weight(void **state)
{
	static const struct {
		const char *name;
		uint32_t weights[3];
		uint32_t shares[3]; /* of 120 open connections */
	} rows[] = {
		{"alike", {1, 1, 1}, {40, 40, 40}},
		{"3:2:1", {3, 2, 1}, {60, 40, 20}},
		{"2:1:1", {2, 1, 1}, {60, 30, 30}},
	};
	static const uint16_t members[] = {1, 2, 3};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t got[MEMBERS + 1] = {0};

		world_reset(state);
		run_row("%s", rows[i].name);
		use(LB_CHOICE_LEAST, members, 3);
		for (uint16_t id = 1; id <= 3; id++)
			world.backends[id].weight = rows[i].weights[id - 1];
		for (uint16_t n = 0; n < 120; n++) {
			struct talk talk = talk_of(2000 + n);

			got[talk_syn_anywhere(&talk)]++;
			talk_say(&talk, BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
			talk_say(&talk, BY_CLIENT, ACK, 0, LB_V_FORWARDED);
		}
		for (uint16_t id = 1; id <= 3; id++)
			if (got[id] != rows[i].shares[id - 1])
				run_fail("backend %u: expected %u, got %u", id,
					 rows[i].shares[id - 1], got[id]);
	}
}

#define MANY 300 /* members, more than LB_LEAST_EXACT */

/* Four draws meet only busy ones in a sixteenth of all cases: 50 of 800, six deviations are 41. */
static void best_of_four_is_chosen_among_many(void **state)
{
	static uint16_t members[MANY];
	struct lb_live live[MANY + 1];
	uint32_t busy = 0;

	(void)state;
	run_row("every other one has 100 connections");
	for (uint16_t id = 1; id <= MANY; id++) {
		members[id - 1] = id;
		world_backend(id, NET_FAR + id, BACKEND_PORT, 1, ELIGIBLE);
		set_load(id, &(struct load){id % 2 ? 100 : 0, 0, 0, 1, false});
	}
	world_pool(1, LB_CHOICE_LEAST, members, MANY);
	memcpy(live, world.live, sizeof(live));
	for (uint32_t n = 0; n < 800; n++) {
		busy += choose(n) % 2;
		memcpy(world.live, live, sizeof(live));
	}
	if (busy > 91)
		run_fail("expected a busy one at most 91 times of 800, got %u", busy);
	if (busy == 0)
		run_fail("expected four draws, not all members, to be compared");
}

/* ---- Two samples --------------------------------------------------------------------------- */

static uint32_t draws_of_the_worse(uint64_t load)
{
	static const uint16_t members[] = {1, 2};
	struct lb_live live[MEMBERS + 1];
	uint32_t worse = 0;

	use(LB_CHOICE_TWO, members, 2);
	set_load(1, &(struct load){load, 0, 0, 1, false});
	set_load(2, &(struct load){0, 0, 0, 1, false});
	memcpy(live, world.live, sizeof(live));
	for (uint32_t n = 0; n < TWO_DRAWS; n++)
		worse += choose_and_forget(n, live) == 1;
	return worse;
}

/* Two draws with replacement meet the worse of two in a quarter of all cases: 500 here, six
 * standard deviations are 116. A draw of two different members would give 0. */
static void worse_of_two_is_taken_only_when_it_was_drawn_twice(void **state)
{
	uint32_t worse;

	(void)state;
	run_row("10 against 0");
	worse = draws_of_the_worse(10);
	if (worse > 616)
		run_fail("expected the worse at most 616 times of %d, got %u", TWO_DRAWS, worse);
}

static void two_samples_reach_everybody_who_can_be_chosen(void **state)
{
	static const uint16_t members[] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct lb_live live[MEMBERS + 1] = {0};
	uint32_t got[MEMBERS + 1] = {0};

	(void)state;
	run_row("eight idle ones, two of them not eligible");
	use(LB_CHOICE_TWO, members, MEMBERS);
	world.backends[3].flags = LB_BACKEND_USED;
	world.backends[8].flags = LB_BACKEND_USED;
	for (uint32_t n = 0; n < TWO_DRAWS; n++)
		got[choose_and_forget(n, live)]++;
	for (uint16_t id = 1; id <= MEMBERS; id++) {
		bool eligible = id != 3 && id != 8;

		/* About 333 each; a sixth of that would be luck of another kind. */
		if (eligible ? got[id] < 60 : got[id] > 0)
			run_fail("backend %u got %u of %d", id, got[id], TWO_DRAWS);
	}
}

/* ---- Hash ---------------------------------------------------------------------------------- */

#define HASHED 400

static uint16_t chosen_for(uint32_t client, uint16_t port)
{
	struct talk talk = talk_of(port);
	uint16_t backend;

	talk.client = client;
	backend = talk_syn_anywhere(&talk);
	world_forget();
	return backend;
}

static void use_hash(uint32_t client_only)
{
	static const uint16_t slots[] = {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1};

	use(LB_CHOICE_TABLE_HASH, slots, COUNT(slots));
	world.pools[1].client_only = client_only;
}

static void same_connection_is_hashed_to_the_same_backend(void **state)
{
	uint32_t got[MEMBERS + 1] = {0};

	(void)state;
	use_hash(0);
	for (uint32_t n = 0; n < HASHED; n++) {
		uint16_t first = chosen_for(CLIENT + n % 20, (uint16_t)(1024 + n));

		run_row("connection %u", n);
		got[first]++;
		world.pools[1].next += 3;
		if (chosen_for(CLIENT + n % 20, (uint16_t)(1024 + n)) != first)
			run_fail("another backend the second time");
	}
	/* 50 each, 5 standard deviations are 33. */
	for (uint16_t id = 1; id <= MEMBERS; id++)
		if (got[id] < 15)
			run_fail("backend %u got %u of %d", id, got[id], HASHED);
}

static void hash_of_the_client_alone_ignores_its_port(void **state)
{
	uint32_t got[MEMBERS + 1] = {0};

	(void)state;
	use_hash(1);
	for (uint32_t n = 0; n < HASHED; n++) {
		uint16_t first = chosen_for(CLIENT + n * 256, 1024);

		run_row("client %u", n);
		got[first]++;
		if (chosen_for(CLIENT + n * 256, (uint16_t)(2000 + n)) != first)
			run_fail("another backend from another port");
	}
	for (uint16_t id = 1; id <= MEMBERS; id++)
		if (got[id] < 15)
			run_fail("backend %u got %u of %d", id, got[id], HASHED);
}

static void only_flows_of_the_lost_backend_are_hashed_elsewhere(void **state)
{
	uint16_t before[HASHED];
	uint32_t moved = 0;

	(void)state;
	use_hash(0);
	for (uint32_t n = 0; n < HASHED; n++)
		before[n] = chosen_for(CLIENT, (uint16_t)(1024 + n));
	world.backends[5].flags = LB_BACKEND_USED;
	for (uint32_t n = 0; n < HASHED; n++) {
		uint16_t now = chosen_for(CLIENT, (uint16_t)(1024 + n));

		run_row("connection %u was %u's", n, before[n]);
		if (now == 5 || (before[n] != 5 && now != before[n]))
			run_fail("moved to %u", now);
		moved += now != before[n];
	}
	assert_int_not_equal(moved, 0);
}

static void another_seed_is_another_order(void **state)
{
	uint32_t same = 0;

	(void)state;
	run_row("two seeds");
	use_hash(0);
	for (uint32_t n = 0; n < HASHED; n++) {
		uint16_t first;

		world.pools[1].hash_seed = 1;
		first = chosen_for(CLIENT, (uint16_t)(1024 + n));
		world.pools[1].hash_seed = 2;
		same += chosen_for(CLIENT, (uint16_t)(1024 + n)) == first;
	}
	/* An eighth by chance: 50. */
	assert_in_range(same, 15, 85);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(turns_are_exact),
		TEST(turns_go_on_when_the_table_changes),
		TEST(table_may_begin_anywhere_in_the_arena),
		TEST(only_eligible_one_is_found_far_down_the_table),
		TEST(open_flow_keeps_a_backend_that_is_not_eligible_any_more),
		TEST(least_loaded_by_weight_is_chosen_wherever_the_turn_is),
		TEST(equal_loads_are_shared_out_evenly),
		TEST(connections_spread_by_weight),
		TEST(best_of_four_is_chosen_among_many),
		TEST(worse_of_two_is_taken_only_when_it_was_drawn_twice),
		TEST(two_samples_reach_everybody_who_can_be_chosen),
		TEST(same_connection_is_hashed_to_the_same_backend),
		TEST(hash_of_the_client_alone_ignores_its_port),
		TEST(only_flows_of_the_lost_backend_are_hashed_elsewhere),
		TEST(another_seed_is_another_order),
	};

	(void)argc;
	world_flows = 4096; /* a quarter may be half-open */
	return RUN_TESTS(tests, argv);
}
