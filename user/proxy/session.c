/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/session.h"

#include <stdatomic.h>

#include "proxy/worker.h"

/* Shared by all workers: one addition for each connection. */
static _Atomic uint64_t last_id;

void session_number_from(uint64_t last)
{
	atomic_store(&last_id, last);
}

void session_init(struct session *session, const struct session_ops *ops,
		  const struct arrival *arrival)
{
	list_init(&session->node);
	session->ops = ops;
	session->worker = arrival->worker;
	session->counts = arrival->counts;
	session->listener = arrival->listener;
	session->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
	session->opened_ms = loop_now_ms(arrival->worker->loop);
	session->active_ms = session->opened_ms;
	session->service_id = arrival->service_id;
	session->peer = arrival->peer;
	session->local = arrival->local;
	session->of_source = arrival->of_source;
}
