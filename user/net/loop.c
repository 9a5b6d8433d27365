/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/wheel.h"

#define EVENTS_PER_WAIT 256
#define WAITS_PER_TURN	256 /* 65536 events */
#define LATE_MOST	64  /* sources kept for late: what they have to say should not age */

struct loop {
	int epoll_fd;
	int wake_fd;	 /* eventfd, edge-triggered: a write is the event, nobody reads it */
	bool running;	 /* inside loop_run: now_us is of this turn */
	uint64_t now_us; /* of the turn */
	struct list queue;
	struct list late;
	unsigned n_late; /* put there since it was last run; some may have left */
	struct wheel wheel;
	struct deferred *deferred;
	struct deferred **deferred_end;
	void (*before_wait)(void *ctx);
	void (*after_wait)(void *ctx);
	void *wait_ctx;
	_Atomic(struct mail *) mailbox; /* newest first */
	atomic_bool stop;
};

int loop_new(struct loop **ret_loop)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct loop *loop = calloc(1, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	loop->wake_fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		goto fail;
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake_fd < 0)
		goto fail;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0)
		goto fail;
	list_init(&loop->queue);
	list_init(&loop->late);
	loop->now_us = clock_ns() / 1000;
	wheel_init(&loop->wheel, loop->now_us / 1000);
	loop->deferred_end = &loop->deferred;
	*ret_loop = loop;
	return 0;
fail:
	err = -errno;
	loop_free(loop);
	return err;
}

/* ---- Sources ------------------------------------------------------------------------------- */

int loop_add(struct loop *loop, struct source *source, int fd, void (*on_ready)(struct source *))
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.ptr = source};

	*source = (struct source){.fd = fd, .on_ready = on_ready};
	list_init(&source->run);
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		source->on_ready = NULL;
		return -errno;
	}
	return 0;
}

void loop_remove(struct loop *loop, struct source *source)
{
	if (!source->on_ready)
		return;
	/* A duplicate of the descriptor elsewhere would keep the registration past close(). */
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	list_remove(&source->run);
	source->ready = 0;
	source->on_ready = NULL;
}

void loop_run_again(struct loop *loop, struct source *source)
{
	if (source->on_ready && list_empty(&source->run))
		list_append(&loop->queue, &source->run);
}

void loop_run_late(struct loop *loop, struct source *source)
{
	if (!source->on_ready)
		return;
	list_remove(&source->run);
	list_append(&loop->late, &source->run);
	loop->n_late++;
}

/* An end or an error is found by reading; writing fails at once then, too. */
static unsigned ready_bits(uint32_t events)
{
	unsigned ready = 0;

	if (events & (EPOLLIN | EPOLLRDHUP))
		ready |= LOOP_READ;
	if (events & EPOLLOUT)
		ready |= LOOP_WRITE;
	if (events & EPOLLRDHUP)
		ready |= LOOP_HANGUP;
	if (events & (EPOLLHUP | EPOLLERR))
		ready |= LOOP_READ | LOOP_WRITE | LOOP_HANGUP;
	return ready;
}

/*
 * Events only fill the queue; callbacks come when no event is left that could name a source. So
 * removing a source, which takes it out of the queue, is enough for it never to be called again.
 */
static void queue_events(struct loop *loop, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		struct source *source = events[i].data.ptr;

		if (!source)
			continue; /* the wake_fd */
		source->ready |= ready_bits(events[i].events);
		loop_run_again(loop, source);
	}
}

static void run_late(struct loop *loop)
{
	struct list *node;

	loop->n_late = 0;
	while ((node = list_pop(&loop->late))) {
		struct source *source = container_of(node, struct source, run);

		source->on_ready(source);
	}
}

static void run_sources(struct loop *loop)
{
	struct list turn, *node;

	/* <turn> takes the place of the queue's head: what is queued from now on belongs to the
	 * next turn. */
	list_init(&turn);
	list_append(&loop->queue, &turn);
	list_remove(&loop->queue);
	while ((node = list_pop(&turn))) {
		struct source *source = container_of(node, struct source, run);

		source->on_ready(source);
		if (loop->n_late >= LATE_MOST)
			run_late(loop);
	}
}

/* ---- Timers -------------------------------------------------------------------------------- */

static uint64_t now_us(const struct loop *loop)
{
	return loop->running ? loop->now_us : clock_ns() / 1000;
}

void timer_init(struct timer *timer, void (*on_due)(struct timer *timer))
{
	*timer = (struct timer){.on_due = on_due};
	list_init(&timer->node);
}

void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms)
{
	/* Rounded up, as the turn began somewhere inside a millisecond. */
	uint64_t start_ms = (now_us(loop) + 999) / 1000;

	timer_stop(loop, timer);
	if (__builtin_add_overflow(start_ms, delay_ms, &timer->due_ms))
		timer->due_ms = UINT64_MAX;
	wheel_put(&loop->wheel, timer);
}

void timer_stop(struct loop *loop, struct timer *timer)
{
	if (timer->index != 0)
		wheel_take(&loop->wheel, timer);
}

bool timer_running(const struct timer *timer)
{
	return timer->index != 0;
}

