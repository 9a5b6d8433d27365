/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The benchmarks' packet generator. Each verb runs inside one namespace of the lab.
 *
 *   pktgen open PROG_ID CLIENT_IF BACKEND_IF CLIENT VIP BACKEND FLOWS
 *       shakes hands for FLOWS flows by test runs of the program; prints how many it forwarded
 *   pktgen cost PROG_ID CLIENT_IF CLIENT VIP FLOWS ack|syn|other
 *       prints nanoseconds per packet of the program, and of an empty one in its place; "other"
 *       goes to a port that is no service's
 *   pktgen send IF DST_MAC CLIENT DESTINATION FLOWS SECONDS
 *       sends live frames out of IF for SECONDS; prints how many, and the seconds the kernel was
 *       sending: a test run waits for RCU before it starts, and for other processes in between
 *   pktgen sink IF
 *       drops and counts all that arrives; prints the count for every line it reads
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "pktgen.h"

#ifndef PKTGEN_OBJECT
#define PKTGEN_OBJECT "pktgen.bpf.o"
#endif

#define HTTP_PORT  80
#define OTHER_PORT 81
#define ROUND	   100000 /* frames a call: keeps the clock in reach */
#define COST_ROUND 500000
#define MAX_CPUS   1024

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
	unsigned char payload[6];
} __attribute__((packed));

_Static_assert(sizeof(struct frame) == FRAME_LEN, "the generator copies this much");

enum flags { SYN = 1, ACK = 2 };

static void die(const char *what)
{
	(void)fprintf(stderr, "pktgen: %s: %s\n", what, strerror(errno));
	exit(1);
}

static __u32 sum_words(const void *data, size_t len, __u32 sum)
{
	const __u16 *words = data;

	for (size_t i = 0; i < len / 2; i++)
		sum += words[i];
	return sum;
}

static __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (__u16)~sum;
}

/* RFC 9293 section 3.1: the pseudo header, then the segment. */
static __u32 tcp_sum(const struct frame *frame)
{
	__u32 sum = sum_words(&frame->ip.saddr, 8, 0);

	sum += htons(IPPROTO_TCP) + htons(sizeof(frame->tcp) + sizeof(frame->payload));
	return sum_words(&frame->tcp, sizeof(frame->tcp) + sizeof(frame->payload), sum);
}

static __be32 address(const char *text)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1) {
		errno = EINVAL;
		die(text);
	}
	return addr.s_addr;
}

static struct frame frame_make(__be32 from, __be32 to, int flags)
{
	struct frame frame = {
		.eth = {.h_proto = htons(ETH_P_IP), .h_dest = {2}, .h_source = {2, 1}},
		.ip = {.version = 4,
		       .ihl = 5,
		       .tot_len = htons(FRAME_LEN - sizeof(struct ethhdr)),
		       .ttl = 64,
		       .protocol = IPPROTO_TCP,
		       .saddr = from,
		       .daddr = to},
		.tcp = {.doff = 5,
			.seq = htonl(flags & SYN ? 1000 : 1001),
			.ack_seq = htonl(flags & ACK ? 1001 : 0),
			.window = htons(1000),
			.syn = flags & SYN ? 1 : 0,
			.ack = flags & ACK ? 1 : 0},
	};

	frame.ip.check = fold(sum_words(&frame.ip, sizeof(frame.ip), 0));
	return frame;
}

/* Flow <i> from the client's side; <reply>: the same from the backend's. */
static void frame_flow(struct frame *frame, __be32 client, unsigned i, bool reply)
{
	__be16 port = htons((__u16)(FIRST_PORT + i % PORTS));
	__be32 addr = htonl(ntohl(client) + i / PORTS);

	frame->tcp.source = reply ? htons(HTTP_PORT) : port;
	frame->tcp.dest = reply ? port : htons(HTTP_PORT);
	if (reply)
		frame->ip.daddr = addr;
	else
		frame->ip.saddr = addr;
	frame->ip.check = 0;
	frame->ip.check = fold(sum_words(&frame->ip, sizeof(frame->ip), 0));
	frame->tcp.check = 0;
	frame->tcp.check = fold(tcp_sum(frame));
}

static int program_of(const char *id, bool *ret_xdp)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id((__u32)strtoul(id, NULL, 10));

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		die("cannot get the program");
	*ret_xdp = info.type == BPF_PROG_TYPE_XDP;
	return fd;
}

static unsigned ifindex_of(const char *name)
{
	unsigned index = if_nametoindex(name);

	if (!index)
		die(name);
	return index;
}

