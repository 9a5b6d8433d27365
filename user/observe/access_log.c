/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/access_log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "observe/escape.h"
#include "observe/log_writer.h"

struct access_log {
	struct access_log *next;
	enum access_log_kind kind;
	char *text; /* of the format */
	struct format format;
	uint64_t wants; /* bits by enum access_field */
	uint32_t file;
};

_Static_assert(ACCESS_FIELDS <= 64, "one bit each");

/* Those that were ever opened; the control thread's. */
static struct access_log *logs;

/* ---- Values ---------------------------------------------------------------------------------- */

struct value {
	enum { VALUE_NONE, VALUE_TEXT, VALUE_NUMBER, VALUE_US, VALUE_BOOL } kind;
	struct slice text;
	uint64_t number;
	char room[ADDR_TEXT_LEN]; /* for <text>, where nobody else has it */
};

static void set_text(struct value *value, struct slice text)
{
	value->kind = text.len ? VALUE_TEXT : VALUE_NONE;
	value->text = text;
}

static void set_number(struct value *value, uint64_t number)
{
	value->kind = VALUE_NUMBER;
	value->number = number;
}

static void set_us(struct value *value, int64_t us)
{
	value->kind = us < 0 ? VALUE_NONE : VALUE_US;
	value->number = (uint64_t)us;
}

/* Of most lines the second is the one of the line before. */
static void set_time(struct value *value, int64_t us, bool clf)
{
	static _Thread_local struct {
		time_t second;
		char iso[32], clf[32];
	} last = {.second = -1};
	time_t second = (time_t)(us / 1000000);
	size_t len;

	if (second != last.second) {
		struct tm tm;

		(void)gmtime_r(&second, &tm);
		(void)strftime(last.iso, sizeof(last.iso), "%Y-%m-%dT%H:%M:%S", &tm);
		(void)strftime(last.clf, sizeof(last.clf), "%d/%b/%Y:%H:%M:%S +0000", &tm);
		last.second = second;
	}
	len = strlen(clf ? last.clf : last.iso);
	memcpy(value->room, clf ? last.clf : last.iso, len);
	if (!clf) {
		unsigned ms = (unsigned)(us / 1000 % 1000);

		value->room[len++] = '.';
		value->room[len++] = (char)('0' + ms / 100);
		value->room[len++] = (char)('0' + ms / 10 % 10);
		value->room[len++] = (char)('0' + ms % 10);
		value->room[len++] = 'Z';
	}
	set_text(value, (struct slice){value->room, len});
}

static void set_moment(struct value *value, const struct access_entry *entry, int64_t end_us,
		       enum access_field field)
{
	int64_t us = end_us - (entry->total_us > 0 ? entry->total_us : 0);

	set_time(value, us, field == ACCESS_TIME_CLF);
}

static void set_timer(struct value *value, const struct access_entry *entry,
		      enum access_field field)
{
	const int64_t timers[] = {entry->queue_us, entry->connect_us, entry->first_byte_us,
				  entry->total_us};

	set_us(value, timers[field - ACCESS_QUEUE_MS]);
}

static void set_client(struct value *value, const struct access_entry *entry,
		       enum access_field field)
{
	if (field == ACCESS_CLIENT)
		set_text(value, slice_of(addr_format(&entry->client, value->room)));
	else if (field == ACCESS_CLIENT_IP)
		set_text(value, slice_of(addr_format_ip(&entry->client, value->room)));
	else
		set_number(value, ntohs(entry->client.port));
}

static void set_version(struct value *value, int minor)
{
	if (minor == 0)
		set_text(value, SLICE("HTTP/1.0"));
	else if (minor > 0)
		set_text(value, SLICE("HTTP/1.1"));
}

static void set_word(struct value *value, const struct access_entry *entry, enum access_field field)
{
	const char *const words[] = {
		[ACCESS_SERVICE] = entry->service,   [ACCESS_POOL] = entry->pool,
		[ACCESS_BACKEND] = entry->backend,   [ACCESS_REASON] = entry->reason,
		[ACCESS_PROTOCOL] = entry->protocol,
	};

	set_text(value, slice_of(words[field]));
}

static void set_count(struct value *value, const struct access_entry *entry,
		      enum access_field field)
{
	if (field == ACCESS_STATUS)
		set_number(value, entry->status);
	else if (field == ACCESS_BYTES_IN)
		set_number(value, entry->bytes_in);
	else if (field == ACCESS_BYTES_OUT)
		set_number(value, entry->bytes_out);
	else if (field == ACCESS_RETRIES)
		set_number(value, entry->retries);
	else
		set_number(value, entry->session);
}

