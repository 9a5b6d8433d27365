/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Clients that want too much, stop halfway or do not read; and a client that is not ours. */
#include "rig.h"

#include <curl/curl.h>
#include <poll.h>

#define GET_KEEP  SLICE("GET /v1/things/a HTTP/1.1\r\nHost: lbd\r\n\r\n")
#define GET_CLOSE SLICE("GET /v1/things/a HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n\r\n")
#define BIG	  (256 * 1024)

static struct rig rig;

static int set_up(void **state)
{
	(void)state;
	rig_start(&rig, 0);
	return 0;
}

static int set_up_hasty(void **state)
{
	(void)state;
	rig_start(&rig, 100);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void assert_status(struct buffer *text, const char *status)
{
	if (!slice_starts(slice_of(text->ptr), slice_of(status)))
		fail_msg("does not begin '%s': %.200s", status, text->ptr);
	buffer_fini(text);
}

static void assert_works(void)
{
	struct buffer text;

	rig_ask(&rig, GET_CLOSE, &text);
	assert_status(&text, "HTTP/1.1 200 OK\r\n");
}

/* <len> bytes of JSON: {"a":"xxx...x"} */
static void put_json(struct buffer *text, size_t len)
{
	buffer_print(text, "{\"a\":\"");
	for (size_t i = sizeof("{\"a\":\"\"}") - 1; i < len; i++)
		buffer_append(text, "x", 1);
	buffer_print(text, "\"}");
}

static void ask_with_body(size_t len, bool chunked, const char *status)
{
	struct buffer request = {0}, body = {0}, reply;

	put_json(&body, len);
	assert_int_equal(body.len, len);
	buffer_print(&request, "PUT /v1/things/a HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n");
	if (chunked)
		buffer_print(&request, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
			     body.len, body.ptr);
	else
		buffer_print(&request, "Content-Length: %zu\r\n\r\n%s", body.len, body.ptr);
	rig_ask(&rig, (struct slice){request.ptr, request.len}, &reply);
	assert_status(&reply, status);
	buffer_fini(&request);
	buffer_fini(&body);
}

static void test_body_sizes(void **state)
{
	(void)state;
	for (int chunked = 0; chunked < 2; chunked++) {
		ask_with_body(CONTROL_MAX_BODY, chunked, "HTTP/1.1 200 OK\r\n");
		ask_with_body(CONTROL_MAX_BODY + 1, chunked, "HTTP/1.1 413 ");
		ask_with_body(4 * CONTROL_MAX_BODY, chunked, "HTTP/1.1 413 ");
	}
	assert_works();
}

static void test_deep_json(void **state)
{
	struct buffer request = {0}, reply;

	(void)state;
	buffer_print(&request, "PUT /v1/things/a HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n"
			       "Content-Length: 100000\r\n\r\n");
	for (unsigned i = 0; i < 100000; i++)
		buffer_append(&request, "[", 1);
	rig_ask(&rig, (struct slice){request.ptr, request.len}, &reply);
	assert_non_null(strstr(reply.ptr, "\"bad_json\""));
	assert_status(&reply, "HTTP/1.1 400 ");
	buffer_fini(&request);
	assert_works();
}

static void test_reply_too_large(void **state)
{
	struct buffer reply;

	(void)state;
	rig_ask(&rig,
		SLICE("GET /v1/big?size=16777216 HTTP/1.1\r\nHost: lbd\r\nConnection: "
		      "close\r\n\r\n"),
		&reply);
	assert_status(&reply, "HTTP/1.1 500 ");
	assert_works();
}

static void test_head_too_large(void **state)
{
	struct buffer request = {0}, reply;

	(void)state;
	buffer_print(&request, "GET /v1/things HTTP/1.1\r\nHost: lbd\r\nX: ");
	while (request.len < 2 * (size_t)HTTP_MAX_HEAD)
		buffer_append(&request, "x", 1);
	rig_ask(&rig, (struct slice){request.ptr, request.len}, &reply);
	assert_status(&reply, "HTTP/1.1 431 ");
	buffer_fini(&request);
}

/* One round trip that leaves the connection open. */
static void ask_keep(int fd)
{
	char last[2] = "";

	rig_send(fd, GET_KEEP);
	while (memcmp(last, "}\n", 2) != 0) {
		last[0] = last[1];
		rig_read(fd, last + 1, 1);
	}
}

/* More clients than there are places: each that leaves must give its place back. */
static void test_disconnects(void **state)
{
	static const struct slice request = SLICE(
		"PUT /v1/things/a HTTP/1.1\r\nHost: lbd\r\nContent-Length: 7\r\n\r\n{\"a\":1}");

	(void)state;
	for (size_t i = 0; i < 2 * (size_t)CONTROL_MAX_CONNECTIONS; i++) {
		int fd = rig_connect(&rig);

		rig_send(fd, (struct slice){request.ptr, i % (request.len + 1)});
		close(fd);
	}
	assert_works();
}

static void test_connections(void **state)
{
	int fds[CONTROL_MAX_CONNECTIONS], late;
	struct buffer reply;
	char byte;

	(void)state;
	for (size_t i = 0; i < CONTROL_MAX_CONNECTIONS; i++) {
		fds[i] = rig_connect(&rig);
		ask_keep(fds[i]);
	}
	late = rig_connect(&rig);
	rig_send(late, GET_CLOSE);
	/* The loop hears of the late one before the first of these, and would have read its
	 * request before the second: had it a place, it would have a reply by now. */
	ask_keep(fds[1]);
	ask_keep(fds[1]);
	assert_int_equal(recv(late, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(fds[0]); /* and this is the place for the late one */
	rig_read_all(late, &reply);
	assert_status(&reply, "HTTP/1.1 200 OK\r\n");
	close(late);
	for (size_t i = 1; i < CONTROL_MAX_CONNECTIONS; i++)
		close(fds[i]);
}

/* Fills the socket with replies that nobody reads; others are served; then all are there. */
static void test_slow_reader(void **state)
{
	static const struct slice request =
		SLICE("GET /v1/big?size=262144 HTTP/1.1\r\nHost: lbd\r\n\r\n");
	int fd = rig_connect(&rig);
	struct buffer reply;
	size_t count = 1;
	char first;

	(void)state;
	rig_send(fd, request);
	rig_read(fd, &first, 1); /* the server is writing now, and what comes must not stop it */
	for (unsigned i = 1; i < 20; i++)
		rig_send(fd, request);
	rig_send(fd, GET_CLOSE);
	for (unsigned i = 0; i < 5; i++)
		assert_works();
	rig_read_all(fd, &reply);
	close(fd);
	for (const char *at = reply.ptr; (at = strstr(at, "HTTP/1.1 200 OK\r\n")); at++)
		count++;
	assert_int_equal(count, 21);
	assert_true(reply.len > 20 * (size_t)BIG);
	buffer_fini(&reply);
}

static void test_expect(void **state)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	char text[sizeof(go_on) - 1];
	struct buffer reply;
	int fd = rig_connect(&rig);

	(void)state;
	rig_send(fd, SLICE("PUT /v1/things/a HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n"
			   "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
	rig_read(fd, text, sizeof(text));
	assert_memory_equal(text, go_on, sizeof(text));
	rig_send(fd, SLICE("{}"));
	rig_read_all(fd, &reply);
	assert_status(&reply, "HTTP/1.1 200 OK\r\n");
	close(fd);
}

struct wait {
	const char *name;
	struct slice in;
	const char *status; /* "": just closed */
};

static const struct wait waits[] = {
	{"an idle connection is closed", SLICE(""), ""},
	{"half a head is told", SLICE("GET /v1/thi"), "HTTP/1.1 408 Request Timeout\r\n"},
	{"half a body is told",
	 SLICE("PUT /v1/things/a HTTP/1.1\r\nHost: lbd\r\nContent-Length: 9\r\n\r\n{"),
	 "HTTP/1.1 408 Request Timeout\r\n"},
	{"a connection idle after its reply is closed", GET_KEEP, "HTTP/1.1 200 OK\r\n"},
};

static void test_timeout(void **state)
{
	const struct wait *wait = *state;
	struct buffer reply;

	rig_ask(&rig, wait->in, &reply);
	assert_status(&reply, wait->status);
}

/* The end comes though the client never reads: the reply's time is up. */
static void test_no_reader(void **state)
{
	static const struct slice request =
		SLICE("GET /v1/big?size=4194304 HTTP/1.1\r\nHost: lbd\r\n\r\n");
	int fd = rig_connect(&rig);
	struct pollfd end = {.fd = fd}; /* asks for nothing: hears of the hang-up only */

	(void)state;
	rig_send(fd, request);
	assert_int_equal(poll(&end, 1, RIG_WAIT_S * 1000), 1);
	assert_true(end.revents & POLLHUP);
	close(fd);
	assert_works();
}

static void test_verb_closes_server(void **state)
{
	struct buffer reply;

	(void)state;
	rig_ask(&rig, SLICE("POST /v1/close HTTP/1.1\r\nHost: lbd\r\n\r\n"), &reply);
	assert_status(&reply, "");
}

static void test_start_fails(void **state)
{
	struct control *control = NULL;
	struct error err = {0};
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(control_start(loop, rig.path, rig_routes, NULL, &control, &err),
			 -EADDRINUSE);
	assert_non_null(strstr(err.message, rig.path));
	assert_string_equal(err.field, "admin.socket");
	assert_int_equal(
		control_start(loop, "/nonexistent/socket", rig_routes, NULL, &control, &err),
		-ENOENT);
	assert_null(control);
	loop_free(loop);
	control_close(NULL);
	assert_works(); /* the socket of the one that answers is still there */
}

static void test_mode(void **state)
{
	struct stat status;

	(void)state;
	assert_int_equal(stat(rig.path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0660);
}

static size_t collect(char *text, size_t size, size_t n, void *data)
{
	buffer_append(data, text, size * n);
	return size * n;
}

static void test_curl(void **state)
{
	CURL *curl = curl_easy_init();
	struct buffer body = {0};
	long status = 0, connects = -1;

	(void)state;
	assert_non_null(curl);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, rig.path);
	curl_easy_setopt(curl, CURLOPT_URL, "http://lbd/v1/things/a%20b");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "{\"weight\": 3}");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)RIG_WAIT_S);
	for (int i = 0; i < 3; i++) {
		buffer_clear(&body);
		assert_int_equal(curl_easy_perform(curl), CURLE_OK);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
		assert_int_equal(status, 200);
		assert_int_equal(connects, i == 0 ? 1 : 0); /* kept alive */
		assert_non_null(strstr(body.ptr, "\"arg\":\"a b\""));
		assert_non_null(strstr(body.ptr, "\"body\":{\"weight\":3}"));
	}
	curl_easy_cleanup(curl);
	buffer_fini(&body);
}

int main(void)
{
#define TEST(sentence, function, prepare) \
	{ \
		(sentence), (function), (prepare), tear_down, NULL \
	}
	struct CMUnitTest tests[] = {
		TEST("bodies up to 1 MiB are taken, larger ones refused", test_body_sizes, set_up),
		TEST("JSON of 100000 levels is refused", test_deep_json, set_up),
		TEST("a reply that is too large is an error", test_reply_too_large, set_up),
		TEST("a head that is too large is refused", test_head_too_large, set_up),
		TEST("clients that leave halfway give their place back", test_disconnects, set_up),
		TEST("the 65th client waits for a place", test_connections, set_up),
		TEST("a client that reads late holds up nobody", test_slow_reader, set_up),
		TEST("a client that waits for 100 is let go on", test_expect, set_up),
		TEST("a client that never reads is closed", test_no_reader, set_up_hasty),
		TEST("a verb may close the server", test_verb_closes_server, set_up),
		TEST("a start that fails says why and harms nothing", test_start_fails, set_up),
		TEST("the socket's mode is 0660", test_mode, set_up),
		TEST("libcurl keeps its connection", test_curl, set_up),
		{waits[0].name, test_timeout, set_up_hasty, tear_down, (void *)&waits[0]},
		{waits[1].name, test_timeout, set_up_hasty, tear_down, (void *)&waits[1]},
		{waits[2].name, test_timeout, set_up_hasty, tear_down, (void *)&waits[2]},
		{waits[3].name, test_timeout, set_up_hasty, tear_down, (void *)&waits[3]},
	};

	return cmocka_run_group_tests_name("control limits", tests, NULL, NULL);
}
