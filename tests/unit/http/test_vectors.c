/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tables of tests/vectors through the parsers: each vector whole, byte by byte, and in two
 * pieces cut at every byte, the whole input growing as it does in a buffer. What the table says and
 * what the parsers saw are written as texts and compared.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guard.h"
#include "http/message.h"
#include "vectors.h"

#define MAX_VECTORS    1024
#define CUT_EVERY_BYTE 2048 /* longer ones are cut at as many places */

struct vector {
	const json_t *row;
	bool response;
	enum http_method asked; /* responses: by what */
	struct text send;
	struct text expected;
};

struct reader {
	const struct vector *vector;
	size_t avail; /* so much has come */
	size_t at;
	enum { HEAD, BODY, OVER } state;
	enum http_framing framing;
	uint64_t left;
	struct http_chunked chunked;
	bool final; /* not an interim response */
	bool keep_alive;
	bool drop_trailers;
	struct text seen;
};

static void say(struct text *to, const char *what, struct slice value)
{
	text_add(to, slice_of(what));
	text_add(to, value);
	text_add(to, SLICE("\n"));
}

/* ---- What the table says -------------------------------------------------------------------- */

/* Framing and Connection of a response are made anew, which the proxy's tests look at. */
static bool is_made_anew(struct slice line)
{
	static const char *const names[] = {"Connection:", "Content-Length:", "Transfer-Encoding:"};

	for (size_t i = 0; i < 3; i++)
		if (line.len >= strlen(names[i]) &&
		    memcmp(line.ptr, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static void say_json(struct text *to, const char *what, const json_t *value, bool response)
{
	struct text text = {0};

	text_add_json(&text, value);
	if (!response || !is_made_anew(text_slice(&text)))
		say(to, what, text_slice(&text));
	text_free(&text);
}

static void expect_message(struct text *to, const json_t *message, bool response)
{
	const json_t *fields = json_object_get(message, "fields");
	const json_t *trailers = json_object_get(message, "trailers");

	say_json(to, "line ", json_object_get(message, "line"), false);
	for (size_t i = 0; i < json_array_size(fields); i++)
		say_json(to, "field ", json_array_get(fields, i), response);
	say_json(to, "body ", json_object_get(message, "body"), false);
	for (size_t i = 0; i < json_array_size(trailers); i++)
		say_json(to, "trailer ", json_array_get(trailers, i), false);
	if (!json_is_true(json_object_get(message, "cut")))
		say(to, "whole", SLICE(""));
}

/* One or a list of them. */
static const json_t *nth(const json_t *value, size_t i)
{
	if (json_is_array(value))
		return json_array_get(value, i);
	return i == 0 ? value : NULL;
}

static void expect_refusal(struct text *to, json_int_t status)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", (int)status);
	say(to, "refused ", slice_of(number));
}

static void expect_requests(struct vector *vector)
{
	const json_t *answers = json_object_get(vector->row, "answer"), *answer;
	const json_t *backend = json_object_get(vector->row, "backend");

	for (size_t i = 0; (answer = nth(answers, i)) != NULL; i++) {
		if (nth(backend, i))
			expect_message(&vector->expected, nth(backend, i), false);
		else if (json_integer_value(answer) < 400)
			say(&vector->expected, "stops here", SLICE(""));
		if (json_integer_value(answer) >= 400)
			expect_refusal(&vector->expected, json_integer_value(answer));
	}
	if (json_object_get(vector->row, "then"))
		say(&vector->expected, "close", SLICE(""));
}

static void expect_responses(struct vector *vector)
{
	const json_t *client = json_object_get(vector->row, "client"), *message;
	bool refused = json_integer_value(json_object_get(vector->row, "answer")) == 502;

	for (size_t i = 0; (message = nth(client, i)) != NULL; i++) {
		expect_message(&vector->expected, message, true);
		refused = refused || json_is_true(json_object_get(message, "cut"));
	}
	if (refused && !json_is_true(json_object_get(vector->row, "close")))
		expect_refusal(&vector->expected, 502);
}

/* ---- What the parsers see ------------------------------------------------------------------- */

static void see_refusal(struct reader *reader, const struct http_refusal *refusal)
{
	char number[16];

	assert_true(reader->at + refusal->offset <= reader->avail);
	assert_non_null(refusal->reason);
	snprintf(number, sizeof(number), "%u", reader->vector->response ? 502 : refusal->status);
	if (reader->state == BODY)
		say(&reader->seen, "", SLICE("")); /* ends the line of the body */
	say(&reader->seen, "refused ", slice_of(number));
	reader->state = OVER;
}

static void see_fields(struct text *to, const struct vector *vector, const struct http_head *head)
{
	char line[HTTP_MAX_HEAD];

	for (unsigned i = 0; i < head->n_headers; i++) {
		const struct http_header *header = &head->headers[i];
		struct http_head one = {.n_headers = 1, .headers = {*header}};
		struct http_writer w = {.ptr = line, .size = sizeof(line)};

		if (header->id == HTTP_H_HOST && !vector->response)
			continue;
		if (header->id == HTTP_H_MAX_FORWARDS && head->counts_hops)
			continue;
		if (header->id == HTTP_H_TRAILER && head->framing != HTTP_BODY_CHUNKED)
			continue;
		http_put_end_to_end(&w, &one);
		assert_false(w.overflow);
		/* Without the line end, and the space before an empty value. */
		w.len -= w.len > 0 ? 2 : 0;
		w.len -= w.len > 0 && header->value.len == 0;
		if (w.len > 0)
			say(to, "field ", (struct slice){w.ptr, w.len});
	}
}

static void see_line(struct reader *reader, const struct http_head *head)
{
	char line[HTTP_MAX_HEAD];
	struct http_writer w = {.ptr = line, .size = sizeof(line)};

	if (reader->vector->response)
		http_put_status_line(&w, head->status, head->reason);
	else
		http_put_request_line(&w, head);
	assert_false(w.overflow);
	say(&reader->seen, "line ", (struct slice){w.ptr, w.len - 2});
}

/* What the proxy makes of the rest of a request's head. */
static void see_request(struct text *to, const struct http_head *head, const struct vector *vector)
{
	const struct http_header *te;
	char number[64];

	if (head->authority.len > 0)
		say(to, "field Host: ", head->authority);
	else
		say(to, "field Host: {local}", SLICE(""));
	see_fields(to, vector, head);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)head->max_forwards - 1);
	if (head->counts_hops)
		say(to, "field Max-Forwards: ", slice_of(number));
	if (head->expect_continue)
		say(to, "field Expect: 100-continue", SLICE(""));
	te = http_find(head, HTTP_H_TE);
	if (te && te->value.len >= 8 &&
	    memcmp(te->value.ptr + te->value.len - 8, "trailers", 8) == 0)
		say(to, "field Connection: TE\nfield TE: trailers", SLICE(""));
	if (head->upgrade && head->framing == HTTP_BODY_NONE) {
		say(to, "field Connection: upgrade", SLICE(""));
		say(to, "field Upgrade: ", http_find(head, HTTP_H_UPGRADE)->value);
	}
	snprintf(number, sizeof(number), "%llu", (unsigned long long)head->content_length);
	if (head->framing == HTTP_BODY_LENGTH)
		say(to, "field Content-Length: ", slice_of(number));
	if (head->framing == HTTP_BODY_CHUNKED)
		say(to, "field Transfer-Encoding: chunked", SLICE(""));
}

