/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

/* ---- Connects ------------------------------------------------------------------------------ */

static void a_closed_port_is_refused_at_once(void **state)
{
	static const enum health_type types[] = {HEALTH_TCP, HEALTH_HTTP};

	(void)state;
	serve((struct script){.mute = true});
	stop_serving();
	for (size_t i = 0; i < COUNT(types); i++) {
		struct health_spec spec = spec_of(types[i]);

		spec.timeout_ms = GUARD_MS * 2;
		start(&spec, HEALTH_IS_UNKNOWN);
		run_until_results(1);
		assert_int_equal(f.reason, HEALTH_CONNECT_REFUSED);
		assert_int_equal(f.status, HEALTH_IS_DOWN);
		health_close(f.check);
		f.check = NULL;
	}
}

static void a_full_backlog_is_a_connect_timeout(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TCP);
	struct addr addr;
	int fillers[8];
	int fd;

	(void)state;
	assert_null(addr_parse(SLICE("127.0.0.1"), false, &addr));
	fd = socket_listen_tcp(&addr, false, 0); /* never accepted from */
	assert_true(fd >= 0);
	assert_int_equal(socket_local(fd, &f.server.addr), 0);
	for (size_t i = 0; i < COUNT(fillers); i++)
		assert_int_equal(socket_connect_tcp(&f.server.addr, &fillers[i]), 0);
	spec.timeout_ms = 50;
	start(&spec, HEALTH_IS_UNKNOWN);
	run_until_results(1);
	assert_int_equal(f.reason, HEALTH_CONNECT_TIMEOUT);
	for (size_t i = 0; i < COUNT(fillers); i++)
		close(fillers[i]);
	close(fd);
}

static void a_tcp_check_needs_the_connection_only_and_may_have_its_own_port(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TCP);

	(void)state;
	serve((struct script){.mute = true});
	spec.port = ntohs(f.server.addr.port);
	f.server.addr.port = 0;
	start(&spec, HEALTH_IS_UNKNOWN);
	run_until_results(1);
	assert_int_equal(f.reason, HEALTH_OK);
	assert_int_equal(f.status, HEALTH_IS_UP);
}

/* A network namespace of our own with two local ports to choose from, so that every second connect
 * to one of them comes from itself. False: not allowed to make one. */
static bool make_narrow_namespace(void)
{
	static const char range[] = "40000 40001";
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd, done;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	done = ioctl(fd, SIOCSIFFLAGS, &up);
	close(fd);
	if (done < 0)
		return false;
	fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
	done = (int)write(fd, range, sizeof(range) - 1);
	close(fd);
	return done == sizeof(range) - 1;
}

static void a_socket_connected_to_itself_is_refused(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TCP);

	(void)state;
	if (!make_narrow_namespace())
		skip();
	assert_null(addr_parse(SLICE("127.0.0.1:40000"), true, &f.server.addr));
	spec.interval_ms = 1;
	spec.backoff_max_ms = 1;
	start(&spec, HEALTH_IS_UNKNOWN);
	for (int i = 0; i < 50; i++) {
		run_until_results(1);
		assert_int_equal(f.reason, HEALTH_CONNECT_REFUSED);
	}
}

static void our_own_want_of_descriptors_says_nothing_about_backends(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TCP);
	struct rlimit old, none;

	(void)state;
	serve((struct script){.mute = true});
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){0, old.rlim_max};
	spec.interval_ms = 5;
	start(&spec, HEALTH_IS_UNKNOWN);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	run_for(50);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(f.results, 0);
	run_until_results(1);
	assert_int_equal(f.reason, HEALTH_OK);
}

/* ---- Time ---------------------------------------------------------------------------------- */

/* A backend that stops is down within fall * interval + timeout + 100 ms, however it stops. On a
 * loaded machine each of the steps on the way may be late; so much later may it be found. */
