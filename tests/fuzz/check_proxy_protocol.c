/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Headers of the PROXY protocol. */
#include <errno.h>
#include <stdio.h>

#include "../unit/http/guard.h"
#include "check.h"
#include "proxy/proxy_protocol.h"

struct reading {
	ssize_t n;
	struct proxied proxied;
	struct proxied_refusal refusal;
};

static struct reading read_header(struct slice in)
{
	struct reading reading = {0};

	reading.n = proxy_protocol_parse(guard_copy(in), &reading.proxied, &reading.refusal);
	return reading;
}

static bool same_addr(const struct addr *a, const struct addr *b)
{
	return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->port == b->port;
}

static bool same(const struct proxied *a, const struct proxied *b)
{
	return a->known == b->known &&
	       (!a->known || (same_addr(&a->from, &b->from) && same_addr(&a->to, &b->to)));
}

static bool cut_at(struct slice in, size_t cut, const struct reading *whole, struct check *check)
{
	struct reading part = read_header((struct slice){in.ptr, cut});

	if (part.n == 0 && (whole->n <= 0 || cut < (size_t)whole->n))
		return true;
	if (part.n != whole->n)
		return check_fails(check, "the first %zu bytes: %zd %s, all: %zd %s", cut, part.n,
				   part.n < 0 ? part.refusal.reason : "", whole->n,
				   whole->n < 0 ? whole->refusal.reason : "");
	if (part.n < 0 && (strcmp(part.refusal.reason, whole->refusal.reason) != 0 ||
			   part.refusal.at != whole->refusal.at))
		return check_fails(check, "the first %zu bytes: %s at %zu, all: %s at %zu", cut,
				   part.refusal.reason, part.refusal.at, whole->refusal.reason,
				   whole->refusal.at);
	if (part.n > 0 && !same(&part.proxied, &whole->proxied))
		return check_fails(check, "other addresses from %zu bytes", cut);
	return true;
}

static bool survives_writing(const struct proxied *proxied, struct check *check)
{
	char out[PROXY_PROTOCOL_ROOM];

	for (unsigned version = 1; version <= 2; version++) {
		size_t len = proxy_protocol_write(version, &proxied->from, &proxied->to, out);
		struct reading again = read_header((struct slice){out, len});

		if (again.n != (ssize_t)len || !same(&again.proxied, proxied))
			return check_fails(check, "version %u does not survive: %zd of %zu",
					   version, again.n, len);
	}
	return true;
}

bool check_proxy_protocol(struct slice in, struct check *check)
{
	struct reading whole;

	if (in.len > CHECK_MAX)
		return true;
	whole = read_header(in);
	if (whole.n > (ssize_t)in.len || (whole.n < 0 && whole.n != -EBADMSG))
		return check_fails(check, "%zd of %zu bytes", whole.n, in.len);
	if (whole.n < 0 && whole.refusal.at > in.len)
		return check_fails(check, "refused at %zu of %zu", whole.refusal.at, in.len);
	for (size_t cut = 0; cut < in.len && cut < 2 * PROXY_PROTOCOL_ROOM; cut++) {
		if (!cut_at(in, cut, &whole, check))
			return false;
	}
	for (unsigned i = 0; i < 4; i++) {
		if (in.len > 0 && !cut_at(in, check_cut(in, i, in.len), &whole, check))
			return false;
	}
	return whole.n <= 0 || !whole.proxied.known || survives_writing(&whole.proxied, check);
}