static void end_message(struct reader *reader)
{
	say(&reader->seen, "whole", SLICE(""));
	reader->state = HEAD;
	if (reader->vector->response && reader->final)
		reader->state = OVER;
	if (reader->vector->response || reader->keep_alive)
		return;
	say(&reader->seen, "close", SLICE(""));
	reader->state = OVER;
}

/* OPTIONS that the proxy answers by itself; it does not wait for a body. */
static void stop_here(struct reader *reader, const struct http_head *head)
{
	say(&reader->seen, "stops here", SLICE(""));
	if (head->framing == HTTP_BODY_NONE)
		return;
	say(&reader->seen, "close", SLICE(""));
	reader->state = OVER;
}

static bool read_head(struct reader *reader, struct slice in)
{
	struct http_refusal refusal = {0};
	static struct http_head head;
	ssize_t n = reader->vector->response
			    ? http_parse_response(in, reader->vector->asked, &head, &refusal)
			    : http_parse_request(in, &head, &refusal);

	if (n < 0) {
		assert_int_equal(n, -EBADMSG);
		see_refusal(reader, &refusal);
	}
	if (n <= 0)
		return false;
	if (head.counts_hops && head.max_forwards == 0) {
		reader->at += (size_t)n;
		stop_here(reader, &head);
		return true;
	}
	see_line(reader, &head);
	if (reader->vector->response)
		see_fields(&reader->seen, reader->vector, &head);
	else
		see_request(&reader->seen, &head, reader->vector);
	text_add(&reader->seen, SLICE("body "));
	reader->at += (size_t)n;
	reader->framing = head.framing;
	reader->final = head.status >= 200;
	reader->left = head.framing == HTTP_BODY_LENGTH ? head.content_length : 0;
	reader->keep_alive = head.keep_alive;
	reader->drop_trailers = head.drop_trailers;
	http_chunked_init(&reader->chunked);
	reader->chunked.keep_trailers = true;
	reader->state = BODY;
	return true;
}

