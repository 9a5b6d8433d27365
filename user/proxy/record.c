/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/record.h"

#include <stdlib.h>

static struct record *take(struct worker *worker)
{
	struct record *record = worker->free_records;

	if (!record)
		return malloc(sizeof(*record));
	worker->free_records = record->next_free;
	worker->n_free_records--;
	return record;
}

static void give(struct record *record)
{
	struct worker *worker = record->worker;

	free(record->more);
	if (worker->n_free_records >= RECORD_KEEP) {
		free(record);
		return;
	}
	record->next_free = worker->free_records;
	worker->free_records = record;
	worker->n_free_records++;
}

void records_fini(struct worker *worker)
{
	while (worker->free_records) {
		struct record *record = worker->free_records;

		worker->free_records = record->next_free;
		free(record);
	}
	worker->n_free_records = 0;
}

static const struct snapshot_service *service_of(const struct session *session)
{
	const struct snapshot *snapshot = worker_snapshot(session->worker);

	return snapshot ? snapshot_find(snapshot, session->service_id) : NULL;
}

static void copy_name(char to[static RECORD_NAME], const char *from)
{
	size_t len = strnlen(from, RECORD_NAME - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

/* What does not fit is left out: there is no memory. */
static struct slice keep(struct record *record, struct slice text)
{
	size_t room = (record->more ? HTTP_MAX_HEAD : RECORD_TEXT) - record->used;
	char *at = (record->more ? record->more : record->text) + record->used;

	if (text.len > room && !record->more) {
		record->more = malloc(HTTP_MAX_HEAD);
		if (!record->more)
			return SLICE("");
		record->used = 0;
		return keep(record, text);
	}
	if (text.len > room)
		text.len = room;
	if (text.len > 0)
		memcpy(at, text.ptr, text.len);
	record->used += (uint32_t)text.len;
	return (struct slice){at, text.len};
}

static void keep_if(struct record *record, enum access_field field, struct slice text,
		    struct slice *ret_kept)
{
	if (access_log_wants(record->log, field))
		*ret_kept = keep(record, text);
}

static void keep_header(struct record *record, enum access_field field,
			const struct http_head *head, struct slice name)
{
	struct slice *kept =
		field == ACCESS_REFERER ? &record->entry.referer : &record->entry.user_agent;

	if (!access_log_wants(record->log, field))
		return;
	for (unsigned i = 0; i < head->n_headers; i++) {
		if (slice_caseeq(head->headers[i].name, name)) {
			*kept = keep(record, head->headers[i].value);
			return;
		}
	}
}

static void keep_head(struct record *record, const struct http_head *head)
{
	struct access_entry *entry = &record->entry;

	entry->minor = (int)head->minor;
	keep_if(record, ACCESS_METHOD, head->method_text, &entry->method);
	keep_if(record, ACCESS_TARGET, head->target, &entry->target);
	keep_if(record, ACCESS_HOST, head->authority, &entry->host);
	keep_header(record, ACCESS_USER_AGENT, head, SLICE("User-Agent"));
	keep_header(record, ACCESS_REFERER, head, SLICE("Referer"));
}

/* Of bytes that are no request: the first line, or as much of it as there is. */
static void keep_bytes(struct record *record, struct slice bytes)
{
	const char *end = bytes.len ? memchr(bytes.ptr, '\n', bytes.len) : NULL;

	if (end)
		bytes.len = (size_t)(end - bytes.ptr);
	if (bytes.len > 0 && bytes.ptr[bytes.len - 1] == '\r')
		bytes.len--;
	if (bytes.len > RECORD_TEXT)
		bytes.len = RECORD_TEXT;
	record->entry.minor = -1;
	record->entry.request = keep(record, bytes);
}

struct record *record_begin(const struct session *session, const struct channel *channel,
			    const struct http_head *head, uint64_t began_us)
{
	const struct snapshot_service *service = service_of(session);
	struct record *record = service && service->log ? take(session->worker) : NULL;

	if (!record)
		return NULL;
	memset(record, 0, offsetof(struct record, text));
	record->log = service->log;
	record->worker = session->worker;
	copy_name(record->service, service->spec->name);
	record->handed_us = loop_now_us(session->worker->loop);
	record->began_us = began_us ? began_us : record->handed_us;
	record->in_before = channel->received - wire_left(channel->in);
	record->out_before = channel->sent + wire_left(channel->out);
	record->entry = (struct access_entry){
		.client = session->peer,
		.service = record->service,
		.pool = record->pool,
		.backend = record->backend,
		.protocol = "http",
		.queue_us = ACCESS_NO_TIME,
		.connect_us = ACCESS_NO_TIME,
		.first_byte_us = ACCESS_NO_TIME,
		.session = session->id,
	};
	if (head)
		keep_head(record, head);
	else
		keep_bytes(record, wire_slice(channel->in));
	return record;
}

void record_set_request_id(struct record *record, struct slice id)
{
	if (record)
		keep_if(record, ACCESS_REQUEST_ID, id, &record->entry.request_id);
}

void record_set_pool(struct record *record, const char *pool)
{
	if (record)
		copy_name(record->pool, pool);
}

void record_asked(struct record *record, const char *backend)
{
	if (!record)
		return;
	copy_name(record->backend, backend);
	if (record->asked_us)
		record->entry.retries++;
	record->asked_us = loop_now_us(record->worker->loop);
	record->entry.queue_us = (int64_t)(record->asked_us - record->handed_us);
	record->entry.connect_us = ACCESS_NO_TIME;
	record->entry.reused = false;
}

void record_reused(struct record *record)
{
	if (!record)
		return;
	record->entry.connect_us = 0;
	record->entry.reused = true;
}

static uint64_t since(const struct record *record, uint64_t us)
{
	return loop_now_us(record->worker->loop) - us;
}

void record_connected(struct record *record)
{
	if (record)
		record->entry.connect_us = (int64_t)since(record, record->asked_us);
}

void record_answered(struct record *record, bool tunnel)
{
	if (!record)
		return;
	record->entry.first_byte_us =
		(int64_t)since(record, record->asked_us) - record->entry.connect_us;
	if (tunnel)
		record->entry.protocol = "tunnel";
}

void record_end(struct record *record, const struct channel *channel, unsigned status,
		const char *why)
{
	/* Bytes that are no request belong to nothing else. */
	uint64_t left = record && record->entry.minor < 0 ? 0 : wire_left(channel->in);

	if (!record)
		return;
	record->entry.status = status;
	record->entry.reason = why;
	record->entry.total_us = (int64_t)since(record, record->began_us);
	record->entry.bytes_in = channel->received - left - record->in_before;
	record->entry.bytes_out = channel->sent + wire_left(channel->out) - record->out_before;
	access_log_write(record->log, record->worker->log_ring, &record->entry);
	give(record);
}

void record_connection(const struct session *session, const struct access_log *log,
		       const char *service, struct access_entry *entry)
{
	if (!log)
		return;
	entry->client = session->peer;
	entry->service = service;
	entry->session = session->id;
	entry->minor = -1;
	access_log_write(log, session->worker->log_ring, entry);
}

void record_turned_away(const struct session *session, const char *why)
{
	const struct snapshot_service *service = service_of(session);
	struct access_entry entry = {
		.pool = "",
		.backend = "",
		.reason = why,
		.queue_us = ACCESS_NO_TIME,
		.connect_us = ACCESS_NO_TIME,
		.first_byte_us = ACCESS_NO_TIME,
	};

	if (!service)
		return;
	entry.protocol = service->spec->protocol == PROTOCOL_HTTP ? "http" : "relay";
	entry.total_us = (int64_t)(loop_now_ms(session->worker->loop) - session->opened_ms) * 1000;
	record_connection(session, service->log, service->spec->name, &entry);
}
