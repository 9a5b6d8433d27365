/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "observe/access_log.h"
#include "observe/log_writer.h"

#define WAIT_MS 5000
#define END_US	1700000000123456LL /* 2023-11-14T22:13:20.123Z */

static char directory[] = "/tmp/lbd-access-XXXXXX";

/* In the place of the C library's: what it says of the wall clock is so much ahead of what the
 * kernel goes by, as if that were set back behind each look at it. */
static atomic_int wall_ahead_s;

int clock_gettime(clockid_t id, struct timespec *now)
{
	long r = syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_REALTIME)
		now->tv_sec += atomic_load(&wall_ahead_s);
	return (int)r;
}

static const char *path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static const struct access_entry entry = {
	.client = {.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}, .port = 0x5000},
	.service = "web",
	.pool = "p",
	.backend = "b1",
	.protocol = "http",
	.method = {"GET", 3},
	.target = {"/a\"b", 4},
	.host = {"example.com", 11},
	.user_agent = {"x\ny\xff", 4},
	.minor = 1,
	.status = 200,
	.reason = "ok",
	.bytes_in = 77,
	.bytes_out = 1234,
	.queue_us = 0,
	.connect_us = 1500,
	.first_byte_us = 20,
	.total_us = 123456,
	.retries = 1,
	.session = 9,
};

static const struct access_log *open_log(enum access_log_kind kind, const char *format,
					 const char *file)
{
	struct access_log_spec spec = {kind, (char *)format, (char *)file};
	const struct access_log *log;
	struct error err = {0};

	if (access_log_open(&spec, &log, &err) < 0)
		fail_msg("%s", err.message);
	access_log_use(log);
	return log;
}

static void check_line(const struct access_log *log, const struct access_entry *e, const char *want)
{
	char text[1024];
	struct http_writer w = {.ptr = text, .size = sizeof(text)};

	access_log_put(log, e, END_US, &w);
	if (!slice_eq((struct slice){text, w.len}, slice_of(want)))
		fail_msg("expected '%s'\n     got '%.*s'", want, (int)w.len, text);
}

static void a_line_says_what_its_format_names(void **state)
{
	const char *file = path_of("lines");
	struct access_entry refused = {
		.service = "web",
		.pool = "",
		.backend = "",
		.protocol = "http",
		.request = {"G\x01T / HTTP/1.1", 14},
		.minor = -1,
		.status = 400,
		.reason = "bad_method",
		.queue_us = ACCESS_NO_TIME,
		.connect_us = ACCESS_NO_TIME,
		.first_byte_us = ACCESS_NO_TIME,
		.total_us = 5,
	};

	(void)state;
	check_line(open_log(ACCESS_LOG_TEXT, access_log_default, file), &entry,
		   "192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] \"GET /a\\x22b HTTP/1.1\" 200 1234 "
		   "\"-\" \"x\\x0Ay\\xFF\" web p/b1 0.000/1.500/0.020/123.456 ok 1 77 -");
	check_line(
		open_log(ACCESS_LOG_TEXT, "${time} ${client} ${host} ${reused} ${session}", file),
		&entry, "2023-11-14T22:13:20.000Z 192.0.2.1:80 example.com no 9");
	check_line(open_log(ACCESS_LOG_TEXT,
			    "${request}|${method}|${target}|${version}|${status}|${backend}|"
			    "${queue_ms}|${reused}|${reason}",
			    file),
		   &refused, "G\\x01T / HTTP/1.1|-|-|-|400|-|-|-|bad_method");
	check_line(
		open_log(ACCESS_LOG_JSON, NULL, file), &entry,
		"{\"time\":\"2023-11-14T22:13:20.000Z\",\"client\":\"192.0.2.1:80\",\"service\":"
		"\"web\",\"pool\":\"p\",\"backend\":\"b1\",\"protocol\":\"http\",\"method\":"
		"\"GET\",\"target\":\"/a\\\"b\",\"host\":\"example.com\",\"version\":\"HTTP/1.1\","
		"\"request\":null,\"status\":200,\"reason\":\"ok\",\"bytes_in\":77,\"bytes_out\":"
		"1234,\"queue_ms\":0.000,\"connect_ms\":1.500,\"first_byte_ms\":0.020,"
		"\"total_ms\":123.456,\"retries\":1,\"reused\":false,\"request_id\":null,"
		"\"user_agent\":\"x\\ny\\\\xFF\",\"referer\":null,\"session\":9}");
}

