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
	uint64_t seen = 0;

	for (uint16_t i = 0; i < FLOWS; i++) {
		uint64_t record;

		talks[i] = talk_of(FIRST_PORT + i);
		talk_open(&talks[i]);
		record = (uint64_t)(talk_flow(&talks[i]) - world.flows);
		if (seen & 1ULL << record)
			run_fail("record %lu was given to two flows", record);
		seen |= 1ULL << record;
	}
	expect_equal(world.meta->live_flows, FLOWS);
	expect_equal(world_index_count(), 2 * FLOWS);
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
		/* The ring of free records is empty, but its cells hold what was in them once. */
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

/* ---- Entries ------------------------------------------------------------------------------- */

/* Where the entries of a talk lie. */
struct places {
	__u64 *reverse; /* the one inserted first */
	__u64 *forward;
};

static __u64 *entry_of(uint32_t record, uint32_t nth)
{
	for (uint32_t i = 0; i < world.n_buckets; i++)
		for (uint32_t k = 0; k < LB_BUCKET_ENTRIES; k++) {
			__u64 *entry = &world.buckets[i].entry[k];

			if (*entry && LB_ENTRY_RECORD(*entry) == record && !nth--)
				return entry;
		}
	return NULL;
}

/* Opens the flow and says where its two entries are; which is which is told by taking one away. */
static struct places open_and_look(struct talk *talk)
{
	struct segment probe;
	struct places places;
	struct frame in;
	struct sent sent;
	uint32_t record;
	uint64_t kept;

	talk_open(talk);
	record = (uint32_t)(talk_flow(talk) - world.flows);
	places.forward = entry_of(record, 0);
	places.reverse = entry_of(record, 1);
	if (!places.forward || !places.reverse)
		run_fail("the flow has no two entries");
	kept = *places.forward;
	*places.forward = 0;
	probe = talk_segment(talk, BY_CLIENT, ACK, 0);
	frame_build(&in, &probe);
	run_frame(&in, CLIENT_SIDE, &sent);
	*places.forward = kept;
	if (sent.verdict == LB_V_FORWARDED)
		places = (struct places){.reverse = places.forward, .forward = places.reverse};
	return places;
}

/* An entry that no key fits: tags are odd. */
#define NOBODY LB_ENTRY(2, 1, 1)

static void crowd(const struct places *free, uint32_t room)
{
	for (uint32_t i = 0; i < world.n_buckets; i++)
		for (uint32_t k = 0; k < LB_BUCKET_ENTRIES; k++)
			world.buckets[i].entry[k] = NOBODY;
	if (room >= 1)
		*free->reverse = 0;
	if (room >= 2)
		*free->forward = 0;
}

/* Rare, as it is two thirds full at most. All the same it must leave nothing half done. */
static void full_index_refuses_and_leaks_nothing(void **state)
{
	uint32_t entries = world.n_buckets * LB_BUCKET_ENTRIES;

	for (uint32_t room = 0; room <= 2; room++) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct places places;

		world_reset(state);
		run_row("room for %u entries", room);
		places = open_and_look(&talk);
		world_reset(state);
		crowd(&places, room);
		talk = talk_of(CLIENT_PORT);
		talk_say(&talk, BY_CLIENT, SYN, 0,
			 room == 2 ? LB_V_FORWARDED_NEW : LB_V_TABLE_FULL);
		expect_equal(world.meta->live_flows, room == 2);
		expect_equal(world_index_count(), entries - (room == 1));
		expect_equal(world.live[1].pending_in - world.live[1].pending_out, room == 2);
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
		{"the generation before", 0, (uint32_t)-1}, {"the next generation", 0, 1},
		{"a record whose key is another", 0, 0},    {"a record never used", 5, 0},
		{"a record beyond the table", FLOWS, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct talk talk = talk_of(CLIENT_PORT);
		struct talk stale = talk_of(CLIENT_PORT + 1);
		struct places places;
		struct lb_flow before;
		uint64_t tag;

		world_reset(state);
		run_row("%s", rows[i].name);
		places = open_and_look(&stale);
		tag = LB_ENTRY_TAG(*places.forward);
		end_all();
		talk_open(&talk);
		before = *talk_flow(&talk);
		*places.forward =
			LB_ENTRY(tag, LB_FLOW_GENERATION(before.word) + rows[i].generation_off,
				 (uint64_t)(talk_flow(&talk) - world.flows) + rows[i].record_off);
		talk_say(&stale, BY_CLIENT, ACK | FIN, 8, LB_V_NO_FLOW);
		if (memcmp(&before, talk_flow(&talk), sizeof(before)) != 0)
			run_fail("the other flow's record changed");
	}
}

/* Two keys of one tag in one bucket: the first entry is not the flow's, and it is found. */
static void entry_behind_another_of_its_tag_is_found(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct places places;

	(void)state;
	run_row("another record's entry of the same tag before it");
	places = open_and_look(&talk);
	places.forward[1] = *places.forward;
	*places.forward = LB_ENTRY(LB_ENTRY_TAG(*places.forward), 77, 9);
	talk_say(&talk, BY_CLIENT, ACK, 8, LB_V_FORWARDED);
}

static void ending_flow_leaves_an_entry_that_names_another(void **state)
{
	struct talk talk = talk_of(CLIENT_PORT);
	struct places places;
	uint64_t other;

	(void)state;
	run_row("record 7, generation 9");
	places = open_and_look(&talk);
	other = LB_ENTRY(LB_ENTRY_TAG(*places.forward), 9, 7);
	*places.forward = other;
	end_all();
	expect_equal(world.meta->live_flows, 0);
	expect_equal(world_index_count(), 1);
	expect_equal(*places.forward, other);
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
	expect_equal(world_index_count(), 2 * TRIES);
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
		expect_equal(world_index_count(), 2);
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
