/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/signal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void fill_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGUSR1);
}

int signals_block(void)
{
	sigset_t set;

	fill_set(&set);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void on_ready(struct source *source)
{
	struct signals *signals = container_of(source, struct signals, source);
	struct signalfd_siginfo info;

	/* The callback may have closed us: then nothing is ready any more. */
	while (source->ready & LOOP_READ) {
		ssize_t n = read(source->fd, &info, sizeof(info));

		if (n == sizeof(info))
			signals->on_signal(signals, (int)info.ssi_signo);
		else if (n >= 0 || errno != EINTR)
			source->ready &= ~(unsigned)LOOP_READ;
	}
}

int signals_init(struct signals *signals, struct loop *loop,
		 void (*on_signal)(struct signals *signals, int number))
{
	sigset_t set;
	int fd, err;

	fill_set(&set);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	signals->on_signal = on_signal;
	err = loop_add(loop, &signals->source, fd, on_ready);
	if (err)
		close(fd);
	return err;
}

void signals_fini(struct signals *signals, struct loop *loop)
{
	if (!signals->source.on_ready)
		return;
	loop_remove(loop, &signals->source);
	close(signals->source.fd);
}
