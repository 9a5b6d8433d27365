/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0640 /* addresses and targets are nobody's business but the operator's */

int log_file_open(const char *path)
{
	struct stat st;
	int flags = O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd;

	if (strcmp(path, LOG_STDERR) == 0)
		return STDERR_FILENO;
	/* Opened for reading too, a FIFO needs no reader yet and loses nothing with it (fifo(7)).
	 */
	flags |= stat(path, &st) == 0 && S_ISFIFO(st.st_mode) ? O_RDWR : O_WRONLY;
	fd = open(path, flags, MODE);
	return fd < 0 ? -errno : fd;
}

struct log_file *log_file_new(const char *path)
{
	struct log_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->fd = -1;
	file->path = strdup(path);
	file->buffer = malloc(LOG_FILE_BUFFER);
	if (file->path && file->buffer)
		return file;
	log_file_free(file);
	return NULL;
}

static void close_it(struct log_file *file)
{
	if (file->fd > STDERR_FILENO)
		close(file->fd);
	file->fd = -1;
}

void log_file_free(struct log_file *file)
{
	if (!file)
		return;
	close_it(file);
	free(file->path);
	free(file->buffer);
	free(file);
}

void log_file_adopt(struct log_file *file, int fd)
{
	log_file_flush(file);
	close_it(file);
	file->fd = fd;
	/* A line that the old file has a part of is written to the new one whole. */
	file->sent = 0;
	file->trouble = 0;
}

/* The standard error is shared with whoever started us, so it cannot be made non-blocking: what a
 * pipe says it takes is PIPE_BUF bytes (pipe(7)). */
static ssize_t write_some(const struct log_file *file, const char *data, size_t len)
{
	struct pollfd p = {.fd = file->fd, .events = POLLOUT};
	ssize_t n;

	if (file->fd == STDERR_FILENO) {
		if (poll(&p, 1, 0) != 1)
			return -EAGAIN;
		len = len < PIPE_BUF ? len : PIPE_BUF;
	}
	n = write(file->fd, data, len);
	return n < 0 ? -errno : n;
}

/* What is left begins with the line that was not sent whole. */
static void forget_sent(struct log_file *file)
{
	const char *end = file->sent ? memrchr(file->buffer, '\n', file->sent) : NULL;
	size_t whole = end ? (size_t)(end + 1 - file->buffer) : 0;

	memmove(file->buffer, file->buffer + whole, file->len - whole);
	file->len -= whole;
	file->sent -= whole;
}

void log_file_flush(struct log_file *file)
{
	if (file->fd < 0 || file->len == 0)
		return;
	file->trouble = 0;
	while (file->sent < file->len) {
		ssize_t n = write_some(file, file->buffer + file->sent, file->len - file->sent);

		if (n == -EINTR)
			continue;
		if (n < 0) {
			file->trouble = (int)n;
			break;
		}
		file->sent += (size_t)n;
	}
	forget_sent(file);
}

void log_file_put(struct log_file *file, struct slice line)
{
	if (line.len > LOG_FILE_BUFFER - file->len && file->trouble == 0)
		log_file_flush(file);
	if (line.len > LOG_FILE_BUFFER - file->len) {
		file->dropped++;
		return;
	}
	memcpy(file->buffer + file->len, line.ptr, line.len);
	file->len += line.len;
}
