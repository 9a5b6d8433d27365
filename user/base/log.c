/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 1024
#define QUEUE_LINES  512
#define STOP_WAIT_S  2

static const char *const level_words[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
const struct strtable log_level_names = STRTABLE(level_words);

/* One log per process; the queue is a ring under <lock>. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool running;
	bool stopping;
	unsigned head, tail; /* head - tail lines are queued */
	unsigned long dropped;
	char lines[QUEUE_LINES][LINE_MAX_LEN];
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static atomic_int threshold = LOG_LEVEL_INFO;

static void put(const char *line)
{
	size_t len = strlen(line);

	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody is left to tell */
		line += n;
		len -= (size_t)n;
	}
}

/* Called with the lock held, which it drops while it writes. */
static void drain(void)
{
	while (queue.tail != queue.head) {
		char line[LINE_MAX_LEN];
		unsigned long dropped = queue.dropped;

		memcpy(line, queue.lines[queue.tail % QUEUE_LINES], sizeof(line));
		queue.tail++;
		queue.dropped = 0;
		pthread_mutex_unlock(&queue.lock);
		put(line);
		if (dropped > 0) {
			(void)snprintf(line, sizeof(line), "warning: %lu log lines dropped\n",
				       dropped);
			put(line);
		}
		pthread_mutex_lock(&queue.lock);
	}
}

static void *writer(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&queue.lock);
	for (;;) {
		drain();
		if (queue.stopping)
			break;
		pthread_cond_wait(&queue.wake, &queue.lock);
	}
	pthread_mutex_unlock(&queue.lock);
	return NULL;
}

int log_start(void)
{
	int err;

	/* The writer looks at <stopping> first of all, and finds it unlocked with all set. */
	pthread_mutex_lock(&queue.lock);
	queue.stopping = false;
	err = pthread_create(&queue.thread, NULL, writer, NULL);
	queue.running = err == 0;
	pthread_mutex_unlock(&queue.lock);
	return -err;
}

/* Who reads our standard error may have stopped: then the thread is left where it is. */
static void join_writer(void)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	if (pthread_timedjoin_np(queue.thread, NULL, &until) != 0)
		(void)pthread_detach(queue.thread);
}

void log_stop(void)
{
	pthread_mutex_lock(&queue.lock);
	if (!queue.running) {
		pthread_mutex_unlock(&queue.lock);
		return;
	}
	queue.running = false;
	queue.stopping = true;
	pthread_cond_signal(&queue.wake);
	pthread_mutex_unlock(&queue.lock);
	join_writer();
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

static void enqueue(const char *line)
{
	pthread_mutex_lock(&queue.lock);
	if (!queue.running) {
		pthread_mutex_unlock(&queue.lock);
		put(line);
		return;
	}
	if (queue.head - queue.tail == QUEUE_LINES)
		queue.dropped++;
	else
		memcpy(queue.lines[queue.head++ % QUEUE_LINES], line, strlen(line) + 1);
	pthread_cond_signal(&queue.wake);
	pthread_mutex_unlock(&queue.lock);
}

/* Text of peers may be in a message: it must not begin lines of its own, or move a cursor. */
static void blank_controls(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	struct timespec now;
	struct tm tm;
	size_t used;
	int n;
	va_list args;

	if ((int)level > atomic_load_explicit(&threshold, memory_order_relaxed))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	used = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	used += (size_t)snprintf(line + used, sizeof(line) - used,
				 ".%03ldZ %s: ", now.tv_nsec / 1000000, level_words[level]);
	va_start(args, fmt);
	n = vsnprintf(line + used, sizeof(line) - used - 1, fmt, args);
	va_end(args);
	if (n > 0)
		used += (size_t)n < sizeof(line) - used - 2 ? (size_t)n : sizeof(line) - used - 2;
	line[used] = '\0';
	blank_controls(line);
	line[used] = '\n';
	line[used + 1] = '\0';
	enqueue(line);
}
