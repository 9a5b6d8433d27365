/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two CPUs at once: one flow for one key, and counts that are exact when all is over. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#include "race.h"
#include "talk.h"

#define FLOWS	  4096 /* a quarter may be half-open */
#define SAME_SYNS 500  /* each on two CPUs */
#define STORM	  8000 /* packets of one CPU */
#define TALKERS	  24   /* conversations they are of */
#define BACKENDS  4

#define TIMEOUT_NS 100000000000ULL
#define SILENCE_NS 200000000000ULL

/* ---- Running ------------------------------------------------------------------------------- */

static int say(const struct runner *runner, const struct talk *talk, enum speaker speaker,
	       const struct segment *segment)
{
	struct frame frame;

	(void)talk;
	frame_build(&frame, segment);
	return run_bare(runner->hook, &frame, place_ifindex((enum side)speaker));
}

/* ---- What must hold ------------------------------------------------------------------------ */

static uint64_t packets_of(enum lb_verdict verdict)
{
	struct lb_count count;

	world_count(verdict, &count);
	return count.packets;
}

static void sum_live(struct counts *ret_sum)
{
	struct counts sum = {0};

	for (int id = 1; id <= BACKENDS; id++) {
		sum.opened += world.live[id].opened;
		sum.closed += world.live[id].closed;
		sum.pending_in += world.live[id].pending_in;
		sum.pending_out += world.live[id].pending_out;
	}
	*ret_sum = sum;
}

static void use(enum lb_choice choice)
{
	static const uint16_t slots[] = {1, 2, 3, 4};

	world_backends(BACKENDS);
	world_pool(1, choice, slots, BACKENDS);
	world_pool(2, choice, slots, BACKENDS);
	world_service(2, VIP, VIP_PORT + 1, 2, 0);
}

/* The flows that <flows> records say are open, counted anew. */
static void expect_rows_fit_records(void)
{
	uint64_t open[BACKENDS + 1] = {0};
	uint64_t pending[BACKENDS + 1] = {0};

	for (uint32_t i = 0; i < world.n_records; i++) {
		const struct lb_flow *flow = &world.flows[i];

		if (LB_FLOW_STATE(flow->word) <= LB_FLOW_CLAIMED)
			continue;
		open[flow->backend] += !!(flow->word & LB_FLOW_COUNTED);
		pending[flow->backend] += !!(flow->word & LB_FLOW_PENDING);
	}
	for (int id = 1; id <= BACKENDS; id++) {
		const struct lb_live *live = &world.live[id];

		if (live->opened - live->closed != open[id] ||
		    live->pending_in - live->pending_out != pending[id])
			run_fail("backend %d: records say %lu open, %lu pending; its row %llu, "
				 "%llu",
				 id, open[id], pending[id], live->opened - live->closed,
				 live->pending_in - live->pending_out);
	}
}

static void end_all(void)
{
	world_timeouts(1);
	world_age(1000000000);
	world_sweep();
}

/* ---- The same SYN -------------------------------------------------------------------------- */

static int same_syn(struct runner *runner, uint32_t round)
{
	const struct talk talk = talk_of((uint16_t)(1024 + round));
	const struct segment segment = talk_segment(&talk, BY_CLIENT, SYN, 0);

	return say(runner, &talk, BY_CLIENT, &segment);
}

