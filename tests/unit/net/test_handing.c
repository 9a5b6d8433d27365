/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/child.h"
#include "net/passing.h"

#define WAIT_MS 10000

/* ---- Messages with descriptors -------------------------------------------------------------- */

static void descriptors_arrive_with_their_message_and_close_on_exec(void **state)
{
	int ends[2], given[PASSING_MAX_FDS], got[PASSING_MAX_FDS];
	unsigned n = 0;
	char text[64];

	(void)state;
	assert_int_equal(passing_pair(ends), 0);
	for (int i = 0; i < PASSING_MAX_FDS; i++)
		given[i] = ends[0];
	assert_int_equal(passing_send(ends[0], "many", 4, given, PASSING_MAX_FDS), 0);
	assert_int_equal(passing_send(ends[0], "none", 4, NULL, 0), 0);
	assert_int_equal(passing_receive(ends[1], text, sizeof(text), got, &n), 4);
	assert_memory_equal(text, "many", 4);
	assert_int_equal(n, PASSING_MAX_FDS);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		close(got[i]);
	}
	assert_int_equal(passing_receive(ends[1], text, sizeof(text), got, &n), 4);
	assert_int_equal(n, 0);
	close(ends[0]);
	close(ends[1]);
}

static void what_does_not_fit_is_refused_and_leaves_no_descriptor(void **state)
{
	static char large[PASSING_MAX_BYTES + 1];
	int ends[2], got[PASSING_MAX_FDS], next;
	unsigned n = 0;
	char small[4];

	(void)state;
	assert_int_equal(passing_pair(ends), 0);
	assert_int_equal(passing_send(ends[0], large, sizeof(large), NULL, 0), -EMSGSIZE);
	assert_int_equal(passing_send(ends[0], "x", 1, got, PASSING_MAX_FDS + 1), -EMSGSIZE);
	assert_int_equal(passing_send(ends[0], large, PASSING_MAX_BYTES, NULL, 0), 0);
	assert_int_equal(passing_receive(ends[1], small, sizeof(small), got, &n), -EMSGSIZE);
	next = dup(0);
	close(next);
	assert_int_equal(passing_send(ends[0], "longer", 6, ends, 2), 0);
	assert_int_equal(passing_receive(ends[1], small, sizeof(small), got, &n), -EMSGSIZE);
	assert_int_equal(dup(0), next); /* the lowest that is free is still free */
	close(next);
	close(ends[0]);
	close(ends[1]);
}

static void an_end_and_a_full_channel_are_told_without_waiting(void **state)
{
	static char large[PASSING_MAX_BYTES];
	int ends[2], got[PASSING_MAX_FDS];
	unsigned n = 0;
	char text[4];
	int r = 0;

	(void)state;
	assert_int_equal(passing_pair(ends), 0);
	assert_int_equal(passing_receive(ends[1], text, sizeof(text), got, &n), -EAGAIN);
	for (int i = 0; i < 100 && r == 0; i++)
		r = passing_send(ends[0], large, sizeof(large), NULL, 0);
	assert_int_equal(r, -EAGAIN);
	close(ends[1]);
	assert_true(passing_send(ends[0], "x", 1, NULL, 0) < 0);
	close(ends[0]);
	assert_int_equal(passing_pair(ends), 0);
	close(ends[0]);
	assert_int_equal(passing_receive(ends[1], text, sizeof(text), got, &n), 0);
	close(ends[1]);
}

/* ---- Programs ------------------------------------------------------------------------------- */

struct watch {
	struct child child;
	struct timer limit;
	struct loop *loop;
	int status;
	bool ended;
};

static void on_end(struct child *child, int status)
{
	struct watch *watch = container_of(child, struct watch, child);

	watch->status = status;
	watch->ended = true;
	loop_stop(watch->loop);
}

static void on_limit(struct timer *timer)
{
	loop_stop(container_of(timer, struct watch, limit)->loop);
}

static void watch_open(struct watch *watch)
{
	*watch = (struct watch){.child.on_end = on_end};
	assert_int_equal(loop_new(&watch->loop), 0);
	timer_init(&watch->limit, on_limit);
}

