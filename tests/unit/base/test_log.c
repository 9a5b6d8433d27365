/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/log.h"

#define THREADS 4
#define LINES	200

/* What was logged, by way of a file that stands in for stderr. */
static char logged[2 << 20];
static int real_stderr;

static int redirect(void **state)
{
	FILE *file = tmpfile();

	(void)state;
	real_stderr = dup(STDERR_FILENO);
	if (!file || dup2(fileno(file), STDERR_FILENO) < 0)
		return -1;
	return fclose(file);
}

/* Reads it all and returns how many lines it is. */
static int read_back(void)
{
	ssize_t n = pread(STDERR_FILENO, logged, sizeof(logged) - 1, 0);
	int lines = 0;

	assert_true(n >= 0);
	logged[n] = '\0';
	for (const char *c = logged; *c; c++)
		lines += *c == '\n';
	return lines;
}

static int restore(void **state)
{
	(void)state;
	log_stop();
	log_set_level(LOG_LEVEL_INFO);
	return dup2(real_stderr, STDERR_FILENO) < 0 ? -1 : close(real_stderr);
}

static void a_line_has_time_level_and_text(void **state)
{
	(void)state;
	log_error("cannot bind '%s': %s", "10.0.0.1:80", "Address already in use");
	assert_int_equal(read_back(), 1);
	assert_non_null(strstr(logged, "Z error: cannot bind '10.0.0.1:80': Address already"));
	assert_int_equal(logged[4], '-');
	assert_int_equal(logged[10], 'T');
}

static void the_level_decides_what_is_written(void **state)
{
	(void)state;
	log_debug("not this");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("this");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("nor this");
	assert_int_equal(read_back(), 1);
	assert_non_null(strstr(logged, "debug: this\n"));
}

static void one_message_is_one_line_whatever_it_holds(void **state)
{
	static char text[5000];

	(void)state;
	log_error("peer said '%s'", "a\r\n2026-01-01 error: forged\x1b[2J\x7f");
	assert_int_equal(read_back(), 1);
	assert_null(strchr(logged, '\r'));
	assert_null(strchr(logged, '\x1b'));
	memset(text, 'x', sizeof(text) - 1);
	log_error("%s", text);
	assert_int_equal(read_back(), 2);
}

static void *log_many(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_info("thread %d line %d", *(int *)arg, i);
	return NULL;
}

/* Sums what is in the file and what the writer says it dropped. */
static int count_accounted(void)
{
	int accounted = 0;

	(void)read_back();
	for (char *line = logged; *line; line = strchr(line, '\n') + 1) {
		int dropped;

		if (sscanf(line, "warning: %d log lines dropped", &dropped) == 1)
			accounted += dropped;
		else
			accounted++;
	}
	return accounted;
}

static void every_line_of_many_threads_is_written_or_counted_as_dropped(void **state)
{
	pthread_t threads[THREADS];
	int numbers[THREADS];

	(void)state;
	for (int round = 1; round <= 3; round++) { /* it can be started again */
		assert_int_equal(log_start(), 0);
		for (int i = 0; i < THREADS; i++) {
			numbers[i] = i;
			assert_int_equal(pthread_create(&threads[i], NULL, log_many, &numbers[i]),
					 0);
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		log_stop();
		log_stop(); /* twice is fine */
		assert_int_equal(count_accounted(), round * THREADS * LINES);
	}
}

static void a_reader_that_stopped_does_not_hold_up_the_end(void **state)
{
	char fill[4096] = "";
	struct timespec began, ended;
	int ends[2];

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	while (write(ends[1], fill, sizeof(fill)) > 0)
		;
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	assert_int_equal(log_start(), 0);
	log_error("nobody reads this");
	(void)clock_gettime(CLOCK_MONOTONIC, &began);
	log_stop();
	(void)clock_gettime(CLOCK_MONOTONIC, &ended);
	assert_true(ended.tv_sec - began.tv_sec < 10);
	close(ends[0]);
	close(ends[1]);
}

static void an_error_keeps_code_field_and_message(void **state)
{
	struct error err = {0};

	(void)state;
	assert_int_equal(error_set(NULL, -5, "x", "y"), -5);
	assert_int_equal(error_set(&err, -22, "weight", "'%d' is above 256", 300), -22);
	assert_int_equal(err.code, -22);
	assert_string_equal(err.field, "weight");
	assert_string_equal(err.message, "'300' is above 256");
	error_set(&err, -1, NULL, "%s", "");
	assert_string_equal(err.field, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, redirect, restore)
		T(a_line_has_time_level_and_text),
		T(the_level_decides_what_is_written),
		T(one_message_is_one_line_whatever_it_holds),
		T(every_line_of_many_threads_is_written_or_counted_as_dropped),
		T(a_reader_that_stopped_does_not_hold_up_the_end),
		cmocka_unit_test(an_error_keeps_code_field_and_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
