/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The event loop: one per thread, edge-triggered epoll.
 *
 * For: everything that waits. Owns: the epoll instance, its eventfd, the run queue, the timers.
 * Sources, timers and mails live inside their users' objects; the loop only links them.
 * May know: base. Must never know: what the bytes mean.
 *
 * A source is registered once for both directions. The kernel's edges are kept as ready bits,
 * which the user clears when a call says EAGAIN or comes back short (but a short read with
 * LOOP_HANGUP set: the end is still to be read, and no edge will tell again). A user that stops
 * early (its byte budget is spent) calls loop_run_again() and is called in the next turn, after the
 * others. Nothing may be freed inside a callback that the current turn could still name: hand it to
 * loop_defer(), which runs at the end of the turn.
 * All calls are for the loop's own thread, but loop_send() and loop_stop(), which any thread may
 * use.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct loop;

enum loop_ready {
	LOOP_READ = 1, /* a read would not block (data, end or error) */
	LOOP_WRITE = 2,
	LOOP_HANGUP = 4, /* the peer has closed its half (EPOLLRDHUP), or an error is pending */
};

struct source {
	int fd;					 /* owned by the user */
	unsigned ready;				 /* enum loop_ready bits; the user clears them */
	void (*on_ready)(struct source *source); /* NULL while not registered */
	struct list run;			 /* in the run queue, or among the late */
};

struct timer {
	uint64_t due_ms;
	void (*on_due)(struct timer *timer);
	struct list node; /* wheel slot or heap: the loop's affair */
	unsigned index;	  /* the loop's affair; 0 while stopped */
};

/* A message to a loop of another thread; lives in the sender's object until it was delivered. */
struct mail {
	void (*on_mail)(struct mail *mail);
	struct mail *next;
};

/* Work for the end of the turn, usually freeing. */
struct deferred {
	void (*run)(struct deferred *deferred);
	struct deferred *next;
};

int loop_new(struct loop **ret_loop);
/* NULL is fine. Sources must be gone; running timers and undelivered mail are forgotten. */
void loop_free(struct loop *loop);

/* Initialise <source> and register it. 0 or -errno; the fd must be non-blocking. */
int loop_add(struct loop *loop, struct source *source, int fd, void (*on_ready)(struct source *));
void loop_remove(struct loop *loop, struct source *source); /* does not close; twice is fine */
void loop_run_again(struct loop *loop, struct source *source);
/* Once more in this turn, when the others have been called: the place for writes that can wait so
 * long. Written one after the other they wake each peer once, not once for each. */
void loop_run_late(struct loop *loop, struct source *source);

void timer_init(struct timer *timer, void (*on_due)(struct timer *));
/* Starting a running timer moves it. Resolution 1 ms; never early. The delay counts from
 * loop_now_ms(), so inside a callback from the turn's start; it costs no system call. */
void timer_start(struct loop *loop, struct timer *timer, uint64_t delay_ms);
void timer_stop(struct loop *loop, struct timer *timer); /* stopped already: fine */
bool timer_running(const struct timer *timer);

/* Any thread. Mails of one sender are delivered in the order they were sent. */
void loop_send(struct loop *loop, struct mail *mail);
void loop_defer(struct loop *loop, struct deferred *deferred);

/* Monotonic, read once per turn; outside of loop_run() read afresh. */
uint64_t loop_now_ms(const struct loop *loop);
uint64_t loop_now_us(const struct loop *loop);
/* Called with <ctx> when a turn has ended, before waiting (also when that will not block), and
 * again after: for epochs. One pair per loop; a second call replaces it. */
void loop_on_wait(struct loop *loop, void (*before)(void *ctx), void (*after)(void *ctx),
		  void *ctx);
/* Until loop_stop(); 0 or -errno. Mail sent before the stop is still delivered. */
int loop_run(struct loop *loop);
/* Any thread, also from callbacks; before loop_run() it makes that return at once. */
void loop_stop(struct loop *loop);

#endif