static void a_stopped_backend_is_found_in_time(void **state)
{
	static const struct {
		bool refuses; /* else it hangs */
		uint32_t timeout_ms;
	} stops[] = {{true, 40}, {false, 40}, {true, 20}, {false, 50}};
	struct health_spec spec = spec_of(HEALTH_HTTP);
	uint64_t stopped_ms;

	(void)state;
	for (size_t i = 0; i < COUNT(stops); i++) {
		serve((struct script){.answer = SLICE(OK_HEAD "\r\n")});
		spec.timeout_ms = stops[i].timeout_ms;
		start(&spec, HEALTH_IS_UNKNOWN);
		run_until(HEALTH_IS_UP);
		count_stolen();
		stopped_ms = loop_now_ms(f.loop);
		if (stops[i].refuses)
			stop_serving();
		else
			f.server.script.mute = true;
		run_until(HEALTH_IS_DOWN);
		assert_in_range(f.result_ms - stopped_ms, 0,
				3 * 50 + stops[i].timeout_ms + 100 + f.stolen_ms);
		health_close(f.check);
		f.check = NULL;
		stop_serving();
	}
}

static void a_backend_comes_back_after_rise_successes(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TCP);
	struct health_info info;

	(void)state;
	serve((struct script){.mute = true});
	stop_serving();
	start(&spec, HEALTH_IS_UNKNOWN);
	run_until_results(4);
	health_info(f.check, &info);
	assert_int_equal(info.status, HEALTH_IS_DOWN);
	assert_int_equal(info.reason, HEALTH_CONNECT_REFUSED);
	assert_int_equal(info.streak, 4);
	assert_true(info.probed_wall_ms > 0);
	assert_true(info.good_wall_ms == 0);
	assert_in_range(info.delay_ms, 47, 200);
	assert_in_range(info.next_in_ms, 0, info.delay_ms + 1);
	f.results = 0;
	serve((struct script){.mute = true});
	run_until(HEALTH_IS_UP);
	assert_int_equal(f.results, 2);
	health_info(f.check, &info);
	assert_true(info.good_wall_ms >= info.probed_wall_ms);
}

static void a_state_carried_over_is_probed_within_one_interval(void **state)
{
	static const enum health_status starts[] = {HEALTH_IS_UP, HEALTH_IS_DOWN};
	struct health_spec spec = spec_of(HEALTH_TCP);
	struct health_info info;

	(void)state;
	serve((struct script){.mute = true});
	for (size_t i = 0; i < COUNT(starts); i++) {
		start(&spec, starts[i]);
		health_info(f.check, &info);
		assert_int_equal(info.status, starts[i]);
		assert_int_equal(info.reason, HEALTH_NOT_CHECKED);
		assert_in_range(info.delay_ms, 1, 50);
		assert_in_range(info.next_in_ms, 0, 51);
		run_until_results(1);
		assert_int_equal(f.status, starts[i]); /* one success: up stays, down needs two */
		health_close(f.check);
		f.check = NULL;
	}
}

static void suspicion_probes_at_once_and_only_once(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TCP);
	struct health_info info;

	(void)state;
	serve((struct script){.mute = true});
	spec.interval_ms = GUARD_MS * 4;
	start(&spec, HEALTH_IS_UP);
	for (int i = 0; i < 1000; i++)
		health_suspect(f.check);
	health_info(f.check, &info);
	assert_int_equal(info.streak, 1);
	run_until_results(1);
	for (int i = 0; i < 1000; i++)
		health_suspect(f.check);
	run_for(50);
	assert_int_equal(f.results, 1);
	assert_int_equal(f.status, HEALTH_IS_UP);
}

static void suspicion_and_two_bad_probes_make_a_fall_of_three(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TCP);

	(void)state;
	serve((struct script){.mute = true});
	stop_serving();
	start(&spec, HEALTH_IS_UP);
	health_suspect(f.check);
	run_until(HEALTH_IS_DOWN);
	assert_int_equal(f.results, 2);
}

