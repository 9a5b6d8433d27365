/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The benchmarks' packet generator. Each verb runs inside one namespace of the lab. Addresses are
 * of either family; FROM and TO are those of the first flow's packets.
 *
 *   pktgen open PROG_ID CLIENT_IF BACKEND_IF CLIENT VIP BACKEND FLOWS
 *       shakes hands for FLOWS flows of the service at port 80 by test runs of the program
 *   pktgen cost PROG_ID IF ack|tunnel|reply|syn FROM TO PORT FLOWS TURNS
 *       test runs of the program with packets that come in at IF, and of an empty one, in turn;
 *       prints the nanoseconds a packet of both for every turn. "ack", "tunnel": the client's, to
 *       PORT, in random order; "tunnel" lets the empty program pay for giving back the room of an
 *       outer header. "reply": a backend's. "syn": each flow once a turn.
 *   pktgen send IF DST_MAC CLIENT DESTINATION FLOWS SECONDS
 *       sends live frames out of IF for SECONDS; prints how many, and the seconds the kernel was
 *       sending: a test run waits for RCU before it starts, and for other processes in between
 *   pktgen sink IF
 *       drops and counts all that arrives; prints the count for every line it reads
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "frame.h"
#include "generator.h"

#define HTTP_PORT  80
#define ROUND	   100000 /* live frames a call: keeps the clock in reach */
#define COST_FEW   200000 /* packets a turn */
#define COST_MANY  500000 /* ... of very many flows */
#define OPEN_BATCH 8192	  /* half-open at once: few enough for any table's quota */
#define MAX_CPUS   1024

static unsigned number_of(const char *text, unsigned most)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*end || !number || number > most) {
		errno = EINVAL;
		die(text);
	}
	return (unsigned)number;
}

static struct pktgen_settings settings_of(const struct frame_plan *plan)
{
	struct pktgen_settings settings;

	if (frame_plan(plan, &settings) < 0) {
		errno = EINVAL;
		die("FROM and TO are not addresses of one family");
	}
	return settings;
}

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static int verb_open(char **argv)
{
	const struct target target = target_of(argv[0]);
	const char *client = argv[3], *vip = argv[4], *backend = argv[5];
	const unsigned flows = number_of(argv[6], MAX_FLOWS);
	/* The third packet of the client is what the modes without replies wait for. */
	const struct frame_plan plans[] = {
		{client, vip, HTTP_PORT, false, true, false},
		{backend, client, HTTP_PORT, true, true, true},
		{client, vip, HTTP_PORT, false, false, true},
		{client, vip, HTTP_PORT, false, false, true},
	};
	enum { STEPS = sizeof(plans) / sizeof(plans[0]) };
	struct generator steps[STEPS];

	for (int i = 0; i < STEPS; i++) {
		struct pktgen_settings settings = settings_of(&plans[i]);

		settings.flows = flows;
		generator_init(&steps[i], &settings);
		generator_aim(&steps[i], &target, ifindex_of(argv[plans[i].reply ? 2 : 1]));
	}
	for (unsigned done = 0; done < flows; done += OPEN_BATCH)
		for (int i = 0; i < STEPS; i++)
			(void)generator_run(&steps[i], smaller(OPEN_BATCH, flows - done));
	for (int i = 0; i < STEPS; i++)
		generator_fini(&steps[i]);
	return 0;
}

static unsigned round_of(unsigned flows, bool syn)
{
	if (syn)
		return flows; /* a flow opens only once */
	return flows > COST_FEW ? COST_MANY : COST_FEW;
}

/* Both see the same neighbours: they take turns. */
static void print_turns(struct generator *generator, const struct target *target, unsigned round,
			unsigned turns)
{
	for (unsigned i = 0; i < turns; i++) {
		unsigned whole, empty;

		generator_aim(generator, target, generator->ifindex);
		whole = generator_run(generator, round);
		generator_aim_at_none(generator);
		empty = generator_run(generator, round);
		(void)printf("%u %u\n", whole, empty);
	}
}

