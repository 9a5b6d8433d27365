/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

/* ---- What one probe says ------------------------------------------------------------------- */

#define CHUNKS OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"

static const struct {
	const char *name;
	struct script script;
	const char *body;
	const char *method;
	uint16_t first, last; /* status; 0: the default */
	enum health_reason reason;
} answers[] = {
	{"200", {.answer = SLICE(OK_HEAD "Content-Length: 0\r\n\r\n")}, .reason = HEALTH_OK},
	{"399 is the last good one",
	 {.answer = SLICE("HTTP/1.1 399 \r\n\r\n")},
	 .reason = HEALTH_OK},
	{"400", {.answer = SLICE("HTTP/1.1 400 No\r\n\r\n")}, .reason = HEALTH_WRONG_STATUS},
	{"503",
	 {.answer = SLICE("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), .then_close = true},
	 .reason = HEALTH_WRONG_STATUS},
	{"200 when 204 is wanted",
	 {.answer = SLICE(OK_HEAD "\r\n")},
	 .first = 204,
	 .last = 204,
	 .reason = HEALTH_WRONG_STATUS},
	{"503 when it is wanted",
	 {.answer = SLICE("HTTP/1.1 503 Busy\r\n\r\n")},
	 .first = 500,
	 .last = 599,
	 .reason = HEALTH_OK},
	{"HTTP/1.0",
	 {.answer = SLICE("HTTP/1.0 200 OK\r\n\r\n"), .then_close = true},
	 .reason = HEALTH_OK},
	{"interim heads come first",
	 {.answer =
		  SLICE("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\n" OK_HEAD "\r\n")},
	 .reason = HEALTH_OK},
	{"a switch nobody asked for",
	 {.answer = SLICE("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")},
	 .reason = HEALTH_BAD_RESPONSE},
	{"not HTTP", {.answer = SLICE("SSH-2.0-OpenSSH_9.2\r\n")}, .reason = HEALTH_BAD_RESPONSE},
	{"byte by byte",
	 {.answer = SLICE(OK_HEAD "Content-Length: 2\r\n\r\nok"), .at_once = 1},
	 .body = "ok",
	 .reason = HEALTH_OK},
	{"closed before a word",
	 {.answer = SLICE(""), .then_close = true},
	 .reason = HEALTH_CLOSED},
	{"closed inside the head",
	 {.answer = SLICE("HTTP/1.1 200 OK\r\nConte"), .then_close = true},
	 .reason = HEALTH_CLOSED},
	{"closed inside the body",
	 {.answer = SLICE(OK_HEAD "Content-Length: 9\r\n\r\nhalf"), .then_close = true},
	 .body = "missing",
	 .reason = HEALTH_CLOSED},
	{"the word is in the body",
	 {.answer = SLICE(OK_HEAD "Content-Length: 17\r\n\r\nstatus: all well\n")},
	 .body = "all well",
	 .reason = HEALTH_OK},
	{"the word is not there",
	 {.answer = SLICE(OK_HEAD "Content-Length: 8\r\n\r\nall bad\n")},
	 .body = "all well",
	 .reason = HEALTH_WRONG_BODY},
	{"the word comes only after the body",
	 {.answer = SLICE(OK_HEAD "Content-Length: 3\r\n\r\nall well")},
	 .body = "all well",
	 .reason = HEALTH_WRONG_BODY},
	{"an empty body has no word",
	 {.answer = SLICE(OK_HEAD "Content-Length: 0\r\n\r\n")},
	 .body = "x",
	 .reason = HEALTH_WRONG_BODY},
	{"a body that ends with the connection",
	 {.answer = SLICE(OK_HEAD "\r\nall well"), .then_close = true},
	 .body = "well",
	 .reason = HEALTH_OK},
	{"the same without the word",
	 {.answer = SLICE(OK_HEAD "\r\nall bad"), .then_close = true},
	 .body = "well",
	 .reason = HEALTH_WRONG_BODY},
	{"the word lies across two chunks",
	 {.answer = SLICE(CHUNKS "5\r\nall w\r\n3\r\nell\r\n0\r\n\r\n")},
	 .body = "all well",
	 .reason = HEALTH_OK},
	{"chunks byte by byte",
	 {.answer = SLICE(CHUNKS "5\r\nall w\r\n3;x=y\r\nell\r\n0\r\nT: v\r\n\r\n"), .at_once = 1},
	 .body = "all well",
	 .reason = HEALTH_OK},
	{"chunks without the word",
	 {.answer = SLICE(CHUNKS "5\r\nall w\r\n3\r\nild\r\n0\r\n\r\n"), .at_once = 3},
	 .body = "all well",
	 .reason = HEALTH_WRONG_BODY},
	{"broken chunks",
	 {.answer = SLICE(CHUNKS "5\r\nall w\r\nzz\r\nell\r\n0\r\n\r\n")},
	 .body = "all well",
	 .reason = HEALTH_BAD_RESPONSE},
	{"HEAD has no body to wait for",
	 {.answer = SLICE(OK_HEAD "Content-Length: 100\r\n\r\n")},
	 .method = "HEAD",
	 .reason = HEALTH_OK},
	{"reset after the connect", {.reset = true}, .reason = HEALTH_CLOSED},
};

static void http_answers_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct health_spec spec = spec_of(HEALTH_HTTP);

		if (answers[i].body)
			(void)snprintf(spec.body, sizeof(spec.body), "%s", answers[i].body);
		if (answers[i].method)
			(void)snprintf(spec.method, sizeof(spec.method), "%s", answers[i].method);
		spec.n_status = answers[i].first ? 1 : 0;
		spec.status[0].first = answers[i].first;
		spec.status[0].last = answers[i].last;
		serve(answers[i].script);
		start(&spec, HEALTH_IS_UNKNOWN);
		run_until_results(1);
		health_close(f.check);
		f.check = NULL;
		stop_serving();
		/* A reset may overtake the end of the connect. */
		if (answers[i].script.reset && f.reason == HEALTH_CONNECT_FAILED)
			continue;
		if (f.reason != answers[i].reason)
			fail_msg("%s: %s", answers[i].name,
				 strtable_name(&health_reason_names, (int)f.reason));
		assert_int_equal(f.status, f.reason == HEALTH_OK ? HEALTH_IS_UP : HEALTH_IS_DOWN);
	}
}

