/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Clients that stay at their backend, by a cookie.
 *
 * For: client_request.c, attempt.c. Owns: nothing. May know: http, the spec, pools' views.
 * The cookie holds the backend's token in hex: it tells nothing of the address, and any lbd with
 * the same names understands it. A cookie that names no backend one may be sent to is as none.
 */
#ifndef PROXY_STICKY_H
#define PROXY_STICKY_H

#include "base/hex.h"
#include "http/message.h"
#include "proxy/buffer_pool.h"
#include "proxy/snapshot.h"

#define STICKY_TOKEN_LEN HEX_LEN

/* The token in the request's cookie; 0: none. */
uint64_t sticky_read(const struct sticky_spec *spec, const struct http_head *head);
struct slice sticky_write(uint64_t token, char text[static STICKY_TOKEN_LEN]);
/* Who belongs where. */
struct sticky_ask {
	uint64_t token;
	uint64_t now_ms;   /* monotonic */
	uint32_t drain_ms; /* how long a backend that drains keeps its clients */
};

/* The backend of that token, if the client may still go there; NULL: none. */
const struct view_member *sticky_member(const struct snapshot_pool *pool,
					const struct sticky_ask *ask);
/* Which of these pools has it: an index into the snapshot's; -1: none. */
int sticky_pool(const struct snapshot *snapshot, const uint32_t *pools, uint32_t n,
		const struct sticky_ask *ask);
/* Notes for the response that it sets the cookie if the backend is another (reply_edit.h). 0 or
 * -EMSGSIZE. */
int sticky_note(const struct sticky_spec *spec, struct wire *out);

#endif