static int verb_cost(char **argv)
{
	const struct target target = target_of(argv[0]);
	const char *kind = argv[2];
	const unsigned flows = number_of(argv[6], MAX_FLOWS);
	const bool syn = strcmp(kind, "syn") == 0;
	struct pktgen_settings settings = settings_of(&(struct frame_plan){
		.from = argv[3],
		.to = argv[4],
		.port = (__u16)number_of(argv[5], 65535),
		.reply = strcmp(kind, "reply") == 0,
		.syn = syn,
		.ack = !syn,
	});
	struct generator generator;

	settings.flows = flows;
	settings.mask = syn ? 0 : mask_of(flows);
	settings.shrink = strcmp(kind, "tunnel") == 0;
	generator_init(&generator, &settings);
	generator_aim(&generator, &target, ifindex_of(argv[1]));
	/* Next hops are asked for and caches filled before it counts. */
	if (!syn)
		(void)generator_run(&generator, round_of(flows, syn));
	print_turns(&generator, &target, round_of(flows, syn), number_of(argv[7], 1000));
	generator_fini(&generator);
	return 0;
}

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void set_destination(struct pktgen_settings *settings, const char *text)
{
	unsigned mac[6];

	if (sscanf(text, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		   &mac[5]) != 6) {
		errno = EINVAL;
		die(text);
	}
	for (int i = 0; i < 6; i++)
		((unsigned char *)settings->frame)[i] = (unsigned char)mac[i];
}

static int verb_send(char **argv)
{
	const unsigned ifindex = ifindex_of(argv[0]);
	const unsigned flows = number_of(argv[4], MAX_FLOWS);
	struct pktgen_settings settings =
		settings_of(&(struct frame_plan){argv[2], argv[3], HTTP_PORT, false, false, true});
	double began, sending = 0, seconds = strtod(argv[5], NULL);
	struct generator generator;
	unsigned long sent = 0;

	set_destination(&settings, argv[1]);
	settings.flows = flows;
	settings.mask = mask_of(flows);
	generator_init(&generator, &settings);
	began = now();
	while (now() < began + seconds) {
		sending += (double)generator_send(&generator, ifindex, ROUND) * ROUND / 1e9;
		sent += ROUND;
	}
	(void)printf("%lu %f\n", sent, sending);
	generator_fini(&generator);
	return 0;
}

static unsigned long long sunk_of(int map, int cpus)
{
	__u64 counts[MAX_CPUS];
	unsigned long long total = 0;
	__u32 zero = 0;

	if (bpf_map_lookup_elem(map, &zero, counts) < 0)
		die("cannot read the count");
	for (int i = 0; i < cpus; i++)
		total += counts[i];
	return total;
}

static int verb_sink(char **argv)
{
	const struct pktgen_settings settings = {.len = 60, .flows = 1};
	int map, cpus = libbpf_num_possible_cpus();
	struct generator generator;
	struct bpf_link *link;
	char line[16];

	generator_init(&generator, &settings);
	map = bpf_object__find_map_fd_by_name(generator.object, "sunk");
	link = bpf_program__attach_xdp(bpf_object__find_program_by_name(generator.object, "sink"),
				       (int)ifindex_of(argv[0]));
	if (!link || cpus < 1 || cpus > MAX_CPUS)
		die("cannot attach the sink");
	(void)printf("ready\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		(void)printf("%llu\n", sunk_of(map, cpus));
		(void)fflush(stdout);
	}
	bpf_link__destroy(link);
	generator_fini(&generator);
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*fn)(char **argv);
} verbs[] = {
	{"open", 7, verb_open},
	{"cost", 8, verb_cost},
	{"send", 6, verb_send},
	{"sink", 1, verb_sink},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0 && argc == verbs[i].args + 2)
			return verbs[i].fn(argv + 2);
	}
	(void)fprintf(stderr, "usage: pktgen open|cost|send|sink ..., see the head of pktgen.c\n");
	return 2;
}
