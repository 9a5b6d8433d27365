/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "place.h"

/* ---- Hooks --------------------------------------------------------------------------------- */

static void each_hook_attaches_survives_and_is_adopted(void **unused)
{
	static const struct {
		enum hook hook, runs;
		bool no_tcx;
		const char *pin;
		int mode;
	} rows[] = {
		{HOOK_NATIVE, HOOK_NATIVE, false, "/links/lbdpA0_xdp", XDP_ATTACHED_DRV},
		{HOOK_GENERIC, HOOK_GENERIC, false, "/links/lbdpA0_xdp", XDP_ATTACHED_SKB},
		{HOOK_TC, HOOK_TC, true, "/links/lbdpA0_clsact", XDP_ATTACHED_NONE},
		{HOOK_TC, HOOK_TC, false, "/links/lbdpA0_tcx", XDP_ATTACHED_NONE},
		{HOOK_AUTO, HOOK_TC, false, "/links/lbdpA0_tcx", XDP_ATTACHED_NONE},
	};

	NEEDS_ROOT();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct dataplane *dp = open_now();
		struct dataplane_interface iface;
		uint32_t ifindex = if_nametoindex("lbdpA0");
		uint32_t first;
		uint32_t listed;
		int mode;

		dp->no_tcx = rows[i].no_tcx;
		attach_now(dp, "lbdpA0", rows[i].hook);
		iface = only_interface(dp);
		assert_int_equal(iface.hook, rows[i].runs);
		assert_int_equal(iface.ifindex, ifindex);
		assert_int_equal(iface.configured_auto, rows[i].hook == HOOK_AUTO);
		assert_true(pinned(rows[i].pin));
		assert_int_equal(bpf_map_lookup_elem(dp->maps.devs, &ifindex, &listed) == 0,
				 rows[i].hook == HOOK_NATIVE);
		dataplane_close(dp);

		first = xdp_program("lbdpA0", &mode);
		assert_int_equal(mode, rows[i].mode);
		dp = open_now();
		dp->no_tcx = rows[i].no_tcx;
		iface = only_interface(dp);
		assert_string_equal(iface.name, "lbdpA0");
		assert_int_equal(iface.hook, rows[i].runs);
		assert_true(link_alive(&dp->attachments[0]));
		attach_now(dp, "lbdpA0", rows[i].hook);
		assert_int_equal(only_interface(dp).hook, rows[i].runs);
		assert_true(link_alive(&dp->attachments[0]));
		/* The newer program took the older one's place. */
		if (first)
			assert_int_not_equal(xdp_program("lbdpA0", NULL), first);
		assert_int_equal(dataplane_detach(dp, "lbdpA0", NULL), 0);
		assert_int_equal(dataplane_interfaces(dp, NULL, 0), 0);
		assert_false(pinned(rows[i].pin));
		assert_int_equal(xdp_program("lbdpA0", NULL), 0);
		assert_int_equal(dataplane_detach(dp, "lbdpA0", NULL), -ENOENT);
		dataplane_close(dp);
	}
}

static void one_hook_changes_into_any_other(void **unused)
{
	static const enum hook order[] = {HOOK_TC,	HOOK_NATIVE, HOOK_GENERIC, HOOK_TC,
					  HOOK_GENERIC, HOOK_NATIVE, HOOK_TC};
	struct dataplane *dp;

	NEEDS_ROOT();
	dp = open_now();
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		attach_now(dp, "lbdpA0", order[i]);
		assert_int_equal(only_interface(dp).hook, order[i]);
		assert_int_equal(xdp_program("lbdpA0", NULL) != 0, order[i] != HOOK_TC);
		assert_int_equal(pinned("/links/lbdpA0_xdp"), order[i] != HOOK_TC);
		assert_int_equal(pinned("/links/lbdpA0_tcx"), order[i] == HOOK_TC);
	}
	dataplane_close(dp);
}

static void of_two_hooks_that_a_killed_daemon_left_the_wanted_one_stays(void **unused)
{
	static const enum hook rows[] = {HOOK_TC, HOOK_NATIVE};

	NEEDS_ROOT();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct dataplane *dp = open_now();
		struct attachment second = {
			.spec = {.name = "lbdpA0"},
			.ifindex = if_nametoindex("lbdpA0"),
			.hook = HOOK_NATIVE,
		};
		uint32_t listed;

		attach_now(dp, "lbdpA0", HOOK_TC);
		assert_int_equal(link_attach(dp, &second, NULL), 0);
		(void)close(second.fd);
		dataplane_close(dp);
		dp = open_now();
		assert_int_equal(dataplane_interfaces(dp, NULL, 0), 2);
		attach_now(dp, "lbdpA0", rows[i]);
		dataplane_detach_others(dp);
		assert_int_equal(only_interface(dp).hook, rows[i]);
		assert_int_equal(xdp_program("lbdpA0", NULL) != 0, rows[i] == HOOK_NATIVE);
		assert_int_equal(bpf_map_lookup_elem(dp->maps.devs, &second.ifindex, &listed) == 0,
				 rows[i] == HOOK_NATIVE);
		assert_int_equal(dataplane_detach(dp, "lbdpA0", NULL), 0);
		dataplane_close(dp);
	}
}