static void set_said(struct value *value, const struct access_entry *entry, enum access_field field)
{
	switch (field) {
	case ACCESS_METHOD:
		set_text(value, entry->method);
		break;
	case ACCESS_TARGET:
		set_text(value, entry->target);
		break;
	case ACCESS_HOST:
		set_text(value, entry->host);
		break;
	case ACCESS_REQUEST_ID:
		set_text(value, entry->request_id);
		break;
	case ACCESS_USER_AGENT:
		set_text(value, entry->user_agent);
		break;
	case ACCESS_REFERER:
		set_text(value, entry->referer);
		break;
	default:
		set_text(value, entry->request);
	}
}

static void value_of(const struct access_entry *entry, enum access_field field, int64_t end_us,
		     struct value *value)
{
	value->kind = VALUE_NONE;
	switch (field) {
	case ACCESS_TIME:
	case ACCESS_TIME_CLF:
		set_moment(value, entry, end_us, field);
		break;
	case ACCESS_CLIENT:
	case ACCESS_CLIENT_IP:
	case ACCESS_CLIENT_PORT:
		set_client(value, entry, field);
		break;
	case ACCESS_SERVICE:
	case ACCESS_POOL:
	case ACCESS_BACKEND:
	case ACCESS_PROTOCOL:
	case ACCESS_REASON:
		set_word(value, entry, field);
		break;
	case ACCESS_VERSION:
		set_version(value, entry->minor);
		break;
	case ACCESS_STATUS:
	case ACCESS_BYTES_IN:
	case ACCESS_BYTES_OUT:
	case ACCESS_RETRIES:
	case ACCESS_SESSION:
		set_count(value, entry, field);
		break;
	case ACCESS_QUEUE_MS:
	case ACCESS_CONNECT_MS:
	case ACCESS_FIRST_BYTE_MS:
	case ACCESS_TOTAL_MS:
		set_timer(value, entry, field);
		break;
	case ACCESS_REUSED:
		value->kind = *entry->backend ? VALUE_BOOL : VALUE_NONE;
		value->number = entry->reused;
		break;
	default:
		set_said(value, entry, field);
	}
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void put_us(struct http_writer *w, uint64_t us)
{
	char part[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
			(char)('0' + us % 10)};

	http_put_number(w, us / 1000);
	http_put(w, (struct slice){part, sizeof(part)});
}

static void put_plain(struct http_writer *w, const struct value *value, bool json)
{
	if (value->kind == VALUE_NUMBER)
		http_put_number(w, value->number);
	else if (value->kind == VALUE_US)
		put_us(w, value->number);
	else if (value->kind == VALUE_BOOL && json)
		http_put(w, value->number ? SLICE("true") : SLICE("false"));
	else if (value->kind == VALUE_BOOL)
		http_put(w, value->number ? SLICE("yes") : SLICE("no"));
	else
		http_put(w, json ? SLICE("null") : SLICE("-"));
}

/* A request line as it came, or what there is instead of one. */
static void put_request(struct http_writer *w, const struct access_entry *entry)
{
	struct value version = {.kind = VALUE_NONE};

	if (!entry->target.len) {
		escape_text(w, entry->request.len ? entry->request : SLICE("-"), ACCESS_MAX_VALUE);
		return;
	}
	escape_text(w, entry->method, ACCESS_MAX_VALUE);
	http_put(w, SLICE(" "));
	escape_text(w, entry->target, ACCESS_MAX_VALUE);
	http_put(w, SLICE(" "));
	set_version(&version, entry->minor);
	http_put(w, version.text);
}

static void put_text_line(const struct access_log *log, const struct access_entry *entry,
			  int64_t end_us, struct http_writer *w)
{
	for (uint32_t i = 0; i < log->format.n_parts; i++) {
		const struct format_part *part = &log->format.parts[i];
		struct value value;

		http_put(w, part->literal);
		if (part->field < 0)
			continue;
		if (part->field == ACCESS_REQUEST) {
			put_request(w, entry);
			continue;
		}
		value_of(entry, (enum access_field)part->field, end_us, &value);
		if (value.kind == VALUE_TEXT)
			escape_text(w, value.text, ACCESS_MAX_VALUE);
		else
			put_plain(w, &value, false);
	}
}

/* Without what other fields have. */
static bool in_json(enum access_field field)
{
	return field != ACCESS_TIME_CLF && field != ACCESS_CLIENT_IP && field != ACCESS_CLIENT_PORT;
}

static void put_json_line(const struct access_entry *entry, int64_t end_us, struct http_writer *w)
{
	for (int field = 0; field < ACCESS_FIELDS; field++) {
		struct value value;

		if (!in_json((enum access_field)field))
			continue;
		http_put(w, field == 0 ? SLICE("{\"") : SLICE(",\""));
		http_put(w, slice_of(access_fields.names[field]));
		http_put(w, SLICE("\":"));
		value_of(entry, (enum access_field)field, end_us, &value);
		if (value.kind != VALUE_TEXT) {
			put_plain(w, &value, true);
			continue;
		}
		http_put(w, SLICE("\""));
		escape_json(w, value.text, ACCESS_MAX_VALUE);
		http_put(w, SLICE("\""));
	}
	http_put(w, SLICE("}"));
}

void access_log_put(const struct access_log *log, const struct access_entry *entry, int64_t end_us,
		    struct http_writer *w)
{
	if (log->kind == ACCESS_LOG_JSON)
		put_json_line(entry, end_us, w);
	else
		put_text_line(log, entry, end_us, w);
}

void access_log_write(const struct access_log *log, struct log_ring *ring,
		      const struct access_entry *entry)
{
	struct http_writer w = {.size = LOG_MAX_LINE - 1};
	struct timespec now;

	w.ptr = ring ? log_ring_begin(ring) : NULL;
	if (!w.ptr)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	access_log_put(log, entry, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000, &w);
	w.ptr[w.len++] = '\n';
	log_ring_end(ring, log->file, w.len);
	log_writer_wake();
}

bool access_log_wants(const struct access_log *log, enum access_field field)
{
	return log->wants & 1ULL << field;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static const struct access_log *find(const struct access_log_spec *spec, uint32_t file)
{
	for (const struct access_log *log = logs; log; log = log->next) {
		if (log->kind == spec->kind && log->file == file &&
		    strcmp(log->text, spec->format ? spec->format : "") == 0)
			return log;
	}
	return NULL;
}

static void free_log(struct access_log *log)
{
	format_fini(&log->format);
	free(log->text);
	free(log);
}

static uint64_t wanted(const struct access_log *log)
{
	uint64_t wants = 0;

	if (log->kind == ACCESS_LOG_JSON)
		return UINT64_MAX;
	for (uint32_t i = 0; i < log->format.n_parts; i++) {
		if (log->format.parts[i].field >= 0)
			wants |= 1ULL << log->format.parts[i].field;
	}
	if (wants & 1ULL << ACCESS_REQUEST)
		wants |= 1ULL << ACCESS_METHOD | 1ULL << ACCESS_TARGET;
	return wants;
}

static int make(const struct access_log_spec *spec, struct access_log **ret_log, struct error *err)
{
	struct access_log *log = calloc(1, sizeof(*log));
	int r;

	if (!log) {
		(void)error_set(err, -ENOMEM, "access-log", "out of memory");
		return -ENOMEM;
	}
	log->kind = spec->kind;
	log->text = strdup(spec->format ? spec->format : "");
	r = log->text ? format_compile(slice_of(log->text), &access_fields, &log->format, err)
		      : error_set(err, -ENOMEM, "access-log", "out of memory");
	if (r < 0) {
		free_log(log);
		return r;
	}
	log->wants = wanted(log);
	*ret_log = log;
	return 0;
}

int access_log_open(const struct access_log_spec *spec, const struct access_log **ret_log,
		    struct error *err)
{
	struct access_log *log = NULL;
	uint32_t file;
	int r;

	*ret_log = NULL;
	if (spec->kind == ACCESS_LOG_NONE)
		return 0;
	r = log_writer_open(spec->file ? spec->file : LOG_STDERR, &file, err);
	if (r < 0)
		return r;
	*ret_log = find(spec, file);
	if (*ret_log)
		return 0;
	r = make(spec, &log, err);
	if (r < 0)
		return r;
	log->file = file;
	log->next = logs;
	logs = log;
	*ret_log = log;
	return 0;
}

void access_log_use(const struct access_log *log)
{
	if (log)
		log_writer_use(log->file);
}

void access_log_fini(void)
{
	while (logs) {
		struct access_log *log = logs;

		logs = log->next;
		free_log(log);
	}
}
