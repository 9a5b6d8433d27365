/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "net/loop.h"
#include "net/rlimit.h"

#define GUARD_MS 20000 /* a test that is not done by then has failed */

/* A loop, a guard timer that stops it, and a socket pair whose first end is a source. */
struct fixture {
	struct loop *loop;
	struct timer guard;
	bool expired;
	struct source source;
	int peer;
	int calls;
	char seen[64];
	size_t n_seen;
	struct deferred deferred;
};

static struct fixture f;

static void on_guard(struct timer *timer)
{
	(void)timer;
	f.expired = true;
	loop_stop(f.loop);
}

static int set_up(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	f.peer = -1;
	assert_int_equal(loop_new(&f.loop), 0);
	timer_init(&f.guard, on_guard);
	timer_start(f.loop, &f.guard, GUARD_MS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (f.peer >= 0) {
		loop_remove(f.loop, &f.source);
		close(f.source.fd);
		close(f.peer);
	}
	timer_stop(f.loop, &f.guard);
	loop_free(f.loop);
	return 0;
}

static void run(void)
{
	assert_int_equal(loop_run(f.loop), 0);
	assert_false(f.expired);
}

static void add_pair(void (*on_ready)(struct source *))
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	f.peer = fds[1];
	assert_int_equal(loop_add(f.loop, &f.source, fds[0], on_ready), 0);
}

/* A timer that stops the loop: what was to happen in this time has. */
static void on_stop(struct timer *timer)
{
	(void)timer;
	loop_stop(f.loop);
}

static void run_for(uint64_t ms)
{
	struct timer stop;

	timer_init(&stop, on_stop);
	timer_start(f.loop, &stop, ms);
	run();
}

/* ---- Sources ------------------------------------------------------------------------------- */

static void count_only(struct source *source)
{
	(void)source;
	f.calls++;
}

static void an_edge_is_reported_once_and_stays_as_a_ready_bit(void **state)
{
	(void)state;
	add_pair(count_only);
	assert_int_equal(write(f.peer, "x", 1), 1);
	run_for(20);
	assert_int_equal(f.calls, 1); /* though nobody read */
	assert_true(f.source.ready & LOOP_READ);
	assert_true(f.source.ready & LOOP_WRITE);
	assert_false(f.source.ready & LOOP_HANGUP);
	assert_int_equal(write(f.peer, "y", 1), 1);
	run_for(20);
	assert_int_equal(f.calls, 2);
}

static void a_closed_peer_is_a_hangup_and_readable(void **state)
{
	(void)state;
	add_pair(count_only);
	run_for(5);
	assert_int_equal(f.source.ready, LOOP_WRITE);
	shutdown(f.peer, SHUT_WR);
	run_for(5);
	assert_int_equal(f.source.ready, LOOP_WRITE | LOOP_READ | LOOP_HANGUP);
}

static void read_one_byte(struct source *source)
{
	f.calls++;
	if (read(source->fd, f.seen + f.n_seen, 1) == 1)
		f.n_seen++;
	if (f.n_seen == 5)
		loop_stop(f.loop);
	else
		loop_run_again(f.loop, source);
}

static void a_source_that_stops_early_is_called_in_the_next_turn(void **state)
{
	(void)state;
	add_pair(read_one_byte);
	assert_int_equal(write(f.peer, "hello", 5), 5);
	run();
	assert_string_equal(f.seen, "hello");
	assert_int_equal(f.calls, 5);
}

struct crowd {
	struct source source;
	int peer;
};

#define CROWD 40
static struct crowd crowd[CROWD];
static int crowd_turns;

static void count_turn(void *ctx)
{
	(void)ctx;
	crowd_turns++;
}

/* Whoever is called first removes and closes all the others. */
static void remove_others(struct source *source)
{
	f.calls++;
	for (int i = 0; i < CROWD; i++) {
		if (&crowd[i].source == source)
			continue;
		loop_remove(f.loop, &crowd[i].source);
		loop_remove(f.loop, &crowd[i].source); /* twice is fine */
		close(crowd[i].source.fd);
		memset(&crowd[i].source, 0xa5, sizeof(crowd[i].source));
	}
}

static void a_source_removed_during_the_turn_is_not_called_again(void **state)
{
	int fds[2];

	(void)state;
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		assert_int_equal(loop_add(f.loop, &crowd[i].source, fds[0], remove_others), 0);
		crowd[i].peer = fds[1];
	}
	run_for(20); /* all are writable in the first turn */
	assert_int_equal(f.calls, 1);
	for (int i = 0; i < CROWD; i++) {
		if (crowd[i].source.on_ready == remove_others) {
			loop_remove(f.loop, &crowd[i].source);
			close(crowd[i].source.fd);
		}
		close(crowd[i].peer);
	}
}