static int foreign_program(enum bpf_prog_type type)
{
	/* r0 = 2 (XDP_PASS) or 0 (TC_ACT_OK); exit */
	const struct bpf_insn instructions[] = {
		{.code = 0xb7, .dst_reg = 0, .imm = type == BPF_PROG_TYPE_XDP ? 2 : 0},
		{.code = 0x95},
	};
	int fd = bpf_prog_load(type, "somebody", "GPL", instructions, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

/* A map of another layout is made anew, as one that is missing is: nothing is in it yet. */
static void packets_stay_with_the_former_program_until_new_maps_are_written(void **unused)
{
	struct dataplane *dp;
	uint32_t program;
	char path[160];

	NEEDS_ROOT();
	dp = open_now();
	attach_now(dp, "lbdpA0", HOOK_NATIVE);
	sync_one(dp, 1);
	program = xdp_program("lbdpA0", NULL);
	dataplane_close(dp);
	(void)snprintf(path, sizeof(path), "%s/maps/lb_services", pin_path);
	assert_int_equal(unlink(path), 0);

	dp = open_now();
	assert_true(dataplane_adopted(dp));
	attach_now(dp, "lbdpA0", HOOK_NATIVE);
	dataplane_detach_others(dp);
	assert_int_equal(xdp_program("lbdpA0", NULL), program);
	sync_one(dp, 1);
	assert_int_not_equal(xdp_program("lbdpA0", NULL), program);
	assert_int_not_equal(xdp_program("lbdpA0", NULL), 0);
	dataplane_close(dp);
}

static void a_foreign_xdp_program_is_named_and_left_alone(void **unused)
{
	struct interface_spec iface = {.name = "lbdpA0", .hook = HOOK_NATIVE};
	struct dataplane *dp;
	struct error err = {0};
	int fd;
	uint32_t id;
	int ifindex;

	NEEDS_ROOT();
	ifindex = (int)if_nametoindex("lbdpA0");
	fd = foreign_program(BPF_PROG_TYPE_XDP);
	assert_int_equal(bpf_xdp_attach(ifindex, fd, XDP_FLAGS_DRV_MODE, NULL), 0);
	id = xdp_program("lbdpA0", NULL);
	dp = open_now();
	assert_int_equal(dataplane_attach(dp, &iface, &err), -EBUSY);
	assert_non_null(strstr(err.message, "somebody"));
	assert_int_equal(xdp_program("lbdpA0", NULL), id);
	assert_int_equal(dataplane_interfaces(dp, NULL, 0), 0);
	dataplane_close(dp);
	assert_int_equal(bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL), 0);
	(void)close(fd);
}

static void a_foreign_filter_at_our_priority_is_left_alone(void **unused)
{
	struct interface_spec iface = {.name = "lbdpA0", .hook = HOOK_TC};
	struct dataplane *dp;
	struct error err = {0};
	int fd;

	NEEDS_ROOT();
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex("lbdpA0"),
		    .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, theirs, .handle = 0x6c62, .priority = 50);
	LIBBPF_OPTS(bpf_tc_opts, query, .handle = 0x6c62, .priority = 50);

	fd = foreign_program(BPF_PROG_TYPE_SCHED_CLS);
	theirs.prog_fd = fd;
	(void)bpf_tc_hook_create(&hook);
	assert_int_equal(bpf_tc_attach(&hook, &theirs), 0);
	dp = open_now();
	dp->no_tcx = true;
	assert_int_equal(dataplane_attach(dp, &iface, &err), -EBUSY);
	assert_non_null(strstr(err.message, "tc filter del"));
	assert_int_equal(bpf_tc_query(&hook, &query), 0);
	assert_int_equal(query.prog_id, theirs.prog_id);
	dataplane_close(dp);
	query.prog_id = query.prog_fd = query.flags = 0;
	assert_int_equal(bpf_tc_detach(&hook, &query), 0);
	(void)close(fd);
}

static void our_filter_without_its_pin_is_recognised(void **unused)
{
	struct dataplane *dp;
	char path[160];

	NEEDS_ROOT();
	dp = open_now();
	dp->no_tcx = true;
	attach_now(dp, "lbdpA0", HOOK_TC);
	dataplane_close(dp);
	(void)snprintf(path, sizeof(path), "%s/links/lbdpA0_clsact", pin_path);
	assert_int_equal(unlink(path), 0);
	dp = open_now();
	dp->no_tcx = true;
	assert_int_equal(dataplane_interfaces(dp, NULL, 0), 0);
	attach_now(dp, "lbdpA0", HOOK_TC);
	assert_int_equal(only_interface(dp).hook, HOOK_TC);
	dataplane_close(dp);
}