/* One test run; the context says which interface the packet came in at. */
static int test_run(int prog, bool xdp, unsigned ifindex, const struct frame *frame, int repeat,
		    struct bpf_test_run_opts *opts)
{
	struct xdp_md md = {.data_end = FRAME_LEN, .ingress_ifindex = ifindex};
	struct __sk_buff skb = {.ifindex = ifindex};
	unsigned char out[256];

	memset(opts, 0, sizeof(*opts));
	opts->sz = sizeof(*opts);
	opts->data_in = frame;
	opts->data_size_in = sizeof(*frame);
	opts->data_out = out;
	opts->data_size_out = sizeof(out);
	opts->repeat = repeat;
	opts->ctx_in = xdp ? (void *)&md : (void *)&skb;
	opts->ctx_size_in = xdp ? sizeof(md) : sizeof(skb);
	return bpf_prog_test_run_opts(prog, opts);
}

static bool forwarded(bool xdp, __u32 retval)
{
	if (xdp)
		return retval == XDP_TX || retval == XDP_REDIRECT;
	return retval == 7; /* TC_ACT_REDIRECT, <linux/pkt_cls.h> */
}

static int verb_open(char **argv)
{
	bool xdp = false;
	int prog = program_of(argv[0], &xdp);
	unsigned ifs[] = {ifindex_of(argv[1]), ifindex_of(argv[2])};
	__be32 client = address(argv[3]), vip = address(argv[4]), backend = address(argv[5]);
	struct frame syn = frame_make(client, vip, SYN);
	struct frame synack = frame_make(backend, client, SYN | ACK);
	struct frame ack = frame_make(client, vip, ACK);
	unsigned flows = (unsigned)strtoul(argv[6], NULL, 10), good = 0;
	struct bpf_test_run_opts opts;

	for (unsigned i = 0; i < flows && i < MAX_FLOWS; i++) {
		bool all;

		frame_flow(&syn, client, i, false);
		frame_flow(&synack, client, i, true);
		frame_flow(&ack, client, i, false);
		all = test_run(prog, xdp, ifs[0], &syn, 1, &opts) == 0 &&
		      forwarded(xdp, opts.retval);
		/* Where replies go straight to the client, this one is none of ours. */
		(void)test_run(prog, xdp, ifs[1], &synack, 1, &opts);
		(void)test_run(prog, xdp, ifs[0], &ack, 1, &opts);
		all = all && test_run(prog, xdp, ifs[0], &ack, 1, &opts) == 0 &&
		      forwarded(xdp, opts.retval);
		good += all;
	}
	(void)printf("%u\n", good);
	return 0;
}

