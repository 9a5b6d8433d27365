/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/probe.h"

#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "net/socket.h"

static const struct health_ops *const types[] = {
	[HEALTH_TCP] = &health_tcp_ops,
	[HEALTH_HTTP] = &health_http_ops,
};

const struct health_ops *health_ops_find(enum health_type type)
{
	return (unsigned)type < sizeof(types) / sizeof(types[0]) ? types[type] : NULL;
}

static enum health_reason reason_of_connect(int err)
{
	switch (err) {
	case -ECONNREFUSED:
		return HEALTH_CONNECT_REFUSED;
	case -ETIMEDOUT:
		return HEALTH_CONNECT_TIMEOUT;
	case -ENETUNREACH:
	case -EHOSTUNREACH:
	case -ENETDOWN:
	case -EHOSTDOWN:
		return HEALTH_CONNECT_UNREACHABLE;
	case -EMFILE: /* we ran out of something: all backends would seem down at once */
	case -ENFILE:
	case -ENOMEM:
	case -ENOBUFS:
	case -ENOSPC:	     /* max_user_watches of epoll */
	case -EADDRNOTAVAIL: /* no local port is free */
		return HEALTH_NOT_CHECKED;
	default:
		return HEALTH_CONNECT_FAILED;
	}
}

void probe_cancel(struct probe *probe)
{
	if (probe->phase == PROBE_IDLE)
		return;
	probe->phase = PROBE_IDLE;
	timer_stop(probe->loop, &probe->timeout);
	loop_remove(probe->loop, &probe->source);
	/* RST: leaves no TIME_WAIT here and no half-closed connection there. */
	socket_close_reset(probe->source.fd);
	if (probe->ops->end)
		probe->ops->end(probe->talk);
	probe->talk = NULL;
}

static void finish(struct probe *probe, enum health_reason reason)
{
	probe_cancel(probe);
	probe->on_done(probe, reason);
}

static void on_timeout(struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timeout);

	finish(probe,
	       probe->phase == PROBE_CONNECTING ? HEALTH_CONNECT_TIMEOUT : HEALTH_ANSWER_TIMEOUT);
}

static void on_ready(struct source *source)
{
	struct probe *probe = container_of(source, struct probe, source);
	enum health_reason reason;
	int err;

	if (probe->phase == PROBE_CONNECTING) {
		if (!(source->ready & LOOP_WRITE))
			return;
		err = socket_connected(source->fd);
		if (err) {
			finish(probe, reason_of_connect(err));
			return;
		}
		probe->phase = PROBE_TALKING;
	}
	reason = probe->ops->step(probe->talk, source);
	if (reason != HEALTH_NOT_CHECKED)
		finish(probe, reason);
	else if (source->ready & LOOP_READ)
		loop_run_again(probe->loop, source);
}

void probe_init(struct probe *probe, struct loop *loop, const struct health_ops *ops,
		void (*on_done)(struct probe *probe, enum health_reason reason))
{
	*probe = (struct probe){.loop = loop, .ops = ops, .on_done = on_done};
	timer_init(&probe->timeout, on_timeout);
}

static int open_probe(struct probe *probe, const struct health_spec *spec, const struct addr *addr)
{
	int fd;
	int err = socket_connect_tcp(addr, &fd);

	if (err)
		return err;
	err = loop_add(probe->loop, &probe->source, fd, on_ready);
	if (err) {
		socket_close_reset(fd);
		return err;
	}
	probe->phase = PROBE_CONNECTING;
	if (probe->ops->begin)
		err = probe->ops->begin(spec, addr, &probe->talk);
	if (err)
		probe_cancel(probe);
	return err;
}

void probe_start(struct probe *probe, const struct health_spec *spec, const struct addr *addr)
{
	int err;

	assert(probe->phase == PROBE_IDLE);
	err = open_probe(probe, spec, addr);
	if (err) {
		probe->on_done(probe, reason_of_connect(err));
		return;
	}
	/* Timers count from the start of the turn, which may be long over when thousands of probes
	 * begin in one: each still gets its whole timeout. */
	timer_start(probe->loop, &probe->timeout,
		    spec->timeout_ms + clock_ms() - loop_now_ms(probe->loop));
}