static void watch_run(struct watch *watch)
{
	timer_start(watch->loop, &watch->limit, WAIT_MS);
	assert_int_equal(loop_run(watch->loop), 0);
	timer_stop(watch->loop, &watch->limit);
	assert_true(watch->ended);
}

static int shell(struct watch *watch, const char *script, int fd)
{
	char *const argv[] = {"sh", "-c", (char *)script, NULL};
	char *const env[] = {"PATH=/usr/bin:/bin", "WORD=hello", NULL};

	watch->ended = false;
	return child_start(&watch->child, watch->loop, argv, env, fd);
}

static void a_program_gets_its_descriptor_its_environment_and_plain_signals(void **state)
{
	static const char script[] =
		"printf '%s\\n' \"$WORD\" >&3; test -e /proc/$$/fd/77 && printf leaked >&3; "
		"grep -E '^Sig(Blk|Ign):' /proc/$$/status | cut -f2 | tr '\\n' ' ' >&3; exit 7";
	char text[256] = "";
	struct watch watch;
	sigset_t term, before;
	int ends[2], fds[PASSING_MAX_FDS];
	unsigned n;
	char all[512] = "";
	unsigned long long blocked, ignored;

	(void)state;
	watch_open(&watch);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &before);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(passing_pair(ends), 0);
	assert_int_equal(dup3(0, 77, O_CLOEXEC), 77);
	assert_int_equal(shell(&watch, script, ends[1]), 0);
	watch_run(&watch);
	assert_true(WIFEXITED(watch.status));
	assert_int_equal(WEXITSTATUS(watch.status), 7);
	while (passing_receive(ends[0], text, sizeof(text) - 1, fds, &n) > 0) {
		strcat(all, text);
		memset(text, 0, sizeof(text));
	}
	assert_int_equal(strncmp(all, "hello\n", 6), 0);
	assert_null(strstr(all, "leaked"));
	close(77);
	assert_int_equal(sscanf(all + 6, "%llx %llx", &blocked, &ignored), 2);
	assert_int_equal(blocked, 0);
	assert_int_equal(ignored & 1ULL << (SIGPIPE - 1), 0);
	close(ends[0]);
	close(ends[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	loop_free(watch.loop);
}

static void a_program_that_is_not_there_is_an_error_at_once(void **state)
{
	char *const argv[] = {"/nowhere/program", NULL};
	char *const env[] = {NULL};
	struct watch watch;

	(void)state;
	watch_open(&watch);
	assert_int_equal(child_start(&watch.child, watch.loop, argv, env, 0), -ENOENT);
	assert_int_equal(watch.child.pid, 0);
	child_kill(&watch.child);
	child_forget(&watch.child);
	loop_free(watch.loop);
}

static void a_program_that_is_killed_says_by_what_and_another_can_follow(void **state)
{
	struct watch watch;

	(void)state;
	watch_open(&watch);
	assert_int_equal(shell(&watch, "exec sleep 60", 0), 0);
	child_kill(&watch.child);
	watch_run(&watch);
	assert_true(WIFSIGNALED(watch.status));
	assert_int_equal(WTERMSIG(watch.status), SIGKILL);
	assert_int_equal(shell(&watch, "exit 0", 0), 0);
	watch_run(&watch);
	assert_int_equal(watch.status, 0);
	loop_free(watch.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_arrive_with_their_message_and_close_on_exec),
		cmocka_unit_test(what_does_not_fit_is_refused_and_leaves_no_descriptor),
		cmocka_unit_test(an_end_and_a_full_channel_are_told_without_waiting),
		cmocka_unit_test(a_program_gets_its_descriptor_its_environment_and_plain_signals),
		cmocka_unit_test(a_program_that_is_not_there_is_an_error_at_once),
		cmocka_unit_test(a_program_that_is_killed_says_by_what_and_another_can_follow),
	};

	return cmocka_run_group_tests_name("handing", tests, NULL, NULL);
}
