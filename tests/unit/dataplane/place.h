/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The room against the running kernel, in a network namespace of its own with the veth pair
 * lbdpA0-lbdpA1. Needs root; elsewhere the tests are skipped.
 *
 * For: the tests that open a dataplane. Owns: the pin path and the namespace, which end with it.
 */
#ifndef TESTS_PLACE_H
#define TESTS_PLACE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "dataplane/link.h"

#define FLOWS 1024

extern char **environ;

static char pin_path[64];

/* ---- The place ----------------------------------------------------------------------------- */

static inline int command(const char *line)
{
	char *argv[] = {"sh", "-c", (char *)line, NULL};
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 ||
	    waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int make_veth(void)
{
	return command("ip link add lbdpA0 type veth peer name lbdpA1") |
	       command("ip addr add 10.213.0.1/24 dev lbdpA0") | command("ip link set lbdpA0 up") |
	       command("ip link set lbdpA1 up");
}

static inline void unpin(void)
{
	char path[128];

	/* The dying test closes its pipe before its lock. */
	for (int i = 0; dataplane_teardown(pin_path, NULL) == -EBUSY && i < 500; i++)
		(void)usleep(10000);
	(void)snprintf(path, sizeof(path), "/run/lbd/sys-fs-bpf-lbdp%%2dtest%%2d%s.lock",
		       strrchr(pin_path, '-') + 1);
	(void)unlink(path);
}

/*
 * A child that outlives the test, however that ends, and then unpins: it waits for the end of a
 * pipe that only the test and what it forks hold. Maps of a killed test would stay for good.
 */
static inline int guard(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int ends[2];
	char byte;
	pid_t pid;

	if (null < 0 || pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	pid = fork();
	if (pid != 0)
		return pid < 0 ? -1 : close(ends[0]) | close(null);
	(void)setsid(); /* out of the reach of what ends the test's session */
	(void)close(ends[1]);
	/* Who waits for the test's last words does not wait for us. */
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
		;
	unpin();
	_exit(0);
}

static inline int enter(void **state)
{
	(void)state;
	(void)snprintf(pin_path, sizeof(pin_path), "/sys/fs/bpf/lbdp-test-%d", getpid());
	log_set_level(getenv("LBD_TEST_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	if (geteuid() != 0)
		return 0;
	if (unshare(CLONE_NEWNET) != 0)
		return -1;
	return guard() | command("ip link set lo up") | make_veth();
}

/* Every test begins with nothing pinned. */
static inline int clean(void **state)
{
	(void)state;
	return geteuid() == 0 ? dataplane_teardown(pin_path, NULL) : 0;
}

#define NEEDS_ROOT() \
	do { \
		(void)unused; \
		if (geteuid() != 0) \
			skip(); \
	} while (0)

static inline struct dataplane_spec spec_of(bool fresh)
{
	struct dataplane_spec spec = {.max_flows = FLOWS, .fresh = fresh, .build = "test"};

	(void)snprintf(spec.pin_path, sizeof(spec.pin_path), "%s", pin_path);
	return spec;
}

static struct dataplane *open_now(void)
{
	struct dataplane_spec spec = spec_of(false);
	struct dataplane *dp = NULL;
	struct error err = {0};
	int rc = dataplane_open(&spec, &dp, &err);

	if (rc)
		print_error("%s\n", err.message);
	assert_int_equal(rc, 0);
	return dp;
}

static inline void attach_now(struct dataplane *dp, const char *ifname, enum hook hook)
{
	struct interface_spec iface = {.hook = hook};
	struct error err = {0};
	int rc;

	(void)snprintf(iface.name, sizeof(iface.name), "%s", ifname);
	rc = dataplane_attach(dp, &iface, &err);
	if (rc)
		print_error("%s\n", err.message);
	assert_int_equal(rc, 0);
}

static inline struct dataplane_interface only_interface(struct dataplane *dp)
{
	struct dataplane_interface out[2];

	assert_int_equal(dataplane_interfaces(dp, out, 2), 1);
	return out[0];
}

static inline bool pinned(const char *below)
{
	char path[160];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s%s", pin_path, below);
	return stat(path, &st) == 0;
}

static inline uint32_t xdp_program(const char *ifname, int *ret_mode)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	assert_int_equal(bpf_xdp_query((int)if_nametoindex(ifname), 0, &opts), 0);
	if (ret_mode)
		*ret_mode = opts.attach_mode;
	return opts.prog_id;
}

static inline struct addr address(const char *text)
{
	struct addr addr;

	assert_null(addr_parse(slice_of(text), true, &addr));
	return addr;
}

static inline void sync_one(struct dataplane *dp, uint32_t weight)
{
	uint16_t slots[] = {5, 5, 5};
	struct wanted_backend backend = {.id = 5,
					 .addr = address("10.213.0.2:80"),
					 .pool = 3,
					 .weight = weight,
					 .eligible = true,
					 .name = "one"};
	struct wanted_pool pool = {.id = 3, .slots = slots, .n_slots = 3, .name = "web"};
	struct wanted_service service = {.id = 9,
					 .listen = address("10.213.0.1:80"),
					 .proto = LB_PROTO_TCP,
					 .pool = 3,
					 .name = "front"};
	const struct wanted wanted = {.services = &service,
				      .n_services = 1,
				      .pools = &pool,
				      .n_pools = 1,
				      .backends = &backend,
				      .n_backends = 1};
	struct error err = {0};

	assert_int_equal(dataplane_sync(dp, &wanted, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, clean)

#endif
