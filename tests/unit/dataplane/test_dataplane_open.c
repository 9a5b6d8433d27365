/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "place.h"

/* ---- Open and adopt ------------------------------------------------------------------------ */

struct seen {
	uint32_t backends, pools, services;
};

static void saw_backend(void *ctx, uint16_t id, const char *pool, const struct addr *addr)
{
	struct addr expected = address("10.213.0.2:80");

	assert_int_equal(id, 5);
	assert_string_equal(pool, "web");
	assert_true(addr_equal(addr, &expected));
	((struct seen *)ctx)->backends++;
}

static void saw_pool(void *ctx, uint32_t id, const char *name)
{
	assert_int_equal(id, 3);
	assert_string_equal(name, "web");
	((struct seen *)ctx)->pools++;
}

static void saw_service(void *ctx, uint32_t id, const char *name)
{
	assert_int_equal(id, 9);
	assert_string_equal(name, "front");
	((struct seen *)ctx)->services++;
}

static void a_second_daemon_adopts_what_the_first_left(void **unused)
{
	const struct dataplane_identities fns = {saw_backend, saw_pool, saw_service};
	struct seen seen = {0};
	struct dataplane *dp;
	uint64_t seed;
	uint64_t table;

	NEEDS_ROOT();
	dp = open_now();
	assert_false(dataplane_adopted(dp));
	assert_int_equal(dataplane_meta(dp)->max_flows, FLOWS);
	assert_string_equal(dataplane_meta(dp)->build, "test");
	sync_one(dp, 1);
	dataplane_rows(dp)[5].proxy_opened = 41;
	dp->maps.pools[3].next = 17;
	seed = dataplane_meta(dp)->hash_seed;
	table = dp->maps.pools[3].table;
	dataplane_close(dp);

	dp = open_now();
	assert_true(dataplane_adopted(dp));
	dataplane_each_identity(dp, &fns, &seen);
	assert_int_equal(seen.backends, 1);
	assert_int_equal(seen.pools, 1);
	assert_int_equal(seen.services, 1);
	sync_one(dp, 2);
	assert_int_equal(dp->maps.backends[5].weight, 2);
	assert_int_equal(dataplane_rows(dp)[5].proxy_opened, 41);
	assert_int_equal(dp->maps.pools[3].next, 17);
	assert_int_equal(dp->maps.pools[3].table, table);
	assert_int_equal(dataplane_meta(dp)->hash_seed, seed);
	dataplane_close(dp);
}

static void eligibility_and_kill_are_one_store(void **unused)
{
	struct dataplane *dp;

	NEEDS_ROOT();
	dp = open_now();
	sync_one(dp, 1);
	dataplane_set_eligible(dp, 5, false);
	assert_int_equal(dp->maps.backends[5].flags, LB_BACKEND_USED);
	dataplane_set_kill(dp, 5, true);
	dataplane_set_eligible(dp, 5, true);
	assert_int_equal(dp->maps.backends[5].flags,
			 LB_BACKEND_USED | LB_BACKEND_ELIGIBLE | LB_BACKEND_KILL);
	dataplane_set_eligible(dp, 6, true);
	assert_int_equal(dp->maps.backends[6].flags, 0);
	dataplane_close(dp);
}