/* <n> bytes of answer around <word>, in memory that lives as long as the test. */
static struct slice long_answer(const char *head, size_t before, const char *word, size_t after)
{
	static char text[300000];
	size_t len = strlen(head);

	assert_true(len + before + strlen(word) + after <= sizeof(text));
	memcpy(text, head, len);
	memset(text + len, '.', before);
	memcpy(text + len + before, word, strlen(word));
	len += before + strlen(word);
	memset(text + len, '.', after);
	return (struct slice){text, len + after};
}

static void only_the_first_64_kilobytes_are_searched(void **state)
{
	static const struct {
		size_t before;
		enum health_reason reason;
	} places[] = {{65536 - 4, HEALTH_OK}, {65536 - 3, HEALTH_WRONG_BODY}};
	struct health_spec spec = spec_of(HEALTH_HTTP);

	(void)state;
	(void)snprintf(spec.body, sizeof(spec.body), "WORD");
	for (size_t i = 0; i < COUNT(places); i++) {
		serve((struct script){
			.answer = long_answer(OK_HEAD "\r\n", places[i].before, "WORD", 100000)});
		start(&spec, HEALTH_IS_UNKNOWN);
		run_until_results(1);
		assert_int_equal(f.reason, places[i].reason);
		health_close(f.check);
		f.check = NULL;
		stop_serving();
	}
}

static void a_head_without_end_is_bad(void **state)
{
	struct health_spec spec = spec_of(HEALTH_HTTP);

	(void)state;
	serve((struct script){.answer = long_answer(OK_HEAD "X: ", 100000, "", 0)});
	start(&spec, HEALTH_IS_UNKNOWN);
	run_until_results(1);
	assert_int_equal(f.reason, HEALTH_BAD_RESPONSE);
}

static void the_request_names_host_path_and_method(void **state)
{
	struct health_spec spec = spec_of(HEALTH_HTTP);
	char host[128], text[ADDR_TEXT_LEN];

	(void)state;
	serve((struct script){.answer = SLICE(OK_HEAD "\r\n")});
	(void)snprintf(spec.path, sizeof(spec.path), "/healthz?deep=1");
	start(&spec, HEALTH_IS_UNKNOWN);
	run_until_results(1);
	assert_memory_equal(f.server.request, "GET /healthz?deep=1 HTTP/1.1\r\n", 30);
	(void)snprintf(host, sizeof(host), "\r\nHost: %s\r\n", addr_format(&f.server.addr, text));
	assert_non_null(strstr(f.server.request, host));
	assert_non_null(strstr(f.server.request, "\r\nConnection: close\r\n"));
	health_close(f.check);
	(void)snprintf(spec.host, sizeof(spec.host), "app.example");
	(void)snprintf(spec.method, sizeof(spec.method), "OPTIONS");
	start(&spec, HEALTH_IS_UNKNOWN);
	run_until_results(1);
	assert_memory_equal(f.server.request, "OPTIONS /healthz", 16);
	assert_non_null(strstr(f.server.request, "\r\nHost: app.example\r\n"));
}

static void silence_is_an_answer_timeout(void **state)
{
	struct health_spec spec = spec_of(HEALTH_HTTP);
	uint64_t began_ms = loop_now_ms(f.loop);

	(void)state;
	serve((struct script){.mute = true});
	spec.timeout_ms = 60;
	start(&spec, HEALTH_IS_UNKNOWN);
	run_until_results(1);
	assert_int_equal(f.reason, HEALTH_ANSWER_TIMEOUT);
	assert_true(f.result_ms - began_ms >= 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(http_answers_are_judged),	 T(only_the_first_64_kilobytes_are_searched),
		T(a_head_without_end_is_bad),	 T(the_request_names_host_path_and_method),
		T(silence_is_an_answer_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
