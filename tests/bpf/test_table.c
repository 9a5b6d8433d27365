/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table: full, emptied, filled again; keys that collide; entries that are stale. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#include "talk.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define FLOWS	    64
#define FIRST_PORT  2000

static void set_timeouts(uint64_t ns)
{
	world_timeouts(ns);
}

static void end_all(void)
{
	set_timeouts(1000000);
	world_age(1000000000);
	world_sweep();
	set_timeouts(0);
}

/* Fills the table with flows whose records are all different. */
static void fill(struct talk talks[static FLOWS])
{
	bool seen[LB_RECORDS(FLOWS)] = {false};

	for (uint16_t i = 0; i < FLOWS; i++) {
		size_t record;

		talks[i] = talk_of(FIRST_PORT + i);
		talk_open(&talks[i]);
		record = (size_t)(talk_flow(&talks[i]) - world.flows);
		if (seen[record])
			run_fail("record %zu was given to two flows", record);
		seen[record] = true;
	}
	expect_equal(world.meta->live_flows, FLOWS);
	expect_equal(world_index_count(), FLOWS);
}

static void full_table_refuses_and_forwards_what_it_knows(void **state)
{
	struct talk talks[FLOWS];
	struct talk late = talk_of(CLIENT_PORT);

	(void)state;
	run_row("64 flows");
	fill(talks);
	run_row("one more");
	talk_say(&late, BY_CLIENT, SYN, 0, LB_V_TABLE_FULL);
	talk_say(&late, BY_CLIENT, SYN, 9, LB_V_TABLE_FULL);
	run_row("those it knows");
	for (int i = 0; i < FLOWS; i++) {
		talk_say(&talks[i], BY_BACKEND, ACK, 1, LB_V_REPLIED);
		talk_say(&talks[i], BY_CLIENT, ACK, 3, LB_V_FORWARDED);
	}
	expect_live(1, &(struct counts){FLOWS, 0, FLOWS, FLOWS, 0});
}

static void records_come_back_however_flows_end(void **state)
{
	static const uint8_t ends[] = {ACK, ACK | FIN, RST};
	uint64_t opened = 0;
	struct talk late;

	(void)state;
	for (int round = 0; round < 5; round++) {
		struct talk talks[FLOWS];

		run_row("round %d", round);
		fill(talks);
		late = talk_of(CLIENT_PORT);
		talk_say(&late, BY_CLIENT, SYN, 0, LB_V_TABLE_FULL);
		for (int i = 0; i < FLOWS; i += round + 1)
			talk_say(&talks[i], BY_CLIENT, ends[i % 3], 0, LB_V_FORWARDED);
		opened += FLOWS;
		end_all();
		expect_no_flow();
		expect_live(1, &(struct counts){opened, opened, opened, opened, 0});
	}
}