static void one_syn_on_two_cpus_opens_one_flow(void **state)
{
	for (enum lb_choice choice = LB_CHOICE_TABLE_NEXT; choice <= LB_CHOICE_TWO; choice++) {
		uint64_t new_flows, known;
		struct counts sum;

		world_reset(state);
		use(choice);
		run_row("choice %d", choice);
		new_flows = packets_of(LB_V_FORWARDED_NEW);
		/* Dropped: the flow of the other one was not quite there yet. */
		known = packets_of(LB_V_FORWARDED) + packets_of(LB_V_BAD_STATE);
		race(same_syn, SAME_SYNS, true);
		sum_live(&sum);
		expect_equal(packets_of(LB_V_FORWARDED_NEW) - new_flows, SAME_SYNS);
		known = packets_of(LB_V_FORWARDED) + packets_of(LB_V_BAD_STATE) - known;
		expect_equal(known, SAME_SYNS);
		expect_equal(world.meta->live_flows, SAME_SYNS);
		expect_equal(world_index_count(), SAME_SYNS);
		expect_equal(sum.pending_in - sum.pending_out, SAME_SYNS);
		expect_rows_fit_records();
		end_all();
		expect_no_flow();
	}
}

/* One client port, two services over the same backends: the reverse keys must differ. */
static int crossing_syn(struct runner *runner, uint32_t round)
{
	struct talk talk = talk_of((uint16_t)(1024 + round));
	struct segment segment;

	talk.vip_port = VIP_PORT + runner->number;
	segment = talk_segment(&talk, BY_CLIENT, SYN, 0);
	return say(runner, &talk, BY_CLIENT, &segment);
}

/*
 * A SYN is dropped, to be sent again, when the lock of its key stays taken: TEST_RUN may be
 * interrupted while it holds one, which is never so in the life of a packet.
 */
static void one_client_port_on_two_cpus_gets_two_backends(void **state)
{
	for (enum lb_choice choice = LB_CHOICE_TABLE_NEXT; choice <= LB_CHOICE_TWO; choice++) {
		uint64_t new_flows, unlucky;
		struct counts sum;

		world_reset(state);
		use(choice);
		run_row("choice %d", choice);
		new_flows = packets_of(LB_V_FORWARDED_NEW);
		unlucky = packets_of(LB_V_BAD_STATE);
		race(crossing_syn, SAME_SYNS, true);
		sum_live(&sum);
		new_flows = packets_of(LB_V_FORWARDED_NEW) - new_flows;
		unlucky = packets_of(LB_V_BAD_STATE) - unlucky;
		expect_equal(new_flows + unlucky, 2 * SAME_SYNS);
		if (unlucky > SAME_SYNS / 10)
			run_fail("%lu of %d SYNs met a lock that was not given back", unlucky,
				 SAME_SYNS);
		expect_equal(world.meta->live_flows, new_flows);
		expect_equal(world_index_count(), new_flows);
		expect_equal(sum.pending_in - sum.pending_out, new_flows);
		expect_rows_fit_records();
	}
	race_expect_no_lock_held();
}

/* ---- Storms -------------------------------------------------------------------------------- */

/* What either side says in the life of a connection. Numbers are fixed, so that both CPUs bring on
 * the same flows. */
struct line {
	enum speaker speaker;
	uint8_t flags;
	uint32_t client; /* sequence numbers from the first */
	uint32_t backend;
};

static const struct line lines[] = {
	{BY_CLIENT, SYN, 0, 0},	      {BY_BACKEND, SYN | ACK, 1, 0}, {BY_CLIENT, ACK, 1, 1},
	{BY_CLIENT, FIN | ACK, 1, 1}, {BY_BACKEND, FIN | ACK, 2, 1}, {BY_CLIENT, ACK, 2, 2},
	{BY_CLIENT, RST | ACK, 1, 1}, {BY_BACKEND, RST | ACK, 1, 1}, {BY_BACKEND, RST | ACK, 1, 0},
};

static struct talk talker_of(uint32_t number)
{
	struct talk talk = talk_of((uint16_t)(1024 + number / 2));

	talk.vip_port = VIP_PORT + number % 2;
	return talk;
}

static int send_line(struct runner *runner, uint32_t talker, const struct line *line)
{
	struct talk talk = talker_of(talker);
	struct segment segment;

	talk.backend = BACKEND_ADDR(1 + random_next(&runner->seed) % BACKENDS);
	talk.seq_client = 1000 + line->client;
	talk.seq_backend = 5000 + line->backend;
	segment = talk_segment(&talk, line->speaker, line->flags, 0);
	return say(runner, &talk, line->speaker, &segment);
}

