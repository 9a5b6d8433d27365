/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/passing.h"
#include "net/systemd.h"

/* Where systemd would listen. */
struct manager {
	char name[64];
	int fd;
};

static void manager_open(struct manager *manager, char first)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	size_t len = (size_t)snprintf(manager->name, sizeof(manager->name), "%c/tmp/lbd-test-%d",
				      first, getpid());
	/* Of a path the first character is its own slash. */
	char *path = first == '@' ? manager->name : manager->name + 1;

	memcpy(name.sun_path, path, strlen(path));
	if (first == '@')
		name.sun_path[0] = '\0';
	else
		unlink(path);
	len = offsetof(struct sockaddr_un, sun_path) + strlen(path);
	manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(manager->fd, (struct sockaddr *)&name, (socklen_t)len), 0);
	setenv("NOTIFY_SOCKET", path, 1);
}

static void manager_close(struct manager *manager, char first)
{
	close(manager->fd);
	if (first != '@')
		unlink(manager->name + 1);
	unsetenv("NOTIFY_SOCKET");
}

static void what_is_said_arrives_at_a_path_and_in_the_abstract_namespace(void **state)
{
	static const char firsts[] = {'/', '@'};

	(void)state;
	for (size_t i = 0; i < sizeof(firsts); i++) {
		struct manager manager;
		struct systemd systemd;
		char text[256] = "";
		int fds[PASSING_MAX_FDS];
		unsigned n = 0;

		manager_open(&manager, firsts[i]);
		systemd_init(&systemd);
		assert_int_equal(
			systemd_notify(&systemd, NULL, 0, "READY=1\nSTATUS=%d services", 3), 0);
		assert_true(passing_receive(manager.fd, text, sizeof(text), fds, &n) > 0);
		assert_string_equal(text, "READY=1\nSTATUS=3 services");
		assert_int_equal(n, 0);
		manager_close(&manager, firsts[i]);
	}
}

static void descriptors_go_along(void **state)
{
	struct manager manager;
	struct systemd systemd;
	char text[256] = "";
	int fds[PASSING_MAX_FDS];
	int given[2];
	unsigned n = 0;

	(void)state;
	manager_open(&manager, '@');
	systemd_init(&systemd);
	assert_int_equal(pipe(given), 0);
	assert_int_equal(systemd_notify(&systemd, given, 2, "FDSTORE=1\nFDNAME=lbd-%s", "a"), 0);
	assert_true(passing_receive(manager.fd, text, sizeof(text), fds, &n) > 0);
	assert_string_equal(text, "FDSTORE=1\nFDNAME=lbd-a");
	assert_int_equal(n, 2);
	/* The same pipe: what goes in at one end comes out at the other. */
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(read(given[0], text, 1), 1);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(given[i]);
	}
	manager_close(&manager, '@');
}

static void without_a_manager_nothing_is_said_and_nothing_fails(void **state)
{
	static const char *const sockets[] = {NULL, "", "@", "relative", "vsock:2:1234"};

	(void)state;
	for (size_t i = 0; i < sizeof(sockets) / sizeof(*sockets); i++) {
		struct systemd systemd;

		unsetenv("NOTIFY_SOCKET");
		if (sockets[i])
			setenv("NOTIFY_SOCKET", sockets[i], 1);
		systemd_init(&systemd);
		assert_int_equal(systemd.notify_len, 0);
		assert_int_equal(systemd_notify(&systemd, NULL, 0, "READY=1"), 0);
	}
	unsetenv("NOTIFY_SOCKET");
}

static void a_manager_that_has_gone_is_an_error_that_does_not_block(void **state)
{
	struct manager manager;
	struct systemd systemd;

	(void)state;
	manager_open(&manager, '@');
	systemd_init(&systemd);
	close(manager.fd);
	assert_true(systemd_notify(&systemd, NULL, 0, "READY=1") < 0);
	unsetenv("NOTIFY_SOCKET");
}

static void numbers_of_the_environment_are_read_strictly(void **state)
{
	static const struct {
		const char *usec, *pid;
		uint32_t want_ms;
	} cases[] = {
		{"2000000", NULL, 2000}, {"2000000", "us", 2000}, {"2000000", "1", 0},
		{"900", NULL, 1},	 {"0", NULL, 0},	  {"-5", NULL, 0},
		{"5x", NULL, 0},	 {"", NULL, 0},		  {NULL, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct systemd systemd;
		char us[16];

		snprintf(us, sizeof(us), "%d", getpid());
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (cases[i].usec)
			setenv("WATCHDOG_USEC", cases[i].usec, 1);
		if (cases[i].pid)
			setenv("WATCHDOG_PID", strcmp(cases[i].pid, "us") == 0 ? us : cases[i].pid,
			       1);
		systemd_init(&systemd);
		assert_int_equal(systemd.watchdog_ms, cases[i].want_ms);
	}
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void descriptors_are_taken_once_and_only_by_whom_they_are_for(void **state)
{
	static const struct {
		const char *pid, *fds;
		unsigned want;
	} cases[] = {
		{"us", "0", 0}, {"1", "2", 0},	      {NULL, "2", 0},  {"us", "-1", 0},
		{"us", "x", 0}, {"us", "9999999", 0}, {"us", NULL, 0},
	};
	char us[16];

	(void)state;
	snprintf(us, sizeof(us), "%d", getpid());
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (cases[i].pid)
			setenv("LISTEN_PID", strcmp(cases[i].pid, "us") == 0 ? us : cases[i].pid,
			       1);
		if (cases[i].fds)
			setenv("LISTEN_FDS", cases[i].fds, 1);
		assert_int_equal(systemd_passed(), cases[i].want);
		assert_null(getenv("LISTEN_FDS"));
	}
	setenv("LISTEN_PID", us, 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(systemd_passed(), 1);
	assert_int_equal(systemd_passed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_said_arrives_at_a_path_and_in_the_abstract_namespace),
		cmocka_unit_test(descriptors_go_along),
		cmocka_unit_test(without_a_manager_nothing_is_said_and_nothing_fails),
		cmocka_unit_test(a_manager_that_has_gone_is_an_error_that_does_not_block),
		cmocka_unit_test(numbers_of_the_environment_are_read_strictly),
		cmocka_unit_test(descriptors_are_taken_once_and_only_by_whom_they_are_for),
	};

	return cmocka_run_group_tests_name("systemd", tests, NULL, NULL);
}