static void an_unknown_interface_is_answered_with_those_there_are(void **unused)
{
	struct interface_spec iface = {.name = "nosuch0", .hook = HOOK_TC};
	struct dataplane *dp;
	struct error err = {0};

	NEEDS_ROOT();
	dp = open_now();
	assert_int_equal(dataplane_attach(dp, &iface, &err), -ENODEV);
	assert_non_null(strstr(err.message, "lbdpA0"));
	dataplane_close(dp);
}

static void an_interface_that_comes_back_is_attached_again(void **unused)
{
	static const enum hook hooks[] = {HOOK_NATIVE, HOOK_TC};
	struct dataplane *dp;

	NEEDS_ROOT();
	dp = open_now();
	assert_true(dataplane_watch_fd(dp) >= 0);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		attach_now(dp, "lbdpA0", hooks[i]);
		dataplane_on_watch(dp);
		assert_int_equal(command("ip link del lbdpA0"), 0);
		dataplane_on_watch(dp);
		assert_int_equal(only_interface(dp).ifindex, 0);
		assert_int_equal(make_veth(), 0);
		dataplane_on_watch(dp);
		assert_int_equal(only_interface(dp).ifindex, if_nametoindex("lbdpA0"));
		assert_int_equal(only_interface(dp).hook, hooks[i]);
		assert_true(link_alive(&dp->attachments[0]));
	}
	dataplane_close(dp);
}

/* The event loop tells of readiness once, so what was not read would be found by accident only. */
static void an_interface_that_comes_back_behind_a_storm_of_routes_is_seen(void **unused)
{
	struct dataplane *dp;
	int calls = 1;

	NEEDS_ROOT();
	dp = open_now();
	attach_now(dp, "lbdpA0", HOOK_TC);
	while (dataplane_on_watch(dp))
		;
	assert_int_equal(command("for i in $(seq 1 9); do for j in $(seq 1 40); do "
				 "echo route add blackhole 10.22$i.$j.0/24; done; done | "
				 "ip -batch -"),
			 0);
	assert_int_equal(command("ip link del lbdpA0") | make_veth(), 0);
	while (calls < 20 && dataplane_on_watch(dp))
		calls++;
	assert_in_range(calls, 2, 19);
	assert_int_equal(only_interface(dp).ifindex, if_nametoindex("lbdpA0"));
	assert_int_equal(command("ip route flush type blackhole"), 0);
	dataplane_close(dp);
}

static void a_route_change_makes_the_kernel_ask_again(void **unused)
{
	struct dataplane *dp;

	NEEDS_ROOT();
	dp = open_now();
	dataplane_on_watch(dp);
	dp->maps.meta->hops_changed = 0;
	dataplane_on_watch(dp);
	assert_int_equal(dp->maps.meta->hops_changed, 0);
	assert_int_equal(command("ip route add 10.214.0.0/24 via 10.213.0.9"), 0);
	dataplane_on_watch(dp);
	assert_int_not_equal(dp->maps.meta->hops_changed, 0);
	assert_int_equal(command("ip route del 10.214.0.0/24"), 0);
	dataplane_close(dp);
}

static void a_backend_becomes_a_managed_neighbour_and_ceases_to_be(void **unused)
{
	const struct wanted none = {0};
	struct dataplane *dp;

	NEEDS_ROOT();
	dp = open_now();
	sync_one(dp, 1);
	assert_int_equal(command("ip neigh show 10.213.0.2 | grep -q managed"), 0);
	assert_int_equal(dataplane_sync(dp, &none, NULL), 0);
	assert_int_equal(command("ip neigh show 10.213.0.2 | grep -q managed"), 1);
	dataplane_close(dp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_hook_attaches_survives_and_is_adopted),
		TEST(one_hook_changes_into_any_other),
		TEST(of_two_hooks_that_a_killed_daemon_left_the_wanted_one_stays),
		TEST(packets_stay_with_the_former_program_until_new_maps_are_written),
		TEST(a_foreign_xdp_program_is_named_and_left_alone),
		TEST(a_foreign_filter_at_our_priority_is_left_alone),
		TEST(our_filter_without_its_pin_is_recognised),
		TEST(an_unknown_interface_is_answered_with_those_there_are),
		TEST(an_interface_that_comes_back_is_attached_again),
		TEST(an_interface_that_comes_back_behind_a_storm_of_routes_is_seen),
		TEST(a_route_change_makes_the_kernel_ask_again),
		TEST(a_backend_becomes_a_managed_neighbour_and_ceases_to_be),
	};

	return cmocka_run_group_tests(tests, enter, NULL);
}