static bool read_trailer(struct reader *reader, struct slice in)
{
	struct http_refusal refusal = {0};
	struct http_header field;
	ssize_t n = http_trailer_read(&reader->chunked, in, &field, &refusal);

	if (n < 0)
		see_refusal(reader, &refusal);
	if (n <= 0)
		return false;
	reader->at += (size_t)n;
	if (field.name.len > 0 && !field.hop && !reader->drop_trailers) {
		text_add(&reader->seen, SLICE("\ntrailer "));
		text_add(&reader->seen, field.name);
		text_add(&reader->seen, SLICE(": "));
		text_add(&reader->seen, field.value);
	}
	return true;
}

static bool read_chunk(struct reader *reader, struct slice in)
{
	struct http_refusal refusal = {0};
	struct slice data;
	ssize_t n;

	if (reader->chunked.trailers && !reader->chunked.done)
		return read_trailer(reader, in);
	n = http_chunked_read(&reader->chunked, in, &data, &refusal);
	if (n < 0)
		see_refusal(reader, &refusal);
	if (n <= 0)
		return false;
	text_add(&reader->seen, data);
	reader->at += (size_t)n;
	return true;
}

static bool read_body(struct reader *reader, struct slice in)
{
	bool chunked = reader->framing == HTTP_BODY_CHUNKED;

	if (chunked && !reader->chunked.done)
		return read_chunk(reader, in);
	if (reader->framing == HTTP_BODY_LENGTH && in.len > reader->left)
		in.len = (size_t)reader->left;
	if (reader->framing == HTTP_BODY_NONE || chunked)
		in.len = 0;
	text_add(&reader->seen, in);
	reader->at += in.len;
	reader->left -= reader->framing == HTTP_BODY_LENGTH ? in.len : 0;
	if (reader->framing == HTTP_BODY_UNTIL_CLOSE || reader->left > 0)
		return in.len > 0;
	text_add(&reader->seen, SLICE("\n"));
	end_message(reader);
	return true;
}

/* <avail> bytes have come: as a proxy does, again from where the last step ended. */
static void advance(struct reader *reader, size_t avail)
{
	bool more = true;

	reader->avail = avail;
	while (more && reader->state != OVER) {
		struct slice in = {reader->vector->send.ptr + reader->at, avail - reader->at};

		if (in.len > GUARD_SIZE)
			in.len = GUARD_SIZE;
		if (in.len == 0 && reader->state == HEAD)
			return;
		in = guard_copy(in);
		more = reader->state == HEAD ? read_head(reader, in) : read_body(reader, in);
	}
}

