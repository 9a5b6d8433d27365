/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/request_id.h"

#include "base/hex.h"
#include "base/random.h"
#include "http/token.h"

static bool is_lower_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!byte_is(text[i], BYTE_HEX) || (text[i] >= 'A' && text[i] <= 'F'))
			return false;
	return true;
}

static bool all_zero(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != '0')
			return false;
	return true;
}

/* W3C Trace Context section 3.2: version "-" trace-id "-" parent-id "-" flags; later versions may
 * append fields. */
bool traceparent_valid(struct slice text)
{
	const char *c = text.ptr;
	bool first;

	if (text.len < TRACEPARENT_LEN || c[2] != '-' || c[35] != '-' || c[52] != '-')
		return false;
	first = memcmp(c, "00", 2) == 0;
	if (memcmp(c, "ff", 2) == 0 || (first && text.len > TRACEPARENT_LEN))
		return false;
	if (text.len > TRACEPARENT_LEN && c[TRACEPARENT_LEN] != '-')
		return false;
	return is_lower_hex(c, 2) && is_lower_hex(c + 3, 32) && is_lower_hex(c + 36, 16) &&
	       is_lower_hex(c + 53, 2) && !all_zero(c + 3, 32) && !all_zero(c + 36, 16);
}

/* Visible ASCII without what would end it in a log, a list or a quoted string. */
static bool id_valid(struct slice text)
{
	if (text.len == 0 || text.len > REQUEST_ID_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || strchr("\",;\\", text.ptr[i]))
			return false;
	return true;
}

/* The one header of that id with a valid value; all of them are withheld if there is none. */
static struct slice take(struct http_head *head, enum http_header_id id,
			 bool (*valid)(struct slice))
{
	struct http_header *found = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < head->n_headers; i++) {
		if (head->headers[i].id != id || head->headers[i].hop)
			continue;
		found = &head->headers[i];
		n++;
	}
	if (n == 1 && valid(found->value))
		return found->value;
	for (unsigned i = 0; n > 0 && i < head->n_headers; i++)
		if (head->headers[i].id == id)
			head->headers[i].hop = true;
	return (struct slice){NULL, 0};
}

/* Section 4.3: what belongs to a trace that was not understood goes with it. */
static void withhold_state(struct http_head *head)
{
	for (unsigned i = 0; i < head->n_headers; i++)
		if (slice_caseeq(head->headers[i].name, SLICE("tracestate")))
			head->headers[i].hop = true;
}

static void make_trace(struct request_id *names)
{
	memcpy(names->made, "00-", 3);
	hex_write(random_u64() | 1, names->made + 3);
	hex_write(random_u64(), names->made + 19);
	names->made[35] = '-';
	hex_write(random_u64() | 1, names->made + 36);
	memcpy(names->made + 52, "-00", 3);
	names->trace = (struct slice){names->made, TRACEPARENT_LEN};
	names->made_trace = true;
}

void request_id_take(struct request_id *names, struct http_head *head)
{
	names->made_id = names->made_trace = false;
	names->trace = take(head, HTTP_H_TRACEPARENT, traceparent_valid);
	names->id = take(head, HTTP_H_X_REQUEST_ID, id_valid);
	if (!names->trace.ptr) {
		withhold_state(head);
		make_trace(names);
	}
	if (names->id.ptr)
		return;
	names->made_id = true;
	if (names->made_trace) {
		names->id = (struct slice){names->made + 3, REQUEST_ID_MADE};
		return;
	}
	hex_write(random_u64(), names->made_alone);
	hex_write(random_u64(), names->made_alone + 16);
	names->id = (struct slice){names->made_alone, REQUEST_ID_MADE};
}