static void run_timers(struct loop *loop)
{
	struct timer *timer;

	wheel_advance(&loop->wheel, loop->now_us / 1000);
	/* Timers that callbacks start are due after now, so this ends. */
	while ((timer = wheel_pop(&loop->wheel)))
		timer->on_due(timer);
}

/* ---- Mail, deferred work ------------------------------------------------------------------- */

static void wake(struct loop *loop)
{
	const uint64_t one = 1;
	ssize_t n;

	/* Non-blocking; EAGAIN would mean 2^64 - 2 wake-ups. */
	do {
		n = write(loop->wake_fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

void loop_send(struct loop *loop, struct mail *mail)
{
	struct mail *newest = atomic_load_explicit(&loop->mailbox, memory_order_relaxed);

	/* Taking is all or nothing, so a mail that comes back here (ABA) does no harm. */
	do {
		mail->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
		&loop->mailbox, &newest, mail, memory_order_release, memory_order_relaxed));
	if (!newest)
		wake(loop); /* otherwise the first sender did, and nobody has taken it yet */
}

static void run_mail(struct loop *loop)
{
	struct mail *mail = NULL;
	struct mail *newest;

	if (!atomic_load_explicit(&loop->mailbox, memory_order_relaxed))
		return;
	newest = atomic_exchange_explicit(&loop->mailbox, NULL, memory_order_acquire);
	while (newest) {
		struct mail *older = newest->next;

		newest->next = mail;
		mail = newest;
		newest = older;
	}
	while (mail) {
		struct mail *next = mail->next;

		mail->on_mail(mail); /* may free or send it again */
		mail = next;
	}
}

void loop_defer(struct loop *loop, struct deferred *deferred)
{
	deferred->next = NULL;
	*loop->deferred_end = deferred;
	loop->deferred_end = &deferred->next;
}

/* What deferred work defers waits for the next turn. */
static void run_deferred(struct loop *loop)
{
	struct deferred *deferred = loop->deferred;

	loop->deferred = NULL;
	loop->deferred_end = &loop->deferred;
	while (deferred) {
		struct deferred *next = deferred->next;

		deferred->run(deferred);
		deferred = next;
	}
}

/* ---- Turns --------------------------------------------------------------------------------- */

uint64_t loop_now_ms(const struct loop *loop)
{
	return now_us(loop) / 1000;
}

uint64_t loop_now_us(const struct loop *loop)
{
	return now_us(loop);
}

void loop_on_wait(struct loop *loop, void (*before)(void *ctx), void (*after)(void *ctx), void *ctx)
{
	loop->before_wait = before;
	loop->after_wait = after;
	loop->wait_ctx = ctx;
}

static int wait_ms(const struct loop *loop)
{
	uint64_t next_ms, now_ms;

	if (!list_empty(&loop->queue) || !list_empty(&loop->late) || loop->deferred)
		return 0;
	next_ms = wheel_next_ms(&loop->wheel);
	if (next_ms == UINT64_MAX)
		return -1;
	now_ms = clock_ns() / 1000000;
	if (next_ms <= now_ms)
		return 0;
	return next_ms - now_ms > INT_MAX ? INT_MAX : (int)(next_ms - now_ms);
}

/* The number of events, 0 for EINTR too, or -errno. */
static int wait_for_events(struct loop *loop, struct epoll_event *events)
{
	int n;

	if (loop->before_wait)
		loop->before_wait(loop->wait_ctx);
	n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(loop));
	if (n < 0)
		n = errno == EINTR ? 0 : -errno;
	loop->now_us = clock_ns() / 1000;
	if (loop->after_wait)
		loop->after_wait(loop->wait_ctx);
	return n;
}

/*
 * All that has happened, not only the first of it: after a long turn there is much, and timers run
 * after it. No callback comes in between, and an edge is told once, so this ends.
 */
static void queue_more_events(struct loop *loop, struct epoll_event *events)
{
	int n = EVENTS_PER_WAIT;

	for (int i = 1; n == EVENTS_PER_WAIT && i < WAITS_PER_TURN; i++) {
		n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_WAIT, 0);
		queue_events(loop, events, n);
	}
}

static int turn(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	int n = wait_for_events(loop, events);

	if (n < 0)
		return n;
	queue_events(loop, events, n);
	if (n == EVENTS_PER_WAIT)
		queue_more_events(loop, events);
	run_sources(loop); /* before timers: an answer that came in time is no timeout */
	run_timers(loop);
	run_mail(loop);
	run_late(loop);
	run_deferred(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int err = 0;

	assert(!loop->running);
	loop->running = true;
	while (!err && !atomic_load_explicit(&loop->stop, memory_order_acquire))
		err = turn(loop);
	/* What was sent or deferred before the stop is still delivered: it may own memory. */
	run_mail(loop);
	run_deferred(loop);
	loop->running = false;
	atomic_store_explicit(&loop->stop, false, memory_order_relaxed);
	return err;
}

void loop_stop(struct loop *loop)
{
	atomic_store_explicit(&loop->stop, true, memory_order_release);
	wake(loop);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->deferred)
		run_deferred(loop);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
}