static void one_record_given_back_is_room_for_one(void **state)
{
	struct talk talks[FLOWS];
	struct talk late = talk_of(CLIENT_PORT);

	(void)state;
	run_row("64 flows, one of them reset");
	fill(talks);
	talk_say(&talks[40], BY_BACKEND, RST | ACK, 0, LB_V_REPLIED);
	world_timeout(LB_FLOW_RESET, 1000000);
	talk_flow(&talks[40])->seen -= world.second;
	world_sweep();
	expect_equal(world.meta->live_flows, FLOWS - 1);
	talk_say(&late, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	late.client_port++;
	talk_say(&late, BY_CLIENT, SYN, 0, LB_V_TABLE_FULL);
}

/* ---- Sets ----------------------------------------------------------------------------------- */

/* Where the flow of the talk lives with nobody else there. */
static uint32_t home_of(const struct talk *like)
{
	struct talk talk = *like;

	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	return (uint32_t)(talk_flow(&talk) - world.flows) / LB_SET_RECORDS;
}

/* A record that is another's, whoever that is. */
static void occupy(uint32_t record)
{
	world.flows[record].word = 1ULL << 32 | LB_FLOW_OPEN;
}

static uint64_t crowd_of(uint32_t set)
{
	return world.crowds[set / 8] >> set % 8 * 8 & 0xff;
}

static void flow_whose_home_is_full_lives_elsewhere(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct talk stranger = talk_of(CLIENT_PORT);
	uint32_t home = home_of(&talk);
	const struct lb_flow *flow;

	world_reset(state);
	run_row("four others at home");
	for (uint32_t i = 0; i < LB_SET_RECORDS; i++)
		occupy(home * LB_SET_RECORDS + i);
	talk_open(&talk);
	flow = talk_flow(&talk);
	if ((flow - world.flows) / LB_SET_RECORDS == home)
		run_fail("it took another's record");
	expect_equal(crowd_of(home), 1);
	run_row("home is free again, and it is found all the same");
	memset(&world.flows[home * LB_SET_RECORDS], 0, LB_SET_RECORDS * sizeof(*flow));
	talk_say(&talk, BY_CLIENT, ACK, 9, LB_V_FORWARDED);
	talk_say(&talk, BY_BACKEND, ACK, 9, LB_V_REPLIED);
	run_row("a SYN of the same client is none of a new flow");
	talk_say(&stranger, BY_CLIENT, SYN, 0, LB_V_FORWARDED);
	expect_equal(world.meta->live_flows, 1);
	run_row("and ends");
	end_all();
	expect_no_flow();
	expect_live(1, &(struct counts){1, 1, 1, 1, 0});
}

static void flow_without_a_free_record_in_its_sets_is_refused(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	uint32_t home = home_of(&talk);

	world_reset(state);
	run_row("every record is another's");
	for (uint32_t i = 0; i < world.n_records; i++)
		occupy(i);
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_TABLE_FULL);
	expect_equal(world.meta->live_flows, 0);
	expect_equal(crowd_of(home), 0);
	expect_equal(world.live[1].pending_in, 0);
	run_row("there is one, but too many live elsewhere");
	for (uint32_t i = 0; i < world.n_records; i++)
		if (i / LB_SET_RECORDS != home)
			world.flows[i].word = 0;
	world.crowds[home / 8] = (uint64_t)LB_CROWD_MOST << home % 8 * 8;
	talk = talk_of(CLIENT_PORT);
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_TABLE_FULL);
	expect_equal(world.meta->live_flows, 0);
	world.crowds[home / 8] = 0;
	run_row("but one at home");
	world.flows[home * LB_SET_RECORDS + 3].word = 0;
	talk = talk_of(CLIENT_PORT);
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_FORWARDED_NEW);
	expect_equal(talk_flow(&talk) - world.flows, home * LB_SET_RECORDS + 3);
	expect_equal(crowd_of(home), 0);
}

/* Another CPU takes it at this moment, or takes it apart. */
static void key_that_another_cpu_opens_is_not_opened_twice(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct lb_flow *flow;

	(void)state;
	run_row("its record is claimed");
	talk_open(&talk);
	flow = talk_flow(&talk);
	flow->word = (flow->word & ~0xffULL) | LB_FLOW_CLAIMED;
	talk = talk_of(CLIENT_PORT);
	talk_say(&talk, BY_CLIENT, SYN, 0, LB_V_BAD_STATE);
	expect_equal(world.meta->live_flows, 1);
	expect_equal(world_index_count(), 1);
}

/* ---- Entries ------------------------------------------------------------------------------- */

static __u64 *entry_of(uint32_t record)
{
	for (uint32_t i = 0; i < world.n_buckets; i++)
		for (uint32_t k = 0; k < LB_BUCKET_ENTRIES; k++) {
			__u64 *entry = &world.buckets[i].entry[k];

			if (*entry && LB_ENTRY_RECORD(*entry) == record)
				return entry;
		}
	return NULL;
}

/* Opens the flow and says where the entry is that replies find. */
static __u64 *open_and_look(struct talk *talk)
{
	__u64 *entry;

	talk_open(talk);
	entry = entry_of((uint32_t)(talk_flow(talk) - world.flows));
	if (!entry)
		run_fail("the flow has no entry");
	return entry;
}

/* An entry that no key fits: tags are odd. */
#define NOBODY LB_ENTRY(2, 1, 1)

/* Rare, as it is half full at most. All the same it must leave nothing half done. */
static void full_index_refuses_and_leaks_nothing(void **state)
{
	uint32_t entries = world.n_buckets * LB_BUCKET_ENTRIES;

	for (uint32_t room = 0; room <= 1; room++) {
		struct talk talk = talk_of(CLIENT_PORT);
		__u64 *entry;

		world_reset(state);
		run_row("room for %u entries", room);
		entry = open_and_look(&talk);
		world_reset(state);
		for (uint32_t i = 0; i < entries; i++)
			world.buckets[i / LB_BUCKET_ENTRIES].entry[i % LB_BUCKET_ENTRIES] = NOBODY;
		if (room)
			*entry = 0;
		talk = talk_of(CLIENT_PORT);
		talk_say(&talk, BY_CLIENT, SYN, 0, room ? LB_V_FORWARDED_NEW : LB_V_TABLE_FULL);
		expect_equal(world.meta->live_flows, room);
		expect_equal(world_index_count(), entries);
		expect_equal(world.live[1].pending_in - world.live[1].pending_out, room);
	}
}

