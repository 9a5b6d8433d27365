/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/rlimit.h"
#include "net/signal.h"
#include "net/socket.h"

#define WAIT_MS 5000

static struct addr address(const char *text)
{
	struct addr addr;

	assert_null(addr_parse(slice_of(text), false, &addr));
	return addr;
}

static void wait_for(int fd, short events)
{
	struct pollfd pollfd = {.fd = fd, .events = events};

	assert_int_equal(poll(&pollfd, 1, WAIT_MS), 1);
}

/* A listener at <text>, any port, and a client connected to it. */
static void make_pair(const char *text, int *ret_listener, int *ret_client, int *ret_server,
		      struct addr *ret_peer)
{
	struct addr addr = address(text);

	*ret_listener = socket_listen_tcp(&addr, false, 16);
	assert_true(*ret_listener >= 0);
	assert_int_equal(socket_local(*ret_listener, &addr), 0);
	if (addr_is_any(&addr))
		memcpy(addr.ip, address("127.0.0.1").ip, sizeof(addr.ip));
	assert_int_equal(socket_connect_tcp(&addr, ret_client), 0);
	wait_for(*ret_client, POLLOUT);
	assert_int_equal(socket_error(*ret_client), 0);
	wait_for(*ret_listener, POLLIN);
	*ret_server = socket_accept(*ret_listener, ret_peer);
	assert_true(*ret_server >= 0);
}

static void assert_flags(int fd)
{
	int no_delay = 0;
	socklen_t len = sizeof(no_delay);

	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
	assert_int_equal(no_delay, 1);
}

static void a_connection_comes_with_its_peer_and_all_flags(void **state)
{
	static const char *const rows[] = {"127.0.0.1", "::1", "::", "0.0.0.0"};
	struct addr local, peer;
	int listener, client, server;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_pair(rows[i], &listener, &client, &server, &peer);
		assert_flags(listener);
		assert_flags(client);
		assert_flags(server);
		assert_int_equal(socket_local(client, &local), 0);
		assert_true(addr_equal(&local, &peer));
		assert_int_equal(socket_accept(listener, NULL), -EAGAIN);
		close(server);
		close(client);
		close(listener);
	}
}

