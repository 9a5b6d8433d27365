/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The BPF objects, loaded once over the same maps, and what the daemon would write there.
 *
 * For: every test program. Owns: the objects, the maps' memory, and the state that world_reset()
 * puts back: no flow, no count, one service VIP:80 -> pool 1 -> backend 1 at port 8080.
 * May know: include/lb, place.h and the generated skeletons. Must never know: bpf/ headers.
 */
#ifndef TESTS_BPF_WORLD_H
#define TESTS_BPF_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lb/abi.h"

#include "place.h"

#define VIP	     IPV4(192, 0, 2, 1)
#define VIP_PORT     80
#define CLIENT	     IPV4(198, 51, 100, 7)
#define CLIENT_PORT  40000
#define BACKEND_PORT 8080

#define REPLY_BURST 1000 /* RSTs between two resets, on one CPU */
#define ELIGIBLE    (LB_BACKEND_USED | LB_BACKEND_ELIGIBLE)

/* One way to run the balancer. */
struct hook {
	const char *name; /* as in the names of tests */
	bool xdp;
	uint32_t flags; /* of BPF_PROG_TEST_RUN */
};

struct world {
	int xdp; /* program descriptors */
	int tc;
	int dry_xdp;
	int dry_tc;
	int decap;
	int sweep;
	int arm;
	int kill;
	int clock;
	int half; /* map descriptors */
	int frags;
	int locks;
	int services;
	int prefixes;
	int counters;
	int bucket;
	int svc_stats;
	int be_stats;
	uint32_t max_flows;
	uint32_t n_records;
	uint32_t n_buckets;
	uint32_t tick_ns; /* what times in the maps are counted in */
	uint32_t second;  /* in ticks */
	uint64_t ticks;	  /* at clock_ns */
	uint64_t clock_ns;
	int cpus;
	uint32_t flags_known;  /* flags of BPF_PROG_TEST_RUN that this kernel has */
	struct lb_pool *pools; /* mapped */
	struct lb_slot_line *slots;
	struct lb_backend *backends;
	struct lb_live *live;
	struct lb_flow *flows;
	uint64_t *crowds;
	struct lb_bucket *buckets;
	struct lb_snat *snat;
	struct lb_ip *vips;
	struct lb_hop *ways;
	uint64_t *ends;
	struct lb_meta *meta;
	const struct hook *hook; /* of the test that runs */
};

extern struct world world;

/* Flows there may be; a program that wants another number sets it before the group runs. */
extern uint32_t world_flows;

int world_open(void **state);  /* group setup */
int world_close(void **state); /* group teardown */
int world_reset(void **state); /* setup; *state is the hook */
/* No record, no index entry; all else stays. */
void world_forget(void);

struct lb_ip ip_of(uint32_t addr);
void world_service(uint32_t id, uint32_t addr, uint16_t port, uint32_t pool, uint32_t flags);
/* The same of any kind: the entry, that of its address, and its end. */
void world_listen(const struct lb_service *service, const struct lb_ip *addr, uint16_t port,
		  uint8_t proto);
/* The row of lb_vips with the address, as the daemon gives them. */
uint16_t world_vip(const struct lb_ip *addr);
void world_backend_at(uint16_t id, const struct lb_ip *addr, uint16_t port, uint32_t weight,
		      uint32_t flags);
/* The pool's table starts at slot 1024 * id. */
void world_pool(uint32_t id, enum lb_choice choice, const uint16_t *slots, uint32_t n_slots);
void world_backend(uint16_t id, uint32_t addr, uint16_t port, uint32_t weight, uint32_t flags);
/* Backends 1..n, near, eligible, of weight 1. */
void world_backends(uint16_t n);
/* As many answers as REPLY_BURST, on each CPU. */
void world_fill_bucket(void);
void world_sweep(void);
/* Starts the sweep's timer, which goes on to the end of the program. */
void world_arm(void);
/* Ends the flow of a record as the operator does. */
void world_kill(uint32_t record, uint32_t generation);
/* At least 1. */
uint32_t world_ticks(uint64_t ns);
uint32_t world_now(void); /* ticks */
/* Until the programs' own clock has gone on by so many: it may stand while ours goes on. */
void world_pass(uint32_t ticks);
void world_timeout(enum lb_flow_state state, uint64_t ns); /* 0: for ever */
void world_timeouts(uint64_t ns);			   /* of every state */
/* Makes every record so much older. */
void world_age(uint64_t ns);
uint32_t world_index_count(void);
/* Entries that name the record as it is now. */
uint32_t world_entries_of(const struct lb_flow *flow);
/* Makes what is known of fragments so much older. */
void world_age_frags(uint64_t ns);
void world_counts(struct lb_count ret_counts[static LB_VERDICT_COUNT]); /* by verdict */
void world_count(enum lb_verdict verdict, struct lb_count *ret_count);

/* A cmocka test for each hook, from one function. */
extern const struct hook hook_xdp, hook_tc, hook_tc_complete;
#define TEST_ON(test, on) \
	{ \
#test " (" #on ")", test, world_reset, NULL, (void *)&hook_##on \
	}
#define TEST(test) TEST_ON(test, xdp), TEST_ON(test, tc)

/* Runs the tests, or with an argument those it names ("*" and "?" as in a shell). */
#define RUN_TESTS(tests, argv) \
	((argv)[1] ? cmocka_set_test_filter((argv)[1]) : (void)0, \
	 cmocka_run_group_tests(tests, world_open, world_close))

#endif