/* An entry that names a record of another time, of another flow, or of none. */
static void entry_that_names_another_flow_finds_none(void **state)
{
	static const struct {
		const char *name;
		uint32_t record_off;
		uint32_t generation_off;
	} rows[] = {
		{"the generation before", 0, (uint32_t)-1},  {"the next generation", 0, 1},
		{"a record whose key is another", 0, 0},     {"a record never used", 5, 0},
		{"a record beyond the table", 2 * FLOWS, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct talk stale = talk_of(CLIENT_PORT + 1);
		struct lb_flow before;
		__u64 *entry;
		uint64_t tag;

		world_reset(state);
		run_row("%s", rows[i].name);
		entry = open_and_look(&stale);
		tag = LB_ENTRY_TAG(*entry);
		end_all();
		talk_open(&talk);
		before = *talk_flow(&talk);
		*entry = LB_ENTRY(tag, LB_FLOW_GENERATION(before.word) + rows[i].generation_off,
				  (uint64_t)(talk_flow(&talk) - world.flows) + rows[i].record_off);
		talk_say(&stale, BY_BACKEND, ACK | FIN, 8, LB_V_NOT_OURS);
		if (memcmp(&before, talk_flow(&talk), sizeof(before)) != 0)
			run_fail("the other flow's record changed");
	}
}

/* Two keys of one tag in one bucket: the first entry is not the flow's, and it is found. */
static void entry_behind_another_of_its_tag_is_found(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	__u64 *entry;

	(void)state;
	run_row("another record's entry of the same tag before it");
	entry = open_and_look(&talk);
	entry[1] = *entry;
	*entry = LB_ENTRY(LB_ENTRY_TAG(*entry), 77, 9);
	talk_say(&talk, BY_BACKEND, ACK, 8, LB_V_REPLIED);
}

static void ending_flow_leaves_an_entry_that_names_another(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	uint64_t other;
	__u64 *entry;

	(void)state;
	run_row("record 7, generation 9");
	entry = open_and_look(&talk);
	other = LB_ENTRY(LB_ENTRY_TAG(*entry), 9, 7);
	*entry = other;
	end_all();
	expect_equal(world.meta->live_flows, 0);
	expect_equal(world_index_count(), 1);
	expect_equal(*entry, other);
}

/* ---- Collisions ---------------------------------------------------------------------------- */

#define SERVICES 6
#define TRIES	 4

/* Services 1..6 on ports 80..85, each with a pool of its own over the same backends. */
static void make_services(const uint16_t *slots, uint32_t n_slots, enum lb_choice choice)
{
	world_backends(SERVICES);
	for (uint16_t id = 1; id <= SERVICES; id++) {
		world_pool(id, choice, slots, n_slots);
		world_service(id, VIP, VIP_PORT + id - 1, id, 0);
	}
}

static struct talk talk_to(uint16_t service)
{
	struct talk talk = talk_of(CLIENT_PORT);

	talk.vip_port = VIP_PORT + service - 1;
	return talk;
}

static uint64_t pending(uint16_t backend)
{
	return world.live[backend].pending_in - world.live[backend].pending_out;
}

static void one_client_port_to_many_services_gets_a_backend_for_each(void **state)
{
	static const uint16_t slots[] = {1, 2, 3, 4, 5, 6};
	struct talk talks[TRIES + 1];

	(void)state;
	make_services(slots, COUNT(slots), LB_CHOICE_TABLE_NEXT);
	for (uint16_t id = 1; id <= TRIES; id++) {
		run_row("service %u", id);
		talks[id] = talk_to(id);
		expect_equal(talk_syn_anywhere(&talks[id]), id);
		expect_equal(pending(id), 1);
		expect_equal(world.meta->live_flows, id);
	}
	run_row("four were tried");
	talks[0] = talk_to(TRIES + 1);
	talk_say(&talks[0], BY_CLIENT, SYN, 0, LB_V_NAT_COLLISION);
	for (uint16_t id = 1; id <= SERVICES; id++)
		expect_equal(pending(id), id <= TRIES);
	expect_equal(world.meta->live_flows, TRIES);
	expect_equal(world_index_count(), TRIES);
	for (uint16_t id = 1; id <= TRIES; id++) {
		run_row("service %u answers its own client", id);
		talk_say(&talks[id], BY_BACKEND, SYN | ACK, 0, LB_V_REPLIED);
		talk_say(&talks[id], BY_CLIENT, ACK, 0, LB_V_FORWARDED);
		expect_live(id, &(struct counts){1, 0, world.live[id].pending_in,
						 world.live[id].pending_in, 0});
	}
	end_all();
	expect_no_flow();
}

static void collision_with_every_backend_leaves_nothing_behind(void **state)
{
	static const struct {
		const char *name;
		uint16_t slots[4];
		uint32_t n_slots;
		bool ineligible; /* backend 2 */
	} rows[] = {
		{"one backend", {1}, 1, false},
		{"one backend in four slots", {1, 1, 1, 1}, 4, false},
		{"the other one cannot", {1, 2}, 2, true},
	};
	static const enum lb_choice choices[] = {LB_CHOICE_TABLE_NEXT, LB_CHOICE_TABLE_HASH,
						 LB_CHOICE_LEAST, LB_CHOICE_TWO};

	for (size_t i = 0; i < COUNT(rows) * COUNT(choices); i++) {
		size_t r = i / COUNT(choices);
		struct talk first = talk_to(1);
		struct talk second = talk_to(2);

		world_reset(state);
		run_row("%s, choice %d", rows[r].name, choices[i % COUNT(choices)]);
		make_services(rows[r].slots, rows[r].n_slots, choices[i % COUNT(choices)]);
		if (rows[r].ineligible)
			world.backends[2].flags = LB_BACKEND_USED;
		expect_equal(talk_syn_anywhere(&first), 1);
		for (int k = 0; k < 3; k++)
			talk_say(&second, BY_CLIENT, SYN, 0, LB_V_NAT_COLLISION);
		expect_equal(pending(1), 1);
		expect_equal(pending(2), 0);
		expect_equal(world.meta->live_flows, 1);
		expect_equal(world_index_count(), 1);
		talk_say(&first, BY_BACKEND, RST | ACK, 0, LB_V_REPLIED);
		world_timeout(LB_FLOW_RESET, 1);
		world_age(1000000000);
		world_sweep();
		expect_no_flow();
		second.seq_client = talk_of(0).seq_client;
		talk_open(&second);
	}
}

/* The same address and port in two pools is two backends with one key. */
static void two_ids_of_one_address_collide_too(void **state)
{
	static const uint16_t one[] = {1};
	static const uint16_t others[] = {2, 3};
	struct talk first = talk_to(1);
	struct talk second = talk_to(2);

	(void)state;
	run_row("ids 1 and 2 at one address, id 3 at another");
	make_services(one, 1, LB_CHOICE_TABLE_NEXT);
	world_pool(2, LB_CHOICE_TABLE_NEXT, others, 2);
	world_backend(2, BACKEND_ADDR(1), BACKEND_PORT, 1, ELIGIBLE);
	expect_equal(talk_syn_anywhere(&first), 1);
	expect_equal(talk_syn_anywhere(&second), 3);
	expect_live(2, &(struct counts){0, 0, 1, 1, 0});
	expect_live(3, &(struct counts){0, 0, 1, 0, 0});
}

static void each_choice_takes_the_next_backend_after_a_collision(void **state)
{
	static const enum lb_choice choices[] = {LB_CHOICE_TABLE_NEXT, LB_CHOICE_TABLE_HASH,
						 LB_CHOICE_LEAST, LB_CHOICE_TWO};
	static const uint16_t slots[] = {1, 2, 3, 4};

	for (size_t i = 0; i < COUNT(choices); i++) {
		uint32_t seen = 0;

		world_reset(state);
		make_services(slots, COUNT(slots), choices[i]);
		for (uint16_t id = 1; id <= TRIES; id++) {
			struct talk talk = talk_to(id);

			run_row("choice %d, service %u", choices[i], id);
			seen |= 1U << talk_syn_anywhere(&talk);
		}
		expect_equal(seen, 0x1e);
		for (uint16_t id = 1; id <= TRIES; id++)
			expect_equal(pending(id), 1);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(full_table_refuses_and_forwards_what_it_knows),
		TEST(records_come_back_however_flows_end),
		TEST(one_record_given_back_is_room_for_one),
		TEST(flow_whose_home_is_full_lives_elsewhere),
		TEST(flow_without_a_free_record_in_its_sets_is_refused),
		TEST(key_that_another_cpu_opens_is_not_opened_twice),
		TEST(full_index_refuses_and_leaks_nothing),
		TEST(entry_that_names_another_flow_finds_none),
		TEST(entry_behind_another_of_its_tag_is_found),
		TEST(ending_flow_leaves_an_entry_that_names_another),
		TEST(one_client_port_to_many_services_gets_a_backend_for_each),
		TEST(collision_with_every_backend_leaves_nothing_behind),
		TEST(two_ids_of_one_address_collide_too),
		TEST(each_choice_takes_the_next_backend_after_a_collision),
	};

	(void)argc;
	world_flows = FLOWS;
	return RUN_TESTS(tests, argv);
}
