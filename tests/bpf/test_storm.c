/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Two CPUs, every mode: flows open, end, are evicted, swept and killed at once, and their ports and
 * records used again; when all is over the counts are exact and nothing is left. */
#include <bpf/bpf.h>
#include <string.h>

#include "conv.h"
#include "race.h"

#define COUNT(rows) (sizeof(rows) / sizeof(*(rows)))
#define FLOWS	    256 /* a quarter may be half-open */
#define TALKERS	    96
#define PORTS	    48 /* of snat: fewer than there are talkers */
#define STORM	    2000
#define NS_PER_S    1000000000ULL
#define TIMEOUT_NS  (100 * NS_PER_S)
#define SILENCE_NS  (200 * NS_PER_S)

static struct conv base;

/* Numbers are fixed, so that both CPUs bring on the same flows. */
struct line {
	enum speaker speaker;
	uint8_t flags;
	uint32_t client; /* sequence numbers from the first */
	uint32_t backend;
};

static const struct line lines[] = {
	{BY_CLIENT, SYN, 0, 0},	       {BY_CLIENT, SYN, 0, 0}, {BY_BACKEND, SYN | ACK, 1, 0},
	{BY_CLIENT, ACK, 1, 1},	       {BY_CLIENT, ACK, 1, 1}, {BY_CLIENT, FIN | ACK, 1, 1},
	{BY_BACKEND, FIN | ACK, 2, 1}, {BY_CLIENT, ACK, 2, 2}, {BY_CLIENT, RST | ACK, 1, 1},
	{BY_BACKEND, RST | ACK, 1, 0},
};

/* Makes a record look silent for long, if its entries are there: one that is being filled is not
 * silent. Only an unchanged time is moved. */
static void silence(uint32_t record)
{
	struct lb_flow *flow = &world.flows[record];
	uint32_t seen = __atomic_load_n(&flow->seen, __ATOMIC_SEQ_CST);
	uint64_t word = __atomic_load_n(&flow->word, __ATOMIC_SEQ_CST);

	if (LB_FLOW_STATE(word) < LB_FLOW_SYN ||
	    world_entries_of(flow) < (conv_is_two_way(&base) ? 1U : 0U))
		return;
	__atomic_compare_exchange_n(&flow->seen, &seen, seen - world_ticks(SILENCE_NS), false,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static int upkeep(struct runner *runner, uint32_t round)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	if (round % 4 == 0)
		silence(random_next(&runner->seed) % FLOWS);
	if (round % 128 == 0)
		__atomic_xor_fetch(&world.backends[1].flags, LB_BACKEND_KILL, __ATOMIC_RELAXED);
	return round % 8 == 0 ? bpf_prog_test_run_opts(world.sweep, &opts) : 0;
}

static int storm(struct runner *runner, uint32_t round)
{
	const struct line *line = &lines[random_next(&runner->seed) % COUNT(lines)];
	struct conv conv = base;
	struct frame frame;
	struct wire wire;
	int rc;

	conv.client_port = (uint16_t)(1024 + random_next(&runner->seed) % TALKERS);
	conv.source_port = conv.client_port;
	if (conv.mode->forward == LB_FORWARD_SNAT)
		conv.source_port = (uint16_t)(SNAT_FIRST + random_next(&runner->seed) % PORTS);
	conv.seq_client = 1000 + line->client;
	conv.seq_backend = 5000 + line->backend;
	wire = conv_wire(&conv, line->speaker, line->flags, 4);
	wire_build(&frame, &wire);
	rc = run_bare(runner->hook, &frame, place_ifindex((enum side)line->speaker));
	return rc ? rc : upkeep(runner, round);
}

static void expect_exact(void)
{
	const struct lb_live *live = &world.live[1];

	world_timeouts(1);
	for (int i = 0; i < 2; i++) {
		world_age(NS_PER_S);
		world_sweep();
	}
	expect_no_flow();
	expect_equal(live->closed, live->opened);
	expect_equal(live->pending_out, live->pending_in);
	if (!live->pending_in)
		run_fail("the test is wrong: no flow ever began");
	expect_no_flow();
	race_expect_no_lock_held();
}

static void storm_in_every_mode_counts_exactly(void **state)
{
	uint64_t opened = 0;

	for (uint32_t i = 0; i < n_modes; i++) {
		world_reset(state);
		run_row("%s", modes[i].name);
		base = conv_of(&modes[i]);
		world.snat[1].n_ports = PORTS;
		world_timeouts(TIMEOUT_NS);
		race(storm, STORM, false);
		expect_exact();
		opened += world.live[1].opened;
	}
	if (!opened)
		run_fail("the test is wrong: no flow was ever open");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(storm_in_every_mode_counts_exactly),
		TEST_ON(storm_in_every_mode_counts_exactly, mixed),
	};

	(void)argc;
	world_flows = FLOWS;
	return RUN_TESTS(tests, argv);
}
