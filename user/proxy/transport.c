/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/socket.h"

int transport_open(struct transport *transport, struct loop *loop, int fd,
		   void (*on_ready)(struct source *))
{
	int err = loop_add(loop, &transport->source, fd, on_ready);

	transport->loop = loop;
	if (err < 0) {
		close(fd);
		transport->source.fd = -1;
	}
	return err;
}

void transport_close(struct transport *transport)
{
	if (transport->source.fd < 0)
		return;
	loop_remove(transport->loop, &transport->source);
	close(transport->source.fd);
	transport->source.fd = -1;
}

int transport_give_away(struct transport *transport)
{
	int fd = transport->source.fd;

	loop_remove(transport->loop, &transport->source);
	transport->source.fd = -1;
	return fd;
}

bool transport_broken(const struct transport *transport)
{
	return transport_hung_up(transport) && socket_error(transport->source.fd) < 0;
}

void transport_drop(int fd)
{
	socket_close_reset(fd);
}

void transport_reset(struct transport *transport)
{
	if (transport->source.fd < 0)
		return;
	loop_remove(transport->loop, &transport->source);
	socket_close_reset(transport->source.fd);
	transport->source.fd = -1;
}

/* What errno says of a read; -EAGAIN: the next edge tells of more. */
static ssize_t read_failed(struct transport *transport)
{
	int err = errno;

	if (err == EAGAIN)
		transport->source.ready &= ~(unsigned)LOOP_READ;
	return -err;
}

/* A short read has emptied the socket; the next edge tells of more. But a FIN that came with the
 * same edge has none of its own, so after a hang-up the end has to be read. */
ssize_t transport_read(struct transport *transport, void *data, size_t size)
{
	ssize_t n;

	do {
		n = recv(transport->source.fd, data, size, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return read_failed(transport);
	if ((size_t)n < size && !transport_hung_up(transport))
		transport->source.ready &= ~(unsigned)LOOP_READ;
	return n;
}

ssize_t transport_peek(struct transport *transport, void *data, size_t size)
{
	ssize_t n;

	do {
		n = recv(transport->source.fd, data, size, MSG_PEEK);
	} while (n < 0 && errno == EINTR);
	return n >= 0 ? n : read_failed(transport);
}

ssize_t transport_write(struct transport *transport, const void *data, size_t size)
{
	ssize_t n;

	do {
		n = send(transport->source.fd, data, size, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		int err = errno;

		/* The peer may have spoken before it closed, or there is an error to read. */
		transport->source.ready |= LOOP_READ;
		return -err;
	}
	if (n < (ssize_t)size)
		transport->source.ready &= ~(unsigned)LOOP_WRITE;
	return n < 0 ? -EAGAIN : n;
}

/* Only an empty pipe tells a socket without bytes from a pipe without room. A short count says
 * nothing: the pipe's slots may be used up. */
ssize_t transport_splice_in(struct transport *transport, int pipe_fd, size_t size)
{
	ssize_t n;

	do {
		n = splice(transport->source.fd, NULL, pipe_fd, NULL, size,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	return n >= 0 ? n : read_failed(transport);
}

/* Raises SIGPIPE where write() would, with no flag against it: it is ignored (net/signal.h). */
ssize_t transport_splice_out(struct transport *transport, int pipe_fd, size_t size)
{
	ssize_t n;

	do {
		n = splice(pipe_fd, NULL, transport->source.fd, NULL, size,
			   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	transport->source.ready &= ~(unsigned)LOOP_WRITE;
	if (errno == EAGAIN)
		return -EAGAIN;
	transport->source.ready |= LOOP_READ;
	return -errno;
}

void transport_shutdown(struct transport *transport)
{
	if (transport->source.fd >= 0)
		shutdown(transport->source.fd, SHUT_WR);
}

uint32_t transport_unacked(const struct transport *transport)
{
	int unacked = 0;

	return ioctl(transport->source.fd, SIOCOUTQ, &unacked) < 0 ? 0 : (uint32_t)unacked;
}

bool transport_quiet(const struct transport *transport)
{
	char byte;

	if (transport->source.ready & (LOOP_READ | LOOP_HANGUP))
		return false;
	return recv(transport->source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}
