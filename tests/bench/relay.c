/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The least that a proxy can do: one thread, epoll, bytes from one socket to the other and back, a
 * connection to a backend for each client, in turn. The floor under the benchmarks' proxies.
 *
 *   relay PORT NS BACKEND_ADDRESS...    all backends listen on port 80
 *
 * For NS nanoseconds it thinks about each message: what a proxy that has work to do costs although
 * its system calls are the same. 0: it does not even look at the clock.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 256
#define BUFFER	   16384

struct side {
	int fd;
	bool ended; /* freed at the end of the turn: events of this turn may still name it */
	struct side *other;
	struct side *next_ended;
};

static int epoll_fd;
static int64_t think_ns;
static struct side *ended;

static void die(const char *what)
{
	(void)fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct side *side_new(int fd)
{
	struct side *side = calloc(1, sizeof(*side));

	if (!side)
		die("out of memory");
	side->fd = fd;
	return side;
}

static void watch(int fd, struct side *side, unsigned what)
{
	struct epoll_event event = {.events = what, .data.ptr = side};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static void side_end(struct side *side)
{
	if (side->ended)
		return;
	side->ended = true;
	(void)close(side->fd);
	side->next_ended = ended;
	ended = side;
}

static void pair_end(struct side *side)
{
	side_end(side->other);
	side_end(side);
}

static void accept_all(int listener, const struct sockaddr_in *backends, int count)
{
	static unsigned turn;
	const int on = 1;

	for (;;) {
		int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct side *one, *two;
		int server;

		if (client < 0)
			return;
		server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		/* Blocking, for a backend on the same network: not what is measured. */
		if (server < 0 || connect(server, (const void *)&backends[turn++ % (unsigned)count],
					  sizeof(backends[0])) < 0)
			die("cannot connect to a backend");
		(void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		one = side_new(client);
		two = side_new(server);
		one->other = two;
		two->other = one;
		watch(client, one, EPOLLIN);
		watch(server, two, EPOLLIN);
	}
}

static int64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void think(void)
{
	int64_t until = think_ns > 0 ? now_ns() + think_ns : 0;

	while (until > 0 && now_ns() < until)
		;
}

/* All of one read goes out at once: the benchmark's messages are far smaller than a socket's
 * buffer, and a peer that does not read ends the pair. */
static void move(struct side *side)
{
	char bytes[BUFFER];
	ssize_t n = recv(side->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	think();
	if (n <= 0 || send(side->other->fd, bytes, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
		pair_end(side);
}

static int listen_on(const char *port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (void *)&addr, sizeof(addr)) < 0 || listen(fd, 4096) < 0)
		die("cannot listen");
	return fd;
}

static void run(int listener, const struct sockaddr_in *backends, int count)
{
	struct epoll_event events[MAX_EVENTS];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct side *side = events[i].data.ptr;

			if (!side)
				accept_all(listener, backends, count);
			else if (!side->ended)
				move(side);
		}
		while (ended) {
			struct side *side = ended;

			ended = side->next_ended;
			free(side);
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in backends[16] = {0};
	int count = argc - 3, listener;

	if (count < 1 || count > 16) {
		(void)fprintf(stderr, "usage: relay PORT NS BACKEND_ADDRESS...\n");
		return 2;
	}
	think_ns = strtoll(argv[2], NULL, 10);
	for (int i = 0; i < count; i++) {
		backends[i].sin_family = AF_INET;
		backends[i].sin_port = htons(80);
		if (inet_pton(AF_INET, argv[i + 3], &backends[i].sin_addr) != 1)
			die(argv[i + 3]);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		die("epoll_create1");
	listener = listen_on(argv[1]);
	watch(listener, NULL, EPOLLIN);
	run(listener, backends, count);
}