static void a_probe_can_be_asked_for(void **state)
{
	struct health_spec spec = spec_of(HEALTH_TCP);

	(void)state;
	serve((struct script){.mute = true});
	spec.interval_ms = GUARD_MS * 4;
	start(&spec, HEALTH_IS_DOWN);
	health_run(f.check);
	health_run(f.check);
	run_until_results(1);
	assert_int_equal(f.status, HEALTH_IS_DOWN);
	health_run(f.check);
	run_until_results(1);
	assert_int_equal(f.status, HEALTH_IS_UP);
	assert_int_equal(f.results, 2);
}

/* ---- Ends ---------------------------------------------------------------------------------- */

static void a_check_may_be_closed_inside_its_result(void **state)
{
	static const struct {
		enum health_type type;
		bool serves;
		uint32_t timeout_ms;
	} ways[] = {{HEALTH_TCP, true, 2000},
		    {HEALTH_TCP, false, 2000},
		    {HEALTH_HTTP, false, 2000},
		    {HEALTH_HTTP, true, 30}}; /* by source, by refusal, by timeout */

	(void)state;
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct health_spec spec = spec_of(ways[i].type);

		f.close_inside = true;
		f.results = 0;
		spec.timeout_ms = ways[i].timeout_ms;
		serve((struct script){.mute = true});
		if (!ways[i].serves)
			stop_serving();
		start(&spec, HEALTH_IS_UNKNOWN);
		run_until_results(1);
		run_for(120);
		assert_int_equal(f.results, 1);
		stop_serving();
	}
}

static void a_check_may_be_closed_while_a_probe_runs(void **state)
{
	struct health_spec spec = spec_of(HEALTH_HTTP);
	struct health_info info;

	(void)state;
	health_close(NULL);
	serve((struct script){.mute = true});
	start(&spec, HEALTH_IS_UNKNOWN);
	while (f.server.accepted == 0)
		run_for(1);
	health_info(f.check, &info);
	assert_int_equal(info.next_in_ms, 0);
	health_close(f.check);
	f.check = NULL;
	run_for(60);
	assert_int_equal(f.results, 0);
}

static void specs_that_cannot_be_probed_are_refused(void **state)
{
	struct health_spec good = spec_of(HEALTH_HTTP);
	struct health_spec bad[8];
	struct addr no_port = {0};
	struct health_check *check = NULL;

	(void)state;
	serve((struct script){.mute = true});
	for (size_t i = 0; i < COUNT(bad); i++)
		bad[i] = good;
	bad[0].type = HEALTH_NONE;
	bad[1].interval_ms = 0;
	bad[2].timeout_ms = 0;
	bad[3].rise = 0;
	bad[4].fall = 0;
	(void)snprintf(bad[5].path, sizeof(bad[5].path), "/ HTTP/1.1\r\nX: y");
	(void)snprintf(bad[6].host, sizeof(bad[6].host), "a b");
	bad[7].type = (enum health_type)99;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(health_start(f.loop, &bad[i], &f.server.addr, HEALTH_IS_UNKNOWN,
					      on_result, &f, &check),
				 -EINVAL);
	assert_int_equal(
		health_start(f.loop, &good, &no_port, HEALTH_IS_UNKNOWN, on_result, &f, &check),
		-EINVAL);
	assert_null(check);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(a_closed_port_is_refused_at_once),
		T(a_full_backlog_is_a_connect_timeout),
		T(a_tcp_check_needs_the_connection_only_and_may_have_its_own_port),
		T(our_own_want_of_descriptors_says_nothing_about_backends),
		T(a_stopped_backend_is_found_in_time),
		T(a_backend_comes_back_after_rise_successes),
		T(a_state_carried_over_is_probed_within_one_interval),
		T(suspicion_probes_at_once_and_only_once),
		T(suspicion_and_two_bad_probes_make_a_fall_of_three),
		T(a_probe_can_be_asked_for),
		T(a_check_may_be_closed_inside_its_result),
		T(a_check_may_be_closed_while_a_probe_runs),
		T(specs_that_cannot_be_probed_are_refused),
		T(a_socket_connected_to_itself_is_refused), /* last: leaves its namespace */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
