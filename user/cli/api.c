/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/api.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 2000L
#define ANSWER_TIMEOUT_MS  60000L
#define MAX_ANSWER	   (64U << 20)

static CURL *connection;

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

static CURLcode send_request(const struct call *call, const char *method, const char *path,
			     const char *body, struct buffer *answer)
{
	struct curl_slist *headers = NULL;
	struct buffer url = {0};
	CURLcode r;

	if (!connection)
		connection = curl_easy_init();
	if (!connection)
		return CURLE_FAILED_INIT;
	curl_easy_reset(connection);
	buffer_print(&url, "http://lbd%s", path);
	headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	(void)curl_easy_setopt(connection, CURLOPT_UNIX_SOCKET_PATH, call->socket);
	(void)curl_easy_setopt(connection, CURLOPT_URL, url.ptr);
	(void)curl_easy_setopt(connection, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(connection, CURLOPT_CUSTOMREQUEST, method);
	(void)curl_easy_setopt(connection, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(connection, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(connection, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	(void)curl_easy_setopt(connection, CURLOPT_TIMEOUT_MS, ANSWER_TIMEOUT_MS);
	(void)curl_easy_setopt(connection, CURLOPT_WRITEFUNCTION, keep);
	(void)curl_easy_setopt(connection, CURLOPT_WRITEDATA, answer);
	if (body)
		(void)curl_easy_setopt(connection, CURLOPT_POSTFIELDS, body);
	r = url.failed ? CURLE_OUT_OF_MEMORY : curl_easy_perform(connection);
	curl_slist_free_all(headers);
	buffer_fini(&url);
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