static unsigned gcd(unsigned a, unsigned b)
{
	while (b) {
		unsigned rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Visits all flows before any of them again, by the golden ratio. */
static unsigned stride_of(unsigned flows)
{
	unsigned stride = (unsigned)(flows * 0.618);

	while (flows > 1 && gcd(stride, flows) != 1)
		stride++;
	return flows > 1 ? stride : 0;
}

static struct bpf_object *load(struct frame *frame, unsigned flows, bool frags)
{
	struct bpf_object *object = bpf_object__open_file(PKTGEN_OBJECT, NULL);
	struct pktgen_settings settings = {.flows = flows, .stride = stride_of(flows)};
	struct bpf_map *map;

	if (!object)
		die(PKTGEN_OBJECT);
	frame->tcp.source = 0;
	frame->tcp.check = 0;
	frame->ip.check = 0;
	settings.tcp_sum = tcp_sum(frame);
	settings.ip_sum = sum_words(&frame->ip, sizeof(frame->ip), 0);
	memcpy(settings.frame, frame, sizeof(*frame));
	map = bpf_object__find_map_by_name(object, ".rodata");
	if (!map || bpf_map__set_initial_value(map, &settings, sizeof(settings)) < 0)
		die("the object's constants are not of the expected size");
	if (frags)
		bpf_program__set_flags(bpf_object__find_program_by_name(object, "xdp_into"),
				       BPF_F_XDP_HAS_FRAGS);
	if (frags)
		bpf_program__set_flags(bpf_object__find_program_by_name(object, "xdp_empty"),
				       BPF_F_XDP_HAS_FRAGS);
	if (bpf_object__load(object) < 0)
		die("cannot load the generator");
	return object;
}

static int program_fd(struct bpf_object *object, const char *name)
{
	return bpf_program__fd(bpf_object__find_program_by_name(object, name));
}

/* Makes <prog> the target of the tail call; false when the two do not fit. */
static bool aim(struct bpf_object *object, bool xdp, int prog)
{
	__u32 zero = 0;

	return bpf_map_update_elem(
		       bpf_object__find_map_fd_by_name(object, xdp ? "xdp_target" : "tc_target"),
		       &zero, &prog, BPF_ANY) == 0;
}

static __u32 cost_of(struct bpf_object *object, bool xdp, unsigned ifindex,
		     const struct frame *frame)
{
	int prog = program_fd(object, xdp ? "xdp_into" : "tc_into");
	struct bpf_test_run_opts opts;

	if (test_run(prog, xdp, ifindex, frame, COST_ROUND, &opts) < 0)
		die("test run");
	return opts.duration;
}

static int verb_cost(char **argv)
{
	bool xdp = false;
	int prog = program_of(argv[0], &xdp);
	unsigned ifindex = ifindex_of(argv[1]);
	struct frame frame = frame_make(address(argv[2]), address(argv[3]),
					strcmp(argv[5], "syn") == 0 ? SYN : ACK);
	unsigned flows = (unsigned)strtoul(argv[4], NULL, 10);
	struct bpf_object *object;
	__u32 whole, empty;

	frame.tcp.dest = htons(strcmp(argv[5], "other") == 0 ? OTHER_PORT : HTTP_PORT);
	object = load(&frame, flows, false);

	if (!aim(object, xdp, prog)) {
		/* kernel/bpf/core.c: programs with and without fragments do not call each other. */
		bpf_object__close(object);
		object = load(&frame, flows, true);
		if (!aim(object, xdp, prog))
			die("cannot call the program");
	}
	whole = cost_of(object, xdp, ifindex, &frame);
	if (!aim(object, xdp, program_fd(object, xdp ? "xdp_empty" : "tc_empty")))
		die("cannot call the empty program");
	empty = cost_of(object, xdp, ifindex, &frame);
	(void)printf("%u %u\n", whole, empty);
	bpf_object__close(object);
	return 0;
}

static double now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int verb_send(char **argv)
{
	unsigned ifindex = ifindex_of(argv[0]);
	struct frame frame = frame_make(address(argv[2]), address(argv[3]), ACK);
	double began, sending = 0, seconds = strtod(argv[5], NULL);
	struct xdp_md md = {.data_end = FRAME_LEN, .ingress_ifindex = ifindex};
	struct bpf_object *object;
	unsigned long sent = 0;
	unsigned mac[6];
	int prog;

	if (sscanf(argv[1], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		   &mac[5]) != 6)
		die(argv[1]);
	for (int i = 0; i < 6; i++)
		frame.eth.h_dest[i] = (unsigned char)mac[i];
	frame.tcp.dest = htons(HTTP_PORT);
	object = load(&frame, (unsigned)strtoul(argv[4], NULL, 10), false);
	prog = program_fd(object, "generate");
	began = now();
	while (now() < began + seconds) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &frame,
			    .data_size_in = sizeof(frame), .ctx_in = &md, .ctx_size_in = sizeof(md),
			    .repeat = ROUND, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);

		if (bpf_prog_test_run_opts(prog, &opts) < 0)
			die("live frames");
		sent += ROUND;
		sending += (double)opts.duration * ROUND / 1e9;
	}
	(void)printf("%lu %f\n", sent, sending);
	bpf_object__close(object);
	return 0;
}

static int verb_sink(char **argv)
{
	unsigned ifindex = ifindex_of(argv[0]);
	struct frame frame = frame_make(0, 0, ACK);
	struct bpf_object *object = load(&frame, 1, false);
	int map = bpf_object__find_map_fd_by_name(object, "sunk"),
	    cpus = libbpf_num_possible_cpus();
	struct bpf_link *link = bpf_program__attach_xdp(
		bpf_object__find_program_by_name(object, "sink"), (int)ifindex);
	char line[16];

	if (!link || cpus < 1 || cpus > MAX_CPUS)
		die("cannot attach the sink");
	(void)printf("ready\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		__u64 counts[MAX_CPUS], total = 0;
		__u32 zero = 0;

		if (bpf_map_lookup_elem(map, &zero, counts) < 0)
			die("cannot read the count");
		for (int i = 0; i < cpus; i++)
			total += counts[i];
		(void)printf("%llu\n", (unsigned long long)total);
		(void)fflush(stdout);
	}
	bpf_link__destroy(link);
	bpf_object__close(object);
	return 0;
}

static const struct {
	const char *name;
	int args;
	int (*fn)(char **argv);
} verbs[] = {
	{"open", 7, verb_open},
	{"cost", 6, verb_cost},
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