/* The peer has closed. */
static void finish(struct reader *reader)
{
	if (reader->state != BODY)
		return;
	text_add(&reader->seen, SLICE("\n"));
	if (reader->framing == HTTP_BODY_UNTIL_CLOSE)
		say(&reader->seen, "whole", SLICE(""));
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static void judge(struct reader *reader, size_t first, const char *how)
{
	const struct text *expected = &reader->vector->expected, *seen = &reader->seen;

	finish(reader);
	if (seen->len != expected->len ||
	    (seen->len > 0 && memcmp(seen->ptr, expected->ptr, seen->len) != 0))
		fail_msg("%s %zu\nexpected:\n%.*s\ngot:\n%.*s\nrerun: make test-unit "
			 "T=http/test_vectors",
			 how, first, (int)expected->len, expected->ptr, (int)seen->len, seen->ptr);
	text_free(&reader->seen);
}

static void test_vector(void **state)
{
	const struct vector *vector = *state;
	struct reader reader = {.vector = vector};
	size_t len = vector->send.len;

	advance(&reader, len);
	judge(&reader, len, "whole, bytes:");
	reader = (struct reader){.vector = vector};
	for (size_t avail = 1; avail <= len; avail++)
		advance(&reader, avail);
	judge(&reader, len, "byte by byte, bytes:");
	for (size_t cut = 1; cut < len; cut += 1 + len / CUT_EVERY_BYTE) {
		reader = (struct reader){.vector = vector};
		advance(&reader, cut);
		advance(&reader, len);
		judge(&reader, cut, "cut at byte");
	}
}

static void load_one(struct vector *vector, const json_t *row, bool response)
{
	const char *asked = json_string_value(json_object_get(row, "request"));

	*vector = (struct vector){
		.row = row,
		.response = response,
		.asked = asked && strncmp(asked, "HEAD ", 5) == 0 ? HTTP_HEAD : HTTP_GET,
	};
	text_add_json(&vector->send, json_object_get(row, "send"));
	if (response)
		expect_responses(vector);
	else
		expect_requests(vector);
}

/* Returns how many, all but those that need a whole proxy, or a better one. */
static size_t load(const char *path, struct CMUnitTest *tests, struct vector *vectors, json_t **ret)
{
	json_error_t error;
	json_t *file = json_load_file(path, JSON_ALLOW_NUL, &error);
	const json_t *rows = json_object_get(file, "vectors");
	size_t n = 0;

	if (!file)
		printf("%s:%d:%d: %s\n", path, error.line, error.column, error.text);
	for (size_t i = 0; i < json_array_size(rows) && n < MAX_VECTORS; i++) {
		const json_t *row = json_array_get(rows, i);

		if (json_is_true(json_object_get(row, "proxy")) ||
		    json_is_true(json_object_get(row, "known")))
			continue;
		load_one(&vectors[n], row, strstr(path, "responses") != NULL);
		tests[n] = (struct CMUnitTest){json_string_value(json_object_get(row, "name")),
					       test_vector, NULL, NULL, &vectors[n]};
		n++;
	}
	*ret = file;
	return n;
}

static int run(const char *name, const char *path)
{
	static struct CMUnitTest tests[MAX_VECTORS];
	static struct vector vectors[MAX_VECTORS];
	json_t *file;
	size_t n = load(path, tests, vectors, &file);
	int failed = n > 100 ? _cmocka_run_group_tests(name, tests, n, NULL, NULL) : 1;

	if (n <= 100)
		printf("not ok - %s has %zu vectors\n", path, n);
	for (size_t i = 0; i < n; i++) {
		text_free(&vectors[i].send);
		text_free(&vectors[i].expected);
	}
	json_decref(file);
	return failed;
}

int main(void)
{
	int failed = run("request vectors", "tests/vectors/requests.json");

	failed += run("response vectors", "tests/vectors/responses.json");
	return failed;
}
