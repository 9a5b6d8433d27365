/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/api.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

#define CONNECT_TIMEOUT_MS 2000L
#define ANSWER_TIMEOUT_MS  60000L
#define MAX_ANSWER	   (64U << 20)

static CURL *connection;
static struct curl_slist *headers; /* of the request that runs */

void api_close(void)
{
	curl_easy_cleanup(connection);
	connection = NULL;
}

/* RFC 3986 section 3.3, less what has a meaning in a query. */
static void escape(struct buffer *path, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("-._~:@", c))
			buffer_append(path, text, 1);
		else
			buffer_print(path, "%%%02X", c);
	}
}

void path_segment(struct buffer *path, const char *text)
{
	buffer_append(path, "/", 1);
	escape(path, text);
}

void path_query(struct buffer *path, const char *key, const char *value)
{
	buffer_print(path, "%c%s=", path->ptr && strchr(path->ptr, '?') ? '&' : '?', key);
	escape(path, value);
}

static size_t keep(char *data, size_t size, size_t count, void *ctx)
{
	struct buffer *answer = ctx;

	if (answer->len + size * count > MAX_ANSWER)
		return 0;
	buffer_append(answer, data, size * count);
	return answer->failed ? 0 : size * count;
}

/* A connection that is set up but for what becomes of the answer; <headers> are to be freed. */
static CURLcode prepare(const struct call *call, const char *method, const char *path)
{
	struct buffer url = {0};

	if (!connection)
		connection = curl_easy_init();
	if (!connection)
		return CURLE_FAILED_INIT;
	curl_easy_reset(connection);
	buffer_print(&url, "http://lbd%s", path);
	if (url.failed)
		return CURLE_OUT_OF_MEMORY;
	headers = curl_slist_append(NULL, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	(void)curl_easy_setopt(connection, CURLOPT_UNIX_SOCKET_PATH, call->socket);
	(void)curl_easy_setopt(connection, CURLOPT_URL, url.ptr);
	(void)curl_easy_setopt(connection, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(connection, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_setopt(connection, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(connection, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(connection, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	buffer_fini(&url);
	return CURLE_OK;
}

static CURLcode send_request(const struct call *call, const char *method, const char *path,
			     const char *body, struct buffer *answer)
{
	CURLcode r = prepare(call, method, path);

	if (r != CURLE_OK)
		return r;
	(void)curl_easy_setopt(connection, CURLOPT_TIMEOUT_MS, ANSWER_TIMEOUT_MS);
	(void)curl_easy_setopt(connection, CURLOPT_WRITEFUNCTION, keep);
	(void)curl_easy_setopt(connection, CURLOPT_WRITEDATA, answer);
	if (body)
		(void)curl_easy_setopt(connection, CURLOPT_POSTFIELDS, body);
	r = curl_easy_perform(connection);
	curl_slist_free_all(headers);
	headers = NULL;
	return r;
}

static enum cli_exit unreachable(const struct call *call, CURLcode code)
{
	long os_error = 0;

	if (connection)
		(void)curl_easy_getinfo(connection, CURLINFO_OS_ERRNO, &os_error);
	if (code == CURLE_COULDNT_CONNECT)
		complain("cannot reach lbd at '%s': %s: is lbd running?", call->socket,
			 os_error ? strerror((int)os_error) : curl_easy_strerror(code));
	else
		complain("lbd at '%s' does not answer: %s", call->socket, curl_easy_strerror(code));
	return CLI_UNREACHABLE;
}

static enum cli_exit refused(const struct call *call, long status, json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *field = json_string_value(json_object_get(error, "field"));

	if (call->json && answer) {
		(void)json_dumpf(answer, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	}
	if (!message)
		complain("lbd answered with status %ld and no reason", status);
	else if (field && *field)
		complain("%s (%s)", message, field);
	else
		complain("%s", message);
	json_decref(answer);
	return CLI_REFUSED;
}

static enum cli_exit understand(const struct call *call, const struct buffer *text,
				json_t **ret_answer)
{
	long status = 0;
	json_error_t error;
	json_t *answer;

	(void)curl_easy_getinfo(connection, CURLINFO_RESPONSE_CODE, &status);
	answer = text->len > 0 ? json_loadb(text->ptr, text->len, 0, &error) : json_object();
	if (status < 200 || status > 299)
		return refused(call, status, answer);
	if (!answer) {
		complain("lbd's answer is not JSON: %s", error.text);
		return CLI_REFUSED;
	}
	*ret_answer = answer;
	return CLI_DONE;
}

enum cli_exit api_call(const struct call *call, const char *method, const char *path, json_t *body,
		       json_t **ret_answer)
{
	char *body_text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct buffer text = {0};
	enum cli_exit r;
	CURLcode code;

	code = body && !body_text ? CURLE_OUT_OF_MEMORY
				  : send_request(call, method, path, body_text, &text);
	r = code == CURLE_OK ? understand(call, &text, ret_answer) : unreachable(call, code);
	buffer_fini(&text);
	free(body_text);
	json_decref(body);
	return r;
}

/* ---- Streams -------------------------------------------------------------------------------- */

struct stream {
	bool (*each)(void *ctx, const json_t *event);
	void *ctx;
	struct buffer line; /* the last one, as far as it came */
	struct buffer refusal;
	bool enough;
};

/* HTML, section 9.2.6: lbd's events are one line of data each. */
static void take_line(struct stream *stream)
{
	const struct slice data = SLICE("data: ");
	struct slice line = {stream->line.ptr, stream->line.len};
	json_t *event;

	if (!slice_starts(line, data))
		return;
	event = json_loadb(line.ptr + data.len, line.len - data.len, 0, NULL);
	if (event && !stream->each(stream->ctx, event))
		stream->enough = true;
	json_decref(event);
}

static size_t take(char *text, size_t size, size_t count, void *ctx)
{
	struct stream *stream = ctx;
	long status = 0;

	(void)curl_easy_getinfo(connection, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200)
		return keep(text, size, count, &stream->refusal);
	for (size_t i = 0; i < size * count && !stream->enough; i++) {
		if (text[i] != '\n') {
			buffer_append(&stream->line, &text[i], 1);
			continue;
		}
		take_line(stream);
		buffer_clear(&stream->line);
	}
	return stream->enough || stream->line.failed || stream->line.len > MAX_ANSWER
		       ? 0
		       : size * count;
}

enum cli_exit api_stream(const struct call *call, const char *path,
			 bool (*each)(void *ctx, const json_t *event), void *ctx)
{
	struct stream stream = {.each = each, .ctx = ctx};
	CURLcode code = prepare(call, "GET", path);
	enum cli_exit r = CLI_DONE;
	json_t *answer = NULL;

	if (code == CURLE_OK) {
		(void)curl_easy_setopt(connection, CURLOPT_WRITEFUNCTION, take);
		(void)curl_easy_setopt(connection, CURLOPT_WRITEDATA, &stream);
		code = curl_easy_perform(connection);
		curl_slist_free_all(headers);
		headers = NULL;
	}
	if (stream.refusal.len > 0)
		r = understand(call, &stream.refusal, &answer);
	else if (!stream.enough && code != CURLE_OK)
		r = unreachable(call, code);
	else if (!stream.enough) {
		complain("lbd at '%s' has ended the stream", call->socket);
		r = CLI_UNREACHABLE;
	}
	json_decref(answer);
	buffer_fini(&stream.line);
	buffer_fini(&stream.refusal);
	return r;
}
