/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests and responses of one byte: what a path costs and how long it takes.
 *
 *   rr serve PORT
 *       gives every byte back; one thread, until it is ended
 *   rr ask ADDRESS PORT keep|connect CONNECTIONS RATE SECONDS
 *       RATE requests a second, evenly spread over CONNECTIONS threads, each of which waits for its
 *       answer; "connect": each over a connection of its own, which counts to the request. Prints
 *       how many there were, in how many seconds, the median and 99th percentile of their times in
 * microseconds, and the microseconds that all CPUs of the machine were busy meanwhile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS  256
#define MAX_THREADS 64
#define MAX_SECONDS 60
#define MAX_RATE    100000
#define NS	    1000000000LL
#define BEFORE_NS   (NS / 5) /* /proc/stat counts in hundredths of a second */

static struct sockaddr_in server;
static bool keep;
static long long period_ns; /* of one thread's requests */
static unsigned turns;	    /* ... how many */

struct asker {
	pthread_t thread;
	long long first_ns;
	uint32_t *took_us;
	int fd;
};

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "rr: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned number_of(const char *text, unsigned most)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*end || !number || number > most) {
		errno = EINVAL;
		die(text);
	}
	return (unsigned)number;
}

/* ---- Server --------------------------------------------------------------------------------- */

static void watch(int epoll_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static void accept_all(int epoll_fd, int listener)
{
	const int on = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		watch(epoll_fd, fd);
	}
}

static void answer(int fd)
{
	char bytes[64];
	ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || send(fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
		(void)close(fd);
}

static int serve(char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)number_of(argv[0], 65535))};
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event events[MAX_EVENTS];
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (void *)&addr, sizeof(addr)) < 0 || listen(fd, 4096) < 0 || epoll_fd < 0)
		die("cannot listen");
	watch(epoll_fd, fd);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == fd)
				accept_all(epoll_fd, fd);
			else
				answer(events[i].data.fd);
		}
	}
}

/* ---- Client --------------------------------------------------------------------------------- */

static long long now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

static void sleep_until(long long ns)
{
	const struct timespec ts = {.tv_sec = ns / NS, .tv_nsec = ns % NS};

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int connected(void)
{
	const struct timeval patience = {.tv_sec = 3};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (void *)&server, sizeof(server)) < 0)
		die("connect");
	return fd;
}

static void exchange(int fd)
{
	char byte = 'x';

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
		die("no answer");
}

static void request(const struct asker *asker)
{
	int fd = keep ? asker->fd : connected();

	exchange(fd);
	if (!keep)
		(void)close(fd);
}

static void *ask_all(void *ctx)
{
	struct asker *asker = ctx;

	for (unsigned i = 0; i < turns; i++) {
		long long began;

		sleep_until(asker->first_ns + i * period_ns);
		began = now_ns();
		request(asker);
		asker->took_us[i] = (uint32_t)((now_ns() - began) / 1000);
	}
	return NULL;
}

/*
 * Of all CPUs together, while idle or robbed by the hypervisor: fields 4, 5 and 8 of the first line
 * (proc_stat(5)). A tickless idle is measured, not sampled.
 */
static long long unused_us(void)
{
	unsigned long long field[8];
	FILE *file = fopen("/proc/stat", "re");
	int n = 0;

	if (file)
		n = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &field[0],
			   &field[1], &field[2], &field[3], &field[4], &field[5], &field[6],
			   &field[7]);
	if (n != 8)
		die("cannot read /proc/stat");
	(void)fclose(file);
	return (long long)(field[3] + field[4] + field[7]) * 1000000 / sysconf(_SC_CLK_TCK);
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void ask_by_threads(struct asker *askers, unsigned threads)
{
	const long long begin_ns = now_ns() + NS / 100;

	for (unsigned i = 0; i < threads; i++) {
		askers[i].first_ns = begin_ns + i * period_ns / threads;
		if (pthread_create(&askers[i].thread, NULL, ask_all, &askers[i]))
			die("pthread_create");
	}
	for (unsigned i = 0; i < threads; i++)
		(void)pthread_join(askers[i].thread, NULL);
}

/* Of all CPUs, while nothing is asked for. */
static double others_part(void)
{
	long long began = now_ns(), unused = unused_us(), all;

	sleep_until(began + BEFORE_NS);
	unused = unused_us() - unused;
	all = (now_ns() - began) / 1000 * sysconf(_SC_NPROCESSORS_ONLN);
	return 1 - (double)unused / (double)all;
}

static void measure(struct asker *askers, unsigned threads, uint32_t *took_us)
{
	const unsigned count = threads * turns;
	long long unused, wall;
	double others;

	for (unsigned i = 0; i < threads; i++) {
		askers[i].took_us = took_us + (size_t)i * turns;
		askers[i].fd = keep ? connected() : -1;
		request(&askers[i]); /* neighbours and caches are no part of it */
	}
	others = others_part();
	wall = now_ns();
	unused = unused_us();
	ask_by_threads(askers, threads);
	unused = unused_us() - unused;
	wall = (now_ns() - wall) / 1000;
	qsort(took_us, count, sizeof(*took_us), by_size);
	(void)printf("%u %.3f %u %u %lld %.2f\n", count, (double)wall / 1e6, took_us[count / 2],
		     took_us[count - 1 - count / 100],
		     wall * sysconf(_SC_NPROCESSORS_ONLN) - unused, others);
}

static int ask(char **argv)
{
	static struct asker askers[MAX_THREADS];
	const unsigned threads = number_of(argv[3], MAX_THREADS);
	const unsigned rate = number_of(argv[4], MAX_RATE);
	const unsigned seconds = number_of(argv[5], MAX_SECONDS);
	uint32_t *took_us;

	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)number_of(argv[1], 65535));
	if (inet_pton(AF_INET, argv[0], &server.sin_addr) != 1)
		die(argv[0]);
	keep = strcmp(argv[2], "keep") == 0;
	period_ns = NS * threads / rate;
	turns = rate * seconds / threads;
	took_us = calloc((size_t)turns * threads, sizeof(*took_us));
	if (!took_us || !turns)
		die("no request to be sent");
	measure(askers, threads, took_us);
	free(took_us);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve(argv + 2);
	if (argc == 8 && strcmp(argv[1], "ask") == 0)
		return ask(argv + 2);
	(void)fprintf(stderr, "usage: rr serve|ask ..., see the head of rr.c\n");
	return 2;
}
