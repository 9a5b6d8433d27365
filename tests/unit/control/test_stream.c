/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#define ASK    "GET /v1/stream HTTP/1.1\r\nHost: lbd\r\n\r\n"
#define HEAD_1 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define HEAD_2 "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
#define HEAD   HEAD_1 HEAD_2

/* A mail that says to the server's thread: there is one event more. */
struct news {
	struct mail mail;
	struct rig *rig;
};

static uint64_t there_are; /* written by the server's thread, and before it runs */

static void feed(void *ctx, uint64_t *cursor, struct buffer *out)
{
	(void)ctx;
	for (; *cursor < there_are; ++*cursor)
		buffer_print(out, "id: %llu\n\n", (unsigned long long)*cursor + 1);
}

static void begin(void *ctx, const struct control_request *request, struct control_reply *reply)
{
	(void)ctx;
	reply->feed = feed;
	reply->cursor = request->has_last_event ? request->last_event : 0;
}

static const struct control_route routes[] = {
	{HTTP_GET, "/v1/stream", begin},
	{HTTP_OTHER, NULL, NULL},
};

static void on_news(struct mail *mail)
{
	struct news *news = container_of(mail, struct news, mail);

	there_are++;
	control_wake(news->rig->control);
}

static void start(struct rig *rig, uint32_t timeout_ms, uint64_t events)
{
	there_are = events;
	rig_start_routes(rig, timeout_ms, routes);
}

static void expect(int fd, const char *text)
{
	char got[512] = "";

	assert_true(strlen(text) < sizeof(got));
	rig_read(fd, got, strlen(text));
	assert_string_equal(got, text);
}

static void a_stream_sends_what_is_there_and_then_what_comes(void **state)
{
	struct news news = {.mail.on_mail = on_news};
	struct rig rig;
	int fd;

	(void)state;
	start(&rig, 0, 2);
	news.rig = &rig;
	fd = rig_connect(&rig);
	rig_send(fd, SLICE(ASK));
	expect(fd, HEAD "id: 1\n\nid: 2\n\n");
	loop_send(rig.loop, &news.mail);
	expect(fd, "id: 3\n\n");
	close(fd);
	rig_stop(&rig);
}

static void a_reader_says_what_it_had_last(void **state)
{
	static const struct {
		const char *header;
		const char *says;
	} rows[] = {
		{"Last-Event-ID: 2", "id: 3\n\n"},
		{"last-event-id: 1", "id: 2\n\nid: 3\n\n"},
		{"Last-Event-ID: none", "id: 1\n\nid: 2\n\nid: 3\n\n"},
	};
	struct rig rig;

	(void)state;
	start(&rig, 0, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char ask[128];
		int fd = rig_connect(&rig);

		(void)snprintf(ask, sizeof(ask),
			       "GET /v1/stream HTTP/1.1\r\nHost: lbd\r\n%s\r\n\r\n",
			       rows[i].header);
		rig_send(fd, slice_of(ask));
		expect(fd, HEAD);
		expect(fd, rows[i].says);
		close(fd);
	}
	rig_stop(&rig);
}

static void a_quiet_stream_is_kept_alive_by_comments(void **state)
{
	struct rig rig;
	int fd;

	(void)state;
	start(&rig, 50, 0);
	fd = rig_connect(&rig);
	rig_send(fd, SLICE(ASK));
	expect(fd, HEAD ":\n\n:\n\n:\n\n");
	close(fd);
	rig_stop(&rig);
}

static void head_of_a_stream_is_a_head_alone(void **state)
{
	struct buffer text;
	struct rig rig;

	(void)state;
	start(&rig, 0, 2);
	rig_ask(&rig, SLICE("HEAD /v1/stream HTTP/1.1\r\nHost: lbd\r\n\r\n"), &text);
	assert_string_equal(text.ptr, HEAD);
	buffer_fini(&text);
	rig_stop(&rig);
}

static void one_stream_too_many_is_refused_until_one_ends(void **state)
{
	int fds[CONTROL_MAX_STREAMS];
	struct buffer text;
	struct rig rig;
	int tries = 0;

	(void)state;
	start(&rig, 0, 1);
	for (int i = 0; i < CONTROL_MAX_STREAMS; i++) {
		fds[i] = rig_connect(&rig);
		rig_send(fds[i], SLICE(ASK));
		expect(fds[i], HEAD "id: 1\n\n");
	}
	rig_ask(&rig, SLICE("GET /v1/stream HTTP/1.1\r\nHost: lbd\r\nConnection: close\r\n\r\n"),
		&text);
	assert_non_null(strstr(text.ptr, "HTTP/1.1 503"));
	assert_non_null(strstr(text.ptr, "too_many_streams"));
	buffer_fini(&text);
	close(fds[0]);
	/* The server hears of the end in its own time. */
	do {
		char first[13] = "";

		fds[0] = rig_connect(&rig);
		rig_send(fds[0], SLICE(ASK));
		rig_read(fds[0], first, sizeof(first) - 1);
		if (strcmp(first, "HTTP/1.1 200") == 0)
			break;
		close(fds[0]);
	} while (++tries < 1000);
	assert_true(tries < 1000);
	for (int i = 0; i < CONTROL_MAX_STREAMS; i++)
		close(fds[i]);
	rig_stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_sends_what_is_there_and_then_what_comes),
		cmocka_unit_test(a_reader_says_what_it_had_last),
		cmocka_unit_test(a_quiet_stream_is_kept_alive_by_comments),
		cmocka_unit_test(head_of_a_stream_is_a_head_alone),
		cmocka_unit_test(one_stream_too_many_is_refused_until_one_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
