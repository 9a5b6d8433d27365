/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rig.h"

#include "http/message.h"
#include "proxy/buffer_pool.h"

#define HEAD_END "\r\n\r\n"
#define BIG	 (8U << 20)
#define PIECE	 60000

/* Byte <at> of every large body here. */
static char pattern(uint64_t at)
{
	return (char)('a' + (at * 31 + at / 4096) % 26);
}

static void fill(char *text, uint64_t at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = pattern(at + i);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Sends BIG bytes of the pattern, chunked or plain. */
static bool send_big(int fd, bool chunked)
{
	static _Thread_local char piece[PIECE];
	char head[32];

	for (uint64_t at = 0; at < BIG; at += PIECE) {
		size_t len = smaller(PIECE, BIG - at);

		fill(piece, at, len);
		snprintf(head, sizeof(head), "%zx\r\n", len);
		if (chunked && !rig_send(fd, head, strlen(head)))
			return false;
		if (!rig_send(fd, piece, len) || (chunked && !rig_send(fd, "\r\n", 2)))
			return false;
	}
	return !chunked || rig_send(fd, "0\r\n\r\n", 5);
}

/* Reads a body and says how many of its bytes are as the pattern says. */
struct sink {
	uint64_t right;
	struct http_chunked chunked;
	bool is_chunked;
	bool done;
};

static void take(struct sink *sink, struct slice data)
{
	for (size_t i = 0; i < data.len; i++)
		sink->right += data.ptr[i] == pattern(sink->right);
	sink->done = sink->is_chunked ? sink->chunked.done : sink->right == BIG;
}

static size_t take_chunked(struct sink *sink, struct slice in)
{
	size_t used = 0;

	for (;;) {
		struct http_refusal refusal;
		struct slice data = {NULL, 0};
		ssize_t n = http_chunked_read(&sink->chunked,
					      (struct slice){in.ptr + used, in.len - used}, &data,
					      &refusal);

		if (n <= 0)
			return used;
		used += (size_t)n;
		take(sink, data);
	}
}

static uint64_t read_big(int fd, bool chunked)
{
	static _Thread_local char text[RIG_TEXT];
	struct sink sink = {.is_chunked = chunked};
	size_t len = 0;

	http_chunked_init(&sink.chunked);
	while (!sink.done) {
		ssize_t n = recv(fd, text + len, sizeof(text) - len, 0);
		size_t used;

		if (n <= 0)
			break;
		len += (size_t)n;
		used = len;
		if (chunked)
			used = take_chunked(&sink, (struct slice){text, len});
		else
			take(&sink, (struct slice){text, len});
		memmove(text, text + used, len - used);
		len -= used;
	}
	return sink.done ? sink.right : 0;
}

struct transfer {
	const char *name;
	bool up_chunked;
	bool down_chunked;
};

/* Reads a large request body, then sends a large response. */
static void serve_big(struct origin *origin, int fd, unsigned n)
{
	const struct transfer *transfer = origin->script;
	char text[4096];

	(void)n;
	while (rig_read_until(fd, text, sizeof(text), HEAD_END) > 0) {
		if (read_big(fd, transfer->up_chunked) == BIG)
			origin_saw(origin, "whole");
		if (transfer->down_chunked)
			rig_say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		else
			rig_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
		if (!send_big(fd, transfer->down_chunked))
			return;
		origin_saw(origin, "sent");
	}
}

static void transfer_once(int fd, const struct transfer *transfer)
{
	char text[4096];

	if (transfer->up_chunked)
		rig_say(fd, "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
	else
		rig_say(fd, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 8388608\r\n\r\n");
	assert_true(send_big(fd, transfer->up_chunked));
	assert_true(rig_read_until(fd, text, sizeof(text), HEAD_END) > 0);
	assert_non_null(strstr(text, "200 OK"));
	assert_int_equal(read_big(fd, transfer->down_chunked), BIG);
}

static void eight_megabytes_go_both_ways_in_every_framing(void **state)
{
	static const struct transfer transfers[] = {
		{"length, length", false, false},
		{"chunked, length", true, false},
		{"length, chunked", false, true},
		{"chunked, chunked", true, true},
	};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct rig *rig = rig_new(serve_big, &transfers[i]);
		int fd;

		rig_begin(rig);
		fd = rig_connect(&rig->addr);
		transfer_once(fd, &transfers[i]);
		transfer_once(fd, &transfers[i]); /* both connections are still in order */
		close(fd);
		assert_int_equal(atomic_load(&rig->origin.n_conns), 1);
		rig_free(rig);
	}
}

#define LAST_CHUNK "\r\n0\r\n\r\n"

static bool ends_with(const char *text, size_t len, const char *end)
{
	return len >= strlen(end) && memcmp(text + len - strlen(end), end, strlen(end)) == 0;
}

/* Answers with the number of body bytes that came. */
static void serve_count(struct origin *origin, int fd, unsigned n)
{
	static _Thread_local char text[RIG_TEXT];
	char answer[80];
	size_t len = 0;

	for (n = 0; !ends_with(text, len, origin->script) && len < sizeof(text);) {
		ssize_t got = recv(fd, text + len, sizeof(text) - len, 0);

		if (got <= 0)
			return;
		len += (size_t)got;
	}
	for (size_t i = 0; i < len; i++)
		n += text[i] == '*'; /* is in no head */
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 200 OK\r\nX-Count: %u\r\nContent-Length: 0\r\n\r\n", n);
	rig_say(fd, answer);
}

static void upload_stars(size_t n_data, size_t n_trailer)
{
	const char *end = n_trailer ? "*\r\n\r\n" : LAST_CHUNK;
	struct rig *rig = rig_new(serve_count, end);
	static char text[RIG_TEXT];
	char expected[32];
	size_t len;
	int fd;

	len = (size_t)snprintf(text, sizeof(text),
			       "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
			       "%zx\r\n",
			       n_data);
	memset(text + len, '*', n_data);
	len += n_data;
	if (n_trailer) {
		len += (size_t)sprintf(text + len, "\r\n0\r\nT:");
		memset(text + len, '*', n_trailer);
		len += n_trailer - 1;
	}
	len += (size_t)sprintf(text + len, "%s", end);
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	assert_true(rig_send(fd, text, len));
	(void)snprintf(expected, sizeof(expected), "X-Count: %zu\r\n", n_data + n_trailer);
	assert_true(rig_read_until(fd, text, sizeof(text), HEAD_END) > 0);
	assert_non_null(strstr(text, "200 OK"));
	assert_non_null(strstr(text, expected));
	close(fd);
	rig_free(rig);
}

/*
 * The first buffer is kept for a retry. When it is full and sent, nothing more comes from the
 * client and nothing is left for the backend to take: no event tells that it is in the way.
 */
static void a_chunked_upload_goes_on_where_the_buffer_kept_for_a_retry_ends(void **state)
{
	static const size_t sizes[] = {WIRE_SIZE - 1000,    WIRE_SIZE,	   WIRE_ROOM,
				       2 * WIRE_SIZE - 500, 2 * WIRE_SIZE, 3 * WIRE_ROOM};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		upload_stars(sizes[i], 0);
}

/* A trailer is moved whole: it may have to wait for an empty buffer. */
static void a_long_trailer_goes_on_wherever_the_buffer_ends(void **state)
{
	(void)state;
	for (size_t size = 1000; size < 3 * WIRE_ROOM; size += 1700)
		upload_stars(size, HTTP_MAX_TRAILERS - 4);
}

/* Sends without end until it cannot for a while; reports how much went. */
static void serve_flood(struct origin *origin, int fd, unsigned n)
{
	static char piece[PIECE];
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	size_t sent = 0;
	char text[4096];

	(void)n;
	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0)
		return;
	rig_say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
	while (poll(&p, 1, 300) == 1) {
		ssize_t m = send(fd, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (m <= 0)
			break;
		sent += (size_t)m;
	}
	snprintf(text, sizeof(text), "%zu", sent);
	origin_saw(origin, text);
}

static void a_client_that_does_not_read_stops_the_backend(void **state)
{
	struct rig *rig = rig_new(serve_flood, NULL);
	uint64_t until = clock_ms() + 4 * RIG_WAIT_S * 1000;
	unsigned long long sent;
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	for (;;) {
		pthread_mutex_lock(&rig->origin.lock);
		sent = strtoull(rig->origin.seen, NULL, 10);
		pthread_mutex_unlock(&rig->origin.lock);
		if (sent > 0)
			break;
		assert_true(clock_ms() < until);
		usleep(1000);
	}
	/* What is under way lies in the kernel's socket buffers, not in the proxy. */
	assert_true(sent < 64U << 20);
	assert_int_equal(rig_read_until(fd, text, sizeof(text), HEAD_END) > 0, 1);
	close(fd);
	rig_free(rig);
}

/* Answers before the body is there, then waits for the end. */
static void serve_early(struct origin *origin, int fd, unsigned n)
{
	char text[4096];

	(void)n;
	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0)
		return;
	rig_say(fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch");
	if (rig_closed(fd, RIG_WAIT_S * 1000))
		origin_saw(origin, "closed");
}

static void an_early_answer_is_forwarded_and_both_sides_closed(void **state)
{
	struct rig *rig = rig_new(serve_early, NULL);
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\npart");
	assert_true(rig_read_until(fd, text, sizeof(text), NULL) > 0);
	assert_non_null(strstr(text, "413 Too Large"));
	assert_non_null(strstr(text, "Connection: close"));
	assert_non_null(strstr(text, "much"));
	close(fd);
	origin_stop(&rig->origin);
	rig->origin.serve = NULL;
	assert_string_equal(rig->origin.seen, "closed");
	rig_free(rig);
}

/* Echoes after a 101. */
static void serve_upgrade(struct origin *origin, int fd, unsigned n)
{
	char text[4096];
	ssize_t len;

	(void)n;
	if (rig_read_until(fd, text, sizeof(text), HEAD_END) <= 0)
		return;
	origin_saw(origin, text);
	rig_say(fd, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
		    "Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst");
	while ((len = recv(fd, text, sizeof(text), 0)) > 0)
		rig_send(fd, text, (size_t)len);
	rig_say(fd, "last");
}

static void an_upgrade_becomes_a_tunnel_after_101(void **state)
{
	struct rig *rig = rig_new(serve_upgrade, NULL);
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	/* "early" comes before the 101 and may not be read as a request. */
	rig_say(fd, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		    "Sec-WebSocket-Key: k\r\n\r\nearly");
	assert_true(rig_read_until(fd, text, sizeof(text), "firstearly") > 0);
	assert_non_null(strstr(text, "101 Switching Protocols"));
	assert_non_null(strstr(text, "Upgrade: websocket"));
	assert_non_null(strstr(text, "Connection: upgrade"));
	rig_say(fd, "GET / HTTP/1.1\r\n\r\n");
	assert_true(rig_read_until(fd, text, sizeof(text), "GET / HTTP/1.1\r\n\r\n") > 0);
	shutdown(fd, SHUT_WR);
	assert_true(rig_read_until(fd, text, sizeof(text), NULL) > 0);
	assert_string_equal(text, "last");
	close(fd);
	assert_non_null(strstr(rig->origin.seen, "Upgrade: websocket"));
	rig_free(rig);
}

static void a_refused_upgrade_stays_http(void **state)
{
	struct rig *rig = rig_new(serve_early, NULL);
	char text[4096];
	int fd;

	(void)state;
	rig_begin(rig);
	fd = rig_connect(&rig->addr);
	rig_say(fd,
		"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
	assert_true(rig_read_until(fd, text, sizeof(text), "much") > 0);
	assert_null(strstr(text, "Connection:"));
	rig_say(fd, "BAD\r\n\r\n"); /* read as HTTP by the proxy, not passed on */
	assert_true(rig_read_until(fd, text, sizeof(text), NULL) > 0);
	assert_non_null(strstr(text, "HTTP/1.1 400 "));
	close(fd);
	rig_free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_megabytes_go_both_ways_in_every_framing),
		cmocka_unit_test(a_chunked_upload_goes_on_where_the_buffer_kept_for_a_retry_ends),
		cmocka_unit_test(a_long_trailer_goes_on_wherever_the_buffer_ends),
		cmocka_unit_test(a_client_that_does_not_read_stops_the_backend),
		cmocka_unit_test(an_early_answer_is_forwarded_and_both_sides_closed),
		cmocka_unit_test(an_upgrade_becomes_a_tunnel_after_101),
		cmocka_unit_test(a_refused_upgrade_stays_http),
	};

	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
