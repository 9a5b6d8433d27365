/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One probe: connects, lets the check type talk, and says one reason.
 *
 * For: check.c, and the types tcp.c and http.c. Owns: the socket, the timeout, the type's state.
 * May know: base, net, http. Must never know: what a reason leads to.
 */
#ifndef HEALTH_PROBE_H
#define HEALTH_PROBE_H

#include "health/health.h"

/*
 * A check type. <begin> makes what one probe keeps (NULL is fine where nothing is kept). <step> is
 * called when the connection stands and whenever it is ready again: it reads and writes at most
 * once, clears ready bits, and returns HEALTH_NOT_CHECKED to go on, else the verdict.
 */
struct health_ops {
	int (*begin)(const struct health_spec *spec, const struct addr *addr, void **ret_talk);
	enum health_reason (*step)(void *talk, struct source *source);
	void (*end)(void *talk); /* NULL is fine */
};

extern const struct health_ops health_tcp_ops;
extern const struct health_ops health_http_ops;
const struct health_ops *health_ops_find(enum health_type type); /* NULL: nothing to probe */

enum probe_phase {
	PROBE_IDLE,	  /* no socket */
	PROBE_CONNECTING, /* SYN sent */
	PROBE_TALKING,	  /* connected; the type decides */
};

struct probe {
	struct loop *loop;
	const struct health_ops *ops;
	enum probe_phase phase;
	struct source source;
	struct timer timeout;
	void *talk;
	/* HEALTH_NOT_CHECKED: our own side failed, which says nothing about the backend. The
	 * probe is idle by then and may be ended with all around it. */
	void (*on_done)(struct probe *probe, enum health_reason reason);
};

void probe_init(struct probe *probe, struct loop *loop, const struct health_ops *ops,
		void (*on_done)(struct probe *probe, enum health_reason reason));
/* On an idle probe. May call on_done before it returns: the last thing it does. */
void probe_start(struct probe *probe, const struct health_spec *spec, const struct addr *addr);
void probe_cancel(struct probe *probe); /* without a call; idle is fine */

#endif
