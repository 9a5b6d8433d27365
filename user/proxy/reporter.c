/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/reporter.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "proxy/worker.h"

/* An eventfd and not a mail, which could not be taken back when the proxy ends before its loop. */
struct reporter {
	struct loop *loop;
	struct source source;
	int fd;
	atomic_bool sent; /* the control thread was told and has not looked yet */
	uint64_t dropped;
	void (*fn)(void *ctx, const struct pool_report *report);
	void *ctx;
	struct report_queue queue;
};

static void on_told(struct source *source)
{
	struct reporter *reporter = container_of(source, struct reporter, source);
	uint64_t dropped = atomic_load(&reporter->queue.dropped);
	struct pool_report report;
	uint64_t times;

	source->ready &= ~(unsigned)LOOP_READ;
	(void)!read(reporter->fd, &times, sizeof(times));
	/* Before the first is taken: who puts one after the last was taken tells again. */
	atomic_store(&reporter->sent, false);
	for (int i = 0; i < REPORT_QUEUE_SIZE && report_take(&reporter->queue, &report); i++) {
		if (reporter->fn)
			reporter->fn(reporter->ctx, &report);
	}
	if (dropped > reporter->dropped)
		log_warning("%llu reports of failing backends were dropped: there were too many",
			    (unsigned long long)(dropped - reporter->dropped));
	reporter->dropped = dropped;
}

int reporter_new(struct loop *loop, struct reporter **ret_reporter)
{
	struct reporter *reporter = calloc(1, sizeof(*reporter));
	int err;

	if (!reporter)
		return -ENOMEM;
	reporter->loop = loop;
	report_queue_init(&reporter->queue);
	reporter->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = reporter->fd < 0 ? -errno : loop_add(loop, &reporter->source, reporter->fd, on_told);
	if (err < 0) {
		if (reporter->fd >= 0)
			close(reporter->fd);
		free(reporter);
		return err;
	}
	*ret_reporter = reporter;
	return 0;
}

void reporter_free(struct reporter *reporter)
{
	if (!reporter)
		return;
	loop_remove(reporter->loop, &reporter->source);
	close(reporter->fd);
	free(reporter);
}

void reporter_tell(struct reporter *reporter,
		   void (*fn)(void *ctx, const struct pool_report *report), void *ctx)
{
	reporter->fn = fn;
	reporter->ctx = ctx;
}

uint64_t reporter_dropped(const struct reporter *reporter)
{
	return atomic_load(&reporter->queue.dropped);
}

void reporter_say(struct worker *worker, uint16_t backend, const char *why)
{
	static const uint64_t one = 1;
	struct reporter *reporter = worker->shared->reporter;
	struct pool_report report = {
		.backend = backend, .reason = why, .at_ms = loop_now_ms(worker->loop)};

	if (!report_put(&reporter->queue, &report))
		return;
	if (!atomic_exchange(&reporter->sent, true))
		(void)!write(reporter->fd, &one, sizeof(one));
}
