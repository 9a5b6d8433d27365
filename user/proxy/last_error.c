/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/last_error.h"

#include <stdlib.h>

#include "base/clock.h"

static struct last_error *find(struct worker *worker, uint32_t service_id, bool response)
{
	list_for_each (node, &worker->errors) {
		struct last_error *error = container_of(node, struct last_error, node);

		if (error->service_id == service_id && error->response == response)
			return error;
	}
	return NULL;
}

static struct last_error *find_or_make(struct worker *worker, uint32_t service_id, bool response)
{
	struct last_error *error = find(worker, service_id, response);

	if (error)
		return error;
	error = calloc(1, sizeof(*error));
	if (!error)
		return NULL;
	error->service_id = service_id;
	error->response = response;
	list_append(&worker->errors, &error->node);
	return error;
}

/* The byte that is wrong is in the second half, with what led to it in front. */
static void keep_excerpt(struct last_error *error, struct slice bytes, size_t offset)
{
	size_t first = 0;

	if (offset > bytes.len)
		offset = bytes.len;
	if (bytes.len > LAST_ERROR_EXCERPT && offset > LAST_ERROR_EXCERPT * 3 / 4)
		first = offset - LAST_ERROR_EXCERPT * 3 / 4;
	if (bytes.len > LAST_ERROR_EXCERPT && first > bytes.len - LAST_ERROR_EXCERPT)
		first = bytes.len - LAST_ERROR_EXCERPT;
	error->offset = offset;
	error->first = first;
	error->len = bytes.len - first < LAST_ERROR_EXCERPT ? (uint32_t)(bytes.len - first)
							    : LAST_ERROR_EXCERPT;
	if (error->len > 0)
		memcpy(error->excerpt, bytes.ptr + first, error->len);
}

void last_error_note(struct worker *worker, const struct noted_error *noted)
{
	struct last_error *error = find_or_make(worker, noted->service_id, noted->backend != NULL);
	size_t len = noted->backend ? strnlen(noted->backend, LAST_ERROR_NAME - 1) : 0;

	if (!error)
		return;
	error->count++;
	error->wall_ms = clock_wall_ms();
	error->peer = noted->peer;
	if (len > 0)
		memcpy(error->backend, noted->backend, len);
	error->backend[len] = '\0';
	error->status = noted->backend ? 502 : noted->refusal.status;
	error->reason = noted->refusal.reason;
	keep_excerpt(error, noted->bytes, noted->refusal.offset);
}

void last_errors_fini(struct worker *worker)
{
	if (!worker->errors.next) /* it has never started */
		return;
	list_for_each_safe (node, &worker->errors)
		free(container_of(node, struct last_error, node));
	list_init(&worker->errors);
}