#define LATECOMERS 100
static struct crowd latecomers[LATECOMERS];
static char late_order[2 * LATECOMERS + 1]; /* 'e' for a first call, 'l' for a late one */

static void come_late(struct source *source)
{
	bool late = source->ready & LOOP_READ; /* nobody writes: the mark of the first call */

	late_order[f.calls++] = late ? 'l' : 'e';
	source->ready |= LOOP_READ;
	if (late)
		return;
	loop_run_again(f.loop, source); /* late is sooner, and once is enough */
	loop_run_late(f.loop, source);
	if (source == &latecomers[1].source)
		loop_remove(f.loop, &latecomers[0].source);
}

static void late_sources_are_called_after_the_others_of_the_turn(void **state)
{
	char expected[sizeof(late_order)] = "";
	int fds[2];

	(void)state;
	memset(late_order, 0, sizeof(late_order));
	for (int i = 0; i < LATECOMERS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		assert_int_equal(loop_add(f.loop, &latecomers[i].source, fds[0], come_late), 0);
		latecomers[i].peer = fds[1];
	}
	run_for(20);
	/* All are writable in the first turn; after 64 the late ones have waited long enough. The
	 * first is gone by then. */
	memset(expected, 'e', 64);
	memset(expected + 64, 'l', 63);
	memset(expected + 127, 'e', 36);
	memset(expected + 163, 'l', 36);
	assert_string_equal(late_order, expected);
	for (int i = 0; i < LATECOMERS; i++) {
		loop_remove(f.loop, &latecomers[i].source);
		close(latecomers[i].source.fd);
		close(latecomers[i].peer);
	}
}

static void remove_itself(struct source *source)
{
	f.calls++;
	loop_run_again(f.loop, source);
	loop_remove(f.loop, source);
	loop_run_again(f.loop, source); /* no longer there: ignored */
}

static void a_source_may_remove_itself_even_when_queued_again(void **state)
{
	(void)state;
	add_pair(remove_itself);
	run_for(10);
	assert_int_equal(f.calls, 1);
}

static void the_same_source_can_be_added_again(void **state)
{
	int fd;

	(void)state;
	add_pair(count_only);
	fd = f.source.fd;
	loop_remove(f.loop, &f.source);
	assert_int_equal(f.source.fd, fd);
	assert_int_equal(loop_add(f.loop, &f.source, fd, count_only), 0);
	assert_int_equal(loop_add(f.loop, &(struct source){0}, fd, count_only), -EEXIST);
	run_for(5);
	assert_int_equal(f.calls, 1);
}

static void a_removal_of_what_was_never_added_does_nothing(void **state)
{
	struct source never = {0};

	(void)state;
	loop_remove(f.loop, &never);
	assert_int_equal(loop_add(f.loop, &never, -1, count_only), -EBADF);
	loop_remove(f.loop, &never);
}

#define MANY 600 /* more than one wait returns */

static void check_all_called(struct timer *timer)
{
	(void)timer;
	assert_int_equal(f.calls, MANY);
	loop_stop(f.loop);
}

static void all_that_is_ready_is_called_before_timers(void **state)
{
	static struct crowd many[MANY];
	struct timer timer;
	int fds[2];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		assert_int_equal(loop_add(f.loop, &many[i].source, fds[0], count_only), 0);
		many[i].peer = fds[1];
	}
	timer_init(&timer, check_all_called);
	timer_start(f.loop, &timer, 1);
	while (loop_now_ms(f.loop) < timer.due_ms)
		; /* due in the first turn, as after a long one */
	run();
	for (int i = 0; i < MANY; i++) {
		loop_remove(f.loop, &many[i].source);
		close(many[i].source.fd);
		close(many[i].peer);
	}
}

static void waiting_callbacks_surround_every_wait(void **state)
{
	(void)state;
	crowd_turns = 0;
	loop_on_wait(f.loop, count_turn, count_turn, NULL);
	loop_stop(f.loop);
	run();
	assert_int_equal(crowd_turns, 0);
	run_for(5);
	assert_true(crowd_turns >= 2);
	assert_int_equal(crowd_turns % 2, 0);
}

/* ---- Deferred work ------------------------------------------------------------------------- */

static void run_deferred(struct deferred *deferred)
{
	assert_ptr_equal(deferred, &f.deferred);
	assert_int_equal(f.calls, 1); /* the callback had come to its end */
	f.calls = 100;
	loop_stop(f.loop);
}

static void defer_then_count(struct source *source)
{
	(void)source;
	f.deferred.run = run_deferred;
	loop_defer(f.loop, &f.deferred);
	f.calls++;
}