static void a_reset_close_is_seen_as_a_reset(void **state)
{
	int listener, client, server;
	char byte;

	(void)state;
	make_pair("127.0.0.1", &listener, &client, &server, NULL);
	socket_close_reset(client);
	wait_for(server, POLLIN);
	assert_int_equal(read(server, &byte, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(server);
	close(listener);
}

static void a_refused_connect_is_told_by_socket_error(void **state)
{
	struct addr addr = address("127.0.0.1");
	int fd = socket_listen_tcp(&addr, false, 1);
	int err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(socket_local(fd, &addr), 0);
	close(fd); /* nobody listens there now */
	err = socket_connect_tcp(&addr, &fd);
	if (err == 0) {
		wait_for(fd, POLLOUT);
		err = socket_error(fd);
		close(fd);
	}
	assert_int_equal(err, -ECONNREFUSED);
}

static void a_port_is_shared_only_when_asked_for(void **state)
{
	struct addr addr = address("127.0.0.1");
	int a = socket_listen_tcp(&addr, true, 1);
	int b;

	(void)state;
	assert_int_equal(socket_local(a, &addr), 0);
	assert_int_equal(socket_listen_tcp(&addr, false, 1), -EADDRINUSE);
	b = socket_listen_tcp(&addr, true, 1);
	assert_true(b >= 0);
	close(a);
	close(b);
}

static int tcp_option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
	return value;
}

/* As systemd opens it: plain, and blocking. */
static void a_listener_of_somebody_else_accepts_as_ours_do(void **state)
{
	struct addr addr = address("127.0.0.1");
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&addr, &ss);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int ours, client, server;

	(void)state;
	make_pair("127.0.0.1", &ours, &client, &server, NULL);
	assert_int_equal(bind(listener, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(socket_adopt_listener(listener, 16), 0);
	assert_int_equal(fcntl(listener, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(tcp_option(listener, TCP_NODELAY), tcp_option(server, TCP_NODELAY));
	assert_int_equal(tcp_option(listener, TCP_NOTSENT_LOWAT),
			 tcp_option(server, TCP_NOTSENT_LOWAT));
	close(listener);
	close(ours);
	close(client);
	close(server);
}

static void an_address_that_is_not_ours_is_refused(void **state)
{
	struct addr addr = address("192.0.2.1");

	(void)state;
	assert_int_equal(socket_listen_tcp(&addr, false, 1), -EADDRNOTAVAIL);
}

/* ---- Unix sockets -------------------------------------------------------------------------- */

static char dir[] = "/tmp/lbd-socket-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/s", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(dir);
}

static int connect_unix(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static void a_unix_socket_has_its_mode_whatever_the_umask(void **state)
{
	mode_t old = umask(077);
	int fd = socket_listen_unix(path, 0660);
	struct stat status;

	(void)state;
	umask(old);
	assert_true(fd >= 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0660);
	close(fd); /* leaves a stale file for the next test */
}

static void a_stale_file_is_replaced_and_a_living_one_is_not(void **state)
{
	struct addr peer = {.port = 1};
	int fd = socket_listen_unix(path, 0600);
	int client, server;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(socket_listen_unix(path, 0600), -EADDRINUSE);
	assert_int_equal(socket_accept(fd, NULL) >= 0, 1); /* the question it was asked */
	client = connect_unix();
	server = socket_accept(fd, &peer);
	assert_true(server >= 0);
	assert_int_equal(peer.port, 0);
	close(server);
	close(client);
	close(fd);
}

static void what_is_no_socket_is_left_alone(void **state)
{
	char name[80];
	char long_name[200];
	int fd;

	(void)state;
	(void)snprintf(name, sizeof(name), "%s/file", dir);
	fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(socket_listen_unix(name, 0600), -EEXIST);
	assert_int_equal(access(name, F_OK), 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(socket_listen_unix("", 0600), -ENAMETOOLONG);
	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(socket_listen_unix(long_name, 0600), -ENAMETOOLONG);
}

/* ---- Signals, limits ----------------------------------------------------------------------- */

static struct loop *loop;
static int received[8];
static int n_received;

static void on_signal(struct signals *signals, int number)
{
	received[n_received++] = number;
	if (number == SIGTERM || n_received == 8) {
		signals_fini(signals, loop);
		loop_stop(loop);
	}
}

static void signals_come_as_events_until_closed_in_the_callback(void **state)
{
	struct signals signals = {0};

	(void)state;
	signals_fini(&signals, NULL); /* zeroed is fine */
	assert_int_equal(signals_block(), 0);
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(signals_init(&signals, loop, on_signal), 0);
	assert_int_equal(kill(getpid(), SIGHUP), 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(n_received, 3); /* the kernel gives the lowest number first */
	assert_int_equal(received[0], SIGHUP);
	assert_int_equal(received[1], SIGUSR1);
	assert_int_equal(received[2], SIGTERM);
	signals_fini(&signals, loop);
	loop_free(loop);
}

static void the_limit_of_open_files_is_raised_to_the_hard_one(void **state)
{
	struct rlimit limit;
	uint64_t now = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(rlimit_raise_files(&now), 0);
	assert_true(now == limit.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(limit.rlim_cur == limit.rlim_max);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_comes_with_its_peer_and_all_flags),
		cmocka_unit_test(a_reset_close_is_seen_as_a_reset),
		cmocka_unit_test(a_refused_connect_is_told_by_socket_error),
		cmocka_unit_test(a_port_is_shared_only_when_asked_for),
		cmocka_unit_test(a_listener_of_somebody_else_accepts_as_ours_do),
		cmocka_unit_test(an_address_that_is_not_ours_is_refused),
		cmocka_unit_test(a_unix_socket_has_its_mode_whatever_the_umask),
		cmocka_unit_test(a_stale_file_is_replaced_and_a_living_one_is_not),
		cmocka_unit_test(what_is_no_socket_is_left_alone),
		cmocka_unit_test(signals_come_as_events_until_closed_in_the_callback),
		cmocka_unit_test(the_limit_of_open_files_is_raised_to_the_hard_one),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
