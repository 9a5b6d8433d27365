/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A file that lines are written to, whole, without ever waiting for whoever reads it.
 *
 * For: the log writer. Owns: a descriptor and a bounded buffer. May know: base.
 * What the file does not take now (a full disk, a FIFO nobody reads) waits in the buffer; lines
 * that do not fit it are dropped and counted. "stderr" is the standard error.
 */
#ifndef OBSERVE_LOG_FILE_H
#define OBSERVE_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "observe/spec.h"

#define LOG_FILE_BUFFER (256U << 10)

struct log_file {
	char *path;
	int fd; /* -1: not open */
	char *buffer;
	size_t len;	  /* of whole lines in <buffer> */
	size_t sent;	  /* of the first line: the file took a part of it */
	uint64_t dropped; /* lines */
	int trouble;	  /* -errno of the last write; 0: it took all */
};

/* A descriptor for log_file_adopt(), or -errno. */
int log_file_open(const char *path);
struct log_file *log_file_new(const char *path); /* not open; NULL: no memory */
void log_file_free(struct log_file *file);	 /* closes; NULL is fine */
/* Writes what can be written to the old descriptor, then goes on with <fd>, which may be -1. */
void log_file_adopt(struct log_file *file, int fd);
void log_file_put(struct log_file *file, struct slice line);
void log_file_flush(struct log_file *file);

#endif