static int storm(struct runner *runner, uint32_t round)
{
	uint32_t talker = random_next(&runner->seed) % TALKERS;
	uint32_t line = random_next(&runner->seed) % (sizeof(lines) / sizeof(*lines));

	(void)round;
	return send_line(runner, talker, &lines[line]);
}

/*
 * Makes the talker's flow look silent for long, if both its entries are there: a flow that is being
 * opened at this moment cannot have been silent. Only an unchanged time is moved.
 */
static void silence(uint32_t talker)
{
	const struct talk talk = talker_of(talker);
	struct lb_flow *flow = talk_flow(&talk);
	uint32_t seen;
	uint64_t word;

	if (!flow)
		return;
	seen = __atomic_load_n(&flow->seen, __ATOMIC_SEQ_CST);
	word = __atomic_load_n(&flow->word, __ATOMIC_SEQ_CST);
	if (LB_FLOW_STATE(word) < LB_FLOW_SYN || talk_flow(&talk) != flow)
		return;
	__atomic_compare_exchange_n(&flow->seen, &seen, seen - world_ticks(SILENCE_NS), false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* The same, and flows end while packets of theirs arrive. */
static int storm_and_sweep(struct runner *runner, uint32_t round)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int rc = storm(runner, round);

	if (round % 4 == 0)
		silence(random_next(&runner->seed) % TALKERS);
	if (rc == 0 && round % 8 == 0)
		rc = bpf_prog_test_run_opts(world.sweep, &opts);
	return rc;
}

/* And backends are killed and come back. */
static int storm_and_kill(struct runner *runner, uint32_t round)
{
	uint32_t id = 1 + random_next(&runner->seed) % BACKENDS;

	if (round % 32 == 0)
		__atomic_xor_fetch(&world.backends[id].flags, LB_BACKEND_KILL, __ATOMIC_RELAXED);
	return storm_and_sweep(runner, round);
}

static void expect_exact_after(int (*each)(struct runner *, uint32_t), uint64_t timeout_ns)
{
	for (enum lb_choice choice = LB_CHOICE_TABLE_NEXT; choice <= LB_CHOICE_TWO; choice++) {
		struct counts sum;

		world_reset((void *[]){(void *)world.hook});
		use(choice);
		run_row("choice %d", choice);
		world_timeouts(timeout_ns);
		race(each, STORM, false);
		expect_rows_fit_records();
		end_all();
		expect_no_flow();
		expect_rows_fit_records();
		sum_live(&sum);
		if (!sum.opened)
			run_fail("the test is wrong: no flow was ever open");
		expect_equal(sum.closed, sum.opened);
		expect_equal(sum.pending_out, sum.pending_in);
		expect_no_flow();
		race_expect_no_lock_held();
	}
}

static void storm_of_connections_counts_exactly(void **state)
{
	(void)state;
	expect_exact_after(storm, 0);
}

static void storm_that_is_swept_all_the_time_counts_exactly(void **state)
{
	(void)state;
	expect_exact_after(storm_and_sweep, TIMEOUT_NS);
}

static void storm_with_killed_backends_counts_exactly(void **state)
{
	(void)state;
	expect_exact_after(storm_and_kill, TIMEOUT_NS);
}

#define TEST_RACE(test) TEST(test), TEST_ON(test, mixed)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST_RACE(one_syn_on_two_cpus_opens_one_flow),
		TEST_RACE(one_client_port_on_two_cpus_gets_two_backends),
		TEST_RACE(storm_of_connections_counts_exactly),
		TEST_RACE(storm_that_is_swept_all_the_time_counts_exactly),
		TEST_RACE(storm_with_killed_backends_counts_exactly),
	};

	(void)argc;
	world_flows = FLOWS;
	return RUN_TESTS(tests, argv);
}