static void deferred_work_runs_at_the_end_of_the_turn(void **state)
{
	(void)state;
	add_pair(defer_then_count);
	run();
	assert_int_equal(f.calls, 100);
}

static void defer_again(struct deferred *deferred)
{
	if (++f.calls < 3)
		loop_defer(f.loop, deferred);
}

static void freeing_the_loop_runs_what_was_deferred(void **state)
{
	(void)state;
	f.deferred.run = defer_again;
	loop_defer(f.loop, &f.deferred);
	timer_stop(f.loop, &f.guard);
	loop_free(f.loop);
	assert_int_equal(f.calls, 3);
	assert_int_equal(loop_new(&f.loop), 0);
}

/* ---- Mail and stopping --------------------------------------------------------------------- */

#define SENDERS 4
#define MAILS	10000

struct letter {
	struct mail mail;
	int sender, number;
};

static struct letter letters[SENDERS][MAILS];
static int next_number[SENDERS];
static int delivered;
static bool out_of_order;

static void on_letter(struct mail *mail)
{
	struct letter *letter = container_of(mail, struct letter, mail);

	if (letter->number != next_number[letter->sender]++)
		out_of_order = true;
	if (++delivered == SENDERS * MAILS)
		loop_stop(f.loop);
}

static void *send_all(void *arg)
{
	struct letter *mine = arg;

	for (int i = 0; i < MAILS; i++)
		loop_send(f.loop, &mine[i].mail);
	return NULL;
}

static void mail_of_four_threads_all_comes_in_order(void **state)
{
	pthread_t threads[SENDERS];

	(void)state;
	for (int s = 0; s < SENDERS; s++) {
		for (int i = 0; i < MAILS; i++)
			letters[s][i] = (struct letter){{.on_mail = on_letter}, s, i};
		assert_int_equal(pthread_create(&threads[s], NULL, send_all, letters[s]), 0);
	}
	run();
	for (int s = 0; s < SENDERS; s++)
		pthread_join(threads[s], NULL);
	assert_int_equal(delivered, SENDERS * MAILS);
	assert_false(out_of_order);
}

static void send_again(struct mail *mail)
{
	if (++f.calls < 1000)
		loop_send(f.loop, mail);
	else
		loop_stop(f.loop);
}

static void a_mail_can_be_sent_again_when_it_came(void **state)
{
	struct mail mail = {.on_mail = send_again};

	(void)state;
	loop_send(f.loop, &mail);
	run();
	assert_int_equal(f.calls, 1000);
}

static void count_mail(struct mail *mail)
{
	(void)mail;
	f.calls++;
}

static void mail_sent_before_a_stop_is_delivered(void **state)
{
	struct mail mail = {.on_mail = count_mail};

	(void)state;
	loop_send(f.loop, &mail);
	loop_stop(f.loop);
	run();
	assert_int_equal(f.calls, 1);
}

static void *stop_from_outside(void *arg)
{
	loop_stop(arg);
	return NULL;
}

static void a_stop_of_another_thread_ends_the_wait_and_the_loop_can_run_again(void **state)
{
	pthread_t thread;

	(void)state;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(pthread_create(&thread, NULL, stop_from_outside, f.loop), 0);
		run();
		pthread_join(thread, NULL);
	}
}

static atomic_int interrupts;

static void on_alarm(int number)
{
	(void)number;
	atomic_fetch_add(&interrupts, 1);
}

static void interrupted_waits_go_on(void **state)
{
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval every = {{0, 2000}, {0, 2000}};

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	run_for(50);
	every = (struct itimerval){0};
	assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
	assert_true(atomic_load(&interrupts) > 0);
}

int main(void)
{
	uint64_t files;
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(an_edge_is_reported_once_and_stays_as_a_ready_bit),
		T(a_closed_peer_is_a_hangup_and_readable),
		T(a_source_that_stops_early_is_called_in_the_next_turn),
		T(a_source_removed_during_the_turn_is_not_called_again),
		T(late_sources_are_called_after_the_others_of_the_turn),
		T(a_source_may_remove_itself_even_when_queued_again),
		T(the_same_source_can_be_added_again),
		T(a_removal_of_what_was_never_added_does_nothing),
		T(all_that_is_ready_is_called_before_timers),
		T(waiting_callbacks_surround_every_wait),
		T(deferred_work_runs_at_the_end_of_the_turn),
		T(freeing_the_loop_runs_what_was_deferred),
		T(mail_of_four_threads_all_comes_in_order),
		T(a_mail_can_be_sent_again_when_it_came),
		T(mail_sent_before_a_stop_is_delivered),
		T(a_stop_of_another_thread_ends_the_wait_and_the_loop_can_run_again),
		T(interrupted_waits_go_on),
	};

	if (rlimit_raise_files(&files) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