static void the_same_log_is_opened_once(void **state)
{
	const char *file = path_of("once");

	(void)state;
	assert_ptr_equal(open_log(ACCESS_LOG_JSON, NULL, file),
			 open_log(ACCESS_LOG_JSON, NULL, file));
	assert_ptr_not_equal(open_log(ACCESS_LOG_JSON, NULL, file),
			     open_log(ACCESS_LOG_TEXT, "x", file));
}

static void a_file_that_cannot_be_opened_is_named(void **state)
{
	struct access_log_spec spec = {ACCESS_LOG_JSON, NULL, (char *)"/nonexistent/dir/log"};
	const struct access_log *log;
	struct error err = {0};

	(void)state;
	assert_int_equal(access_log_open(&spec, &log, &err), -ENOENT);
	assert_string_equal(err.message, "cannot open access log '/nonexistent/dir/log': No such "
					 "file or directory");
}

/* ---- The writer ------------------------------------------------------------------------------ */

static unsigned count_lines(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned lines = 0;
	int c;

	while (file && (c = getc(file)) != EOF)
		lines += c == '\n';
	if (file)
		(void)fclose(file);
	return lines;
}

static bool come_to(unsigned (*read)(const char *), const char *path, unsigned want)
{
	uint64_t until = clock_ms() + WAIT_MS;

	while (read(path) != want) {
		if (clock_ms() > until)
			return false;
		usleep(1000);
	}
	return true;
}

static void lines_come_to_their_file(void **state)
{
	const char *file = path_of("come");
	const struct access_log *log = open_log(ACCESS_LOG_TEXT, "${target}", file);
	struct log_ring *ring = log_writer_ring();
	uint64_t before;

	(void)state;
	access_log_write(log, ring, &entry);
	assert_true(come_to(count_lines, file, 1));
	before = clock_ms();
	access_log_write(log, ring, &entry);
	assert_true(come_to(count_lines, file, 2));
	assert_true(clock_ms() - before < 1000);
	/* Also when the writer sleeps since a second. */
	usleep(1500000);
	access_log_write(log, ring, &entry);
	assert_true(come_to(count_lines, file, 3));
	log_writer_ring_closed(ring);
}

static void lines_come_while_the_wall_clock_is_set_back(void **state)
{
	const char *file = path_of("back");
	const struct access_log *log = open_log(ACCESS_LOG_TEXT, "${target}", file);
	struct log_ring *ring = log_writer_ring();
	bool first, second;

	(void)state;
	atomic_store(&wall_ahead_s, 3600);
	access_log_write(log, ring, &entry);
	first = come_to(count_lines, file, 1);
	access_log_write(log, ring, &entry);
	second = come_to(count_lines, file, 2);
	atomic_store(&wall_ahead_s, 0);
	log_writer_reopen(); /* wakes it */
	assert_true(first);
	assert_true(second);
	log_writer_ring_closed(ring);
}

struct burst {
	const struct access_log *log;
	pthread_t thread;
	unsigned lines;
};

static void *write_burst(void *ctx)
{
	struct burst *burst = ctx;
	struct log_ring *ring = log_writer_ring();

	for (unsigned i = 0; i < burst->lines; i++) {
		access_log_write(burst->log, ring, &entry);
		if (i % 500 == 0)
			usleep(2000);
	}
	log_writer_ring_closed(ring);
	return NULL;
}

static unsigned both(const char *path)
{
	char old[160];

	(void)snprintf(old, sizeof(old), "%s.1", path);
	return count_lines(path) + count_lines(old);
}