static void a_second_daemon_at_once_is_refused_with_the_pid_of_the_first(void **unused)
{
	struct dataplane_spec spec;
	struct dataplane *dp;
	struct error err = {0};
	char pid[16];
	int to_parent[2];
	int to_child[2];
	pid_t child;
	char byte;

	NEEDS_ROOT();
	assert_int_equal(pipe2(to_parent, O_CLOEXEC) | pipe2(to_child, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		spec = spec_of(false);
		byte = dataplane_open(&spec, &dp, NULL) == 0 ? 'y' : 'n';
		if (write(to_parent[1], &byte, 1) == 1 && read(to_child[0], &byte, 1) == 1)
			_exit(0);
		_exit(1);
	}
	assert_true(child > 0);
	assert_int_equal(read(to_parent[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	spec = spec_of(false);
	assert_int_equal(dataplane_open(&spec, &dp, &err), -EBUSY);
	(void)snprintf(pid, sizeof(pid), "%d", child);
	assert_non_null(strstr(err.message, pid));
	assert_int_equal(dataplane_teardown(pin_path, &err), -EBUSY);
	/* Killed, it leaves the pins and no lock. */
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	dp = open_now();
	assert_true(dataplane_adopted(dp));
	dataplane_close(dp);
	(void)close(to_parent[0]);
	(void)close(to_parent[1]);
	(void)close(to_child[0]);
	(void)close(to_child[1]);
}

static void the_sweep_runs_without_the_daemon(void **unused)
{
	struct dataplane *dp;
	uint64_t before;
	uint64_t deadline;

	NEEDS_ROOT();
	dp = open_now();
	assert_int_equal(dataplane_sweep(dp), 0);
	dataplane_close(dp);
	dp = open_now();
	before = clock_ns();
	deadline = clock_ms() + 5000;
	while (__atomic_load_n(&dp->maps.meta->swept_at, __ATOMIC_RELAXED) < before &&
	       clock_ms() < deadline)
		(void)sched_yield();
	assert_true(dp->maps.meta->swept_at >= before);
	dataplane_close(dp);
}

/* ---- Pinned state that does not fit -------------------------------------------------------- */

static void set_magic(struct lb_meta *meta)
{
	meta->magic = 0;
}

static void set_flow_abi(struct lb_meta *meta)
{
	meta->flow_abi = LB_FLOW_ABI + 1;
}

static void set_control_abi(struct lb_meta *meta)
{
	meta->ctl_abi = LB_CTL_ABI + 1;
}

static void set_netns(struct lb_meta *meta)
{
	meta->netns++;
}

static void pinned_state_is_adopted_replaced_or_refused_by_what_it_says(void **unused)
{
	static const struct {
		void (*spoil)(struct lb_meta *meta);
		bool fresh;
		int rc;
		bool adopted;
	} rows[] = {
		{set_magic, false, 0, false},	    {set_flow_abi, false, -ESTALE, false},
		{set_flow_abi, true, 0, false},	    {set_control_abi, false, 0, true},
		{set_netns, false, -ESTALE, false}, {set_netns, true, -ESTALE, false},
	};

	NEEDS_ROOT();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct dataplane_spec spec = spec_of(rows[i].fresh);
		struct dataplane *dp = open_now();
		struct error err = {0};

		sync_one(dp, 1);
		rows[i].spoil(dp->maps.meta);
		dataplane_close(dp);
		assert_int_equal(dataplane_open(&spec, &dp, &err), rows[i].rc);
		if (rows[i].rc) {
			assert_non_null(strstr(err.message, "lbd --"));
		} else {
			assert_int_equal(dataplane_adopted(dp), rows[i].adopted);
			assert_int_equal(dp->maps.backends[5].flags != 0, rows[i].adopted);
			assert_int_equal(dataplane_meta(dp)->ctl_abi, LB_CTL_ABI);
			dataplane_close(dp);
		}
		assert_int_equal(dataplane_teardown(pin_path, NULL), 0);
	}
}

static void a_map_that_is_missing_is_made_again(void **unused)
{
	static const struct {
		const char *pin;
		bool adopted;
	} rows[] = {{"/maps/lb_services", true},
		    {"/maps/lb_counters", true},
		    {"/maps/lb_index", false},
		    {"/maps/lb_meta", false}};

	NEEDS_ROOT();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct dataplane *dp = open_now();
		char path[160];

		dataplane_close(dp);
		(void)snprintf(path, sizeof(path), "%s%s", pin_path, rows[i].pin);
		assert_int_equal(unlink(path), 0);
		dp = open_now();
		assert_int_equal(dataplane_adopted(dp), rows[i].adopted);
		assert_true(pinned(rows[i].pin));
		sync_one(dp, 1);
		dataplane_close(dp);
	}
}

/* ---- One that was to take over --------------------------------------------------------------- */

static uint32_t pinned_id(const char *below)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	char path[160];
	int fd;

	(void)snprintf(path, sizeof(path), "%s%s", pin_path, below);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	(void)close(fd);
	return info.id;
}

/* A map that is missing stands for one of another layout: both are made anew. Attached in other
 * places, with other tables. */
static void come_and_go(struct dataplane *first)
{
	struct dataplane_spec spec = spec_of(false);
	struct dataplane *second;
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/maps/lb_services", pin_path);
	assert_int_equal(unlink(path), 0);
	spec.locked = true;
	spec.lock_fd = fcntl(dataplane_lock_fd(first), F_DUPFD_CLOEXEC, 0);
	assert_int_equal(dataplane_open(&spec, &second, NULL), 0);
	assert_int_equal(dataplane_write(second, NULL), 0);
	second->maps.meta->ctl_abi = LB_CTL_ABI + 1;
	attach_now(second, "lbdpA1", HOOK_NATIVE);
	dataplane_detach_others(second);
	sync_one(second, 2);
	dataplane_close(second);
}

static void what_one_that_was_to_take_over_has_changed_is_taken_back(void **unused)
{
	uint32_t map, program;
	struct dataplane *dp;

	NEEDS_ROOT();
	dp = open_now();
	attach_now(dp, "lbdpA0", HOOK_NATIVE);
	sync_one(dp, 1);
	map = pinned_id("/maps/lb_services");
	program = xdp_program("lbdpA0", NULL);
	come_and_go(dp);
	assert_int_not_equal(pinned_id("/maps/lb_services"), map);
	assert_int_equal(xdp_program("lbdpA0", NULL), 0);

	assert_int_equal(dataplane_write(dp, NULL), 0);
	dataplane_retake(dp);
	sync_one(dp, 1);
	assert_int_equal(pinned_id("/maps/lb_services"), map);
	assert_int_equal(xdp_program("lbdpA0", NULL), program);
	assert_int_equal(xdp_program("lbdpA1", NULL), 0);
	assert_string_equal(only_interface(dp).name, "lbdpA0");
	assert_int_equal(dataplane_meta(dp)->ctl_abi, LB_CTL_ABI);
	assert_string_equal(dataplane_meta(dp)->build, "test");
	assert_int_equal(dp->maps.backends[5].weight, 1);
	dataplane_close(dp);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static bool count_flow(void *ctx, uint32_t record, const struct lb_flow *flow)
{
	uint32_t *sum = ctx;

	assert_int_equal(flow->service, record + 100);
	*sum += record;
	return *sum < 1000;
}

static void flows_in_use_are_shown_and_no_others(void **unused)
{
	static const uint32_t states[] = {LB_FLOW_OPEN,	   LB_FLOW_FREE,  LB_FLOW_CLAIMED,
					  LB_FLOW_SYN,	   LB_FLOW_RESET, LB_FLOW_STATES,
					  LB_FLOW_CLOSING, LB_FLOW_OPEN};
	struct dataplane *dp;
	uint32_t sum = 0;

	NEEDS_ROOT();
	dp = open_now();
	for (uint32_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		dp->maps.flows[i].service = i + 100;
		dp->maps.flows[i].word = 7ULL << 32 | states[i];
	}
	dataplane_each_flow(dp, 0, count_flow, &sum);
	assert_int_equal(sum, 0 + 3 + 4 + 6 + 7);
	sum = 1000;
	dataplane_each_flow(dp, 0, count_flow, &sum);
	assert_int_equal(sum, 1000);
	memset(dp->maps.flows, 0, 8 * sizeof(*dp->maps.flows));
	dataplane_close(dp);
}

static void counters_are_summed_over_cpus(void **unused)
{
	struct lb_count verdicts[LB_VERDICT_COUNT];
	struct lb_traffic traffic;
	struct lb_traffic *rows;
	struct dataplane *dp;
	uint32_t verdict = LB_V_NO_FLOW;
	uint32_t id = 77;
	uint32_t cpus;

	NEEDS_ROOT();
	cpus = (uint32_t)libbpf_num_possible_cpus();
	rows = calloc(cpus, sizeof(*rows));
	assert_non_null(rows);
	for (uint32_t i = 0; i < cpus; i++) {
		rows[i].in = (struct lb_count){1, 10};
		rows[i].out = (struct lb_count){2, 20};
	}
	dp = open_now();
	assert_int_equal(bpf_map_update_elem(dp->maps.service_stats, &id, rows, 0), 0);
	dataplane_service_traffic(dp, id, &traffic);
	assert_int_equal(traffic.in.packets, cpus);
	assert_int_equal(traffic.in.bytes, 10 * cpus);
	assert_int_equal(traffic.out.packets, 2 * cpus);
	assert_int_equal(traffic.out.bytes, 20 * cpus);
	dataplane_service_traffic(dp, LB_MAX_SERVICES + 1, &traffic);
	assert_int_equal(traffic.in.packets, 0);
	dataplane_backend_traffic(dp, 77, &traffic);
	assert_int_equal(traffic.in.packets, 0);
	free(rows);

	struct lb_count *counts = calloc(cpus, sizeof(*counts));

	assert_non_null(counts);
	counts[cpus - 1] = (struct lb_count){3, 30};
	assert_int_equal(bpf_map_update_elem(dp->maps.counters, &verdict, counts, 0), 0);
	dataplane_verdicts(dp, verdicts);
	assert_int_equal(verdicts[LB_V_NO_FLOW].packets, 3);
	assert_int_equal(verdicts[LB_V_NO_FLOW].bytes, 30);
	assert_int_equal(verdicts[LB_V_NOT_IP].packets, 0);
	free(counts);
	dataplane_close(dp);
}

/* ---- Teardown ------------------------------------------------------------------------------ */

static void teardown_leaves_nothing_and_may_be_repeated(void **unused)
{
	struct dataplane *dp;

	NEEDS_ROOT();
	dp = open_now();
	sync_one(dp, 1);
	attach_now(dp, "lbdpA0", HOOK_NATIVE);
	dp->no_tcx = true;
	attach_now(dp, "lbdpA1", HOOK_TC);
	assert_int_equal(command("tc filter show dev lbdpA1 ingress | grep -q lb_tc"), 0);
	dataplane_close(dp);
	assert_true(pinned("/maps/lb_flows"));
	assert_int_equal(dataplane_teardown(pin_path, NULL), 0);
	assert_false(pinned(""));
	assert_int_equal(xdp_program("lbdpA0", NULL), 0);
	assert_int_equal(command("tc filter show dev lbdpA1 ingress | grep -q lb_tc"), 1);
	assert_int_equal(dataplane_teardown(pin_path, NULL), 0);
}

static void teardown_clears_half_made_state(void **unused)
{
	struct dataplane *dp;
	char path[160];

	NEEDS_ROOT();
	dp = open_now();
	dataplane_close(dp);
	(void)snprintf(path, sizeof(path), "%s/maps/lb_meta", pin_path);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/links", pin_path);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(dataplane_teardown(pin_path, NULL), 0);
	assert_false(pinned(""));
}

static void a_path_outside_a_bpf_file_system_is_refused_with_the_mend(void **unused)
{
	static const char *const paths[] = {"/tmp/lbdp-none", "relative/path", ""};

	NEEDS_ROOT();
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct dataplane_spec spec = spec_of(false);
		struct dataplane *dp = NULL;
		struct error err = {0};

		(void)snprintf(spec.pin_path, sizeof(spec.pin_path), "%s", paths[i]);
		assert_int_equal(dataplane_open(&spec, &dp, &err), -EINVAL);
		assert_null(dp);
		assert_true(strlen(err.message) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_second_daemon_adopts_what_the_first_left),
		TEST(eligibility_and_kill_are_one_store),
		TEST(a_second_daemon_at_once_is_refused_with_the_pid_of_the_first),
		TEST(the_sweep_runs_without_the_daemon),
		TEST(pinned_state_is_adopted_replaced_or_refused_by_what_it_says),
		TEST(a_map_that_is_missing_is_made_again),
		TEST(what_one_that_was_to_take_over_has_changed_is_taken_back),
		TEST(flows_in_use_are_shown_and_no_others),
		TEST(counters_are_summed_over_cpus),
		TEST(teardown_leaves_nothing_and_may_be_repeated),
		TEST(teardown_clears_half_made_state),
		TEST(a_path_outside_a_bpf_file_system_is_refused_with_the_mend),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
