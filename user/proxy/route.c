/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/route.h"

#include <errno.h>

#include "proxy/path.h"

/* What of a request routes look at. */
struct question {
	struct slice host;
	struct slice path;
	const struct http_head *head;
};

struct slice route_host(struct slice authority)
{
	size_t len = authority.len;

	while (len > 0 && authority.ptr[len - 1] >= '0' && authority.ptr[len - 1] <= '9')
		len--;
	if (len > 0 && authority.ptr[len - 1] == ':')
		authority.len = len - 1;
	if (authority.len > 0 && authority.ptr[authority.len - 1] == '.')
		authority.len--;
	return authority;
}

static bool method_fits(const struct route_rule *rule, const struct http_head *head)
{
	const struct route_spec *spec = rule->spec;

	if (rule->methods == 0)
		return true;
	if (!(rule->methods & 1U << head->method))
		return false;
	if (head->method != HTTP_OTHER)
		return true;
	for (uint32_t i = 0; i < spec->n_methods; i++)
		if (slice_eq(slice_of(spec->methods[i]), head->method_text))
			return true;
	return false;
}

static bool fits(const struct route_rule *rule, const struct question *question)
{
	const struct route_spec *spec = rule->spec;

	return route_host_fits(slice_of(spec->host), question->host) &&
	       (!spec->path[0] || slice_starts(question->path, slice_of(spec->path))) &&
	       method_fits(rule, question->head);
}

static int look(const struct route_table *table, const struct question *question)
{
	const struct route_list *list = route_table_list(table, question->host);
	uint32_t n = list ? list->n : table->spec->n_routes;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = list ? table->order[list->first + i] : i;

		if (fits(&table->rules[at], question))
			return (int)at;
	}
	return -ENOENT;
}

int route_find_host(const struct route_table *table, struct slice host)
{
	static const struct http_head none;
	struct question question = {.host = host, .head = &none};

	return look(table, &question);
}

int route_find(const struct route_table *table, const struct http_head *head)
{
	struct question question = {.host = route_host(head->authority), .head = head};
	char clean[HTTP_MAX_LINE];

	if (table->paths)
		question.path = path_clean(path_of(head->target), clean);
	return look(table, &question);
}