static void a_rename_loses_and_tears_no_line(void **state)
{
	const char *file = path_of("rename");
	struct burst bursts[2] = {0};
	char old[160], line[64];
	FILE *f;

	(void)state;
	(void)snprintf(old, sizeof(old), "%s.1", file);
	for (int i = 0; i < 2; i++) {
		bursts[i].log = open_log(ACCESS_LOG_TEXT, "<${reason}>", file);
		bursts[i].lines = 20000;
		assert_int_equal(pthread_create(&bursts[i].thread, NULL, write_burst, &bursts[i]),
				 0);
	}
	while (count_lines(file) == 0)
		usleep(1000);
	assert_int_equal(rename(file, old), 0);
	log_writer_reopen();
	for (int i = 0; i < 2; i++)
		pthread_join(bursts[i].thread, NULL);
	assert_true(come_to(both, file, 40000));
	assert_true(count_lines(file) > 0);
	f = fopen(file, "r");
	while (fgets(line, sizeof(line), f))
		assert_string_equal(line, "<ok>\n");
	(void)fclose(f);
}

static void a_fifo_that_nobody_reads_drops_and_counts(void **state)
{
	const char *fifo = path_of("fifo");
	const struct access_log *log;
	struct log_ring *ring = log_writer_ring();
	struct log_writer_counts before, after;
	uint64_t began, until;
	char text[8192];
	unsigned lines = 0;
	ssize_t n;
	int fd;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	log = open_log(ACCESS_LOG_TEXT, access_log_default, fifo);
	log_writer_counts(&before);
	began = clock_ms();
	for (int i = 0; i < 20000; i++)
		access_log_write(log, ring, &entry);
	assert_true(clock_ms() - began < 2000);
	until = clock_ms() + WAIT_MS;
	do {
		usleep(1000);
		log_writer_counts(&after);
	} while (after.dropped == before.dropped && clock_ms() < until);
	assert_true(after.dropped > before.dropped);
	/* The first reader gets whole lines from the first one on. */
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	while ((n = read(fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
		usleep(30000);
	}
	close(fd);
	assert_true(lines > 500);
	log_writer_ring_closed(ring);
}

static void a_full_ring_drops_and_counts(void **state)
{
	struct log_ring *ring = log_ring_new();
	struct slice line;
	uint32_t file;
	unsigned put = 0, got = 0;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		char *room = log_ring_begin(ring);

		if (!room)
			continue;
		memset(room, 'x', 100);
		log_ring_end(ring, 3, 100);
		put++;
	}
	assert_true(put > 9000 && put < 10000);
	assert_int_equal(ring->dropped, 100000 - put);
	while (log_ring_next(ring, &file, &line)) {
		assert_int_equal(file, 3);
		assert_int_equal(line.len, 100);
		log_ring_done(ring);
		got++;
	}
	assert_int_equal(got, put);
	/* Around the end. */
	for (int i = 0; i < 50000; i++) {
		char *room = log_ring_begin(ring);
		size_t len = 1 + (size_t)i % 3000;

		assert_non_null(room);
		memset(room, 'a' + i % 26, len);
		log_ring_end(ring, (uint32_t)i, len);
		assert_true(log_ring_next(ring, &file, &line));
		assert_int_equal(file, i);
		assert_int_equal(line.len, len);
		assert_int_equal(line.ptr[len - 1], 'a' + i % 26);
		log_ring_done(ring);
	}
	log_ring_free(ring);
}

static int start(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	return mkdtemp(directory) && log_writer_start() == 0 ? 0 : -1;
}

static int stop(void **state)
{
	char command[160];

	(void)state;
	log_writer_stop();
	access_log_fini();
	(void)snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_says_what_its_format_names),
		cmocka_unit_test(the_same_log_is_opened_once),
		cmocka_unit_test(a_file_that_cannot_be_opened_is_named),
		cmocka_unit_test(lines_come_to_their_file),
		cmocka_unit_test(lines_come_while_the_wall_clock_is_set_back),
		cmocka_unit_test(a_rename_loses_and_tears_no_line),
		cmocka_unit_test(a_fifo_that_nobody_reads_drops_and_counts),
		cmocka_unit_test(a_full_ring_drops_and_counts),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
