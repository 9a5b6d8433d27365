/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The thread that writes the lines of all workers to all log files.
 *
 * For: access logs. Owns: the thread, rings, files: one of each kind per process, as the log of
 * base has it. May know: base. Must never know: what is in a line.
 * Lines are in their file 100 ms after they were made. While lines come the thread looks for them
 * by itself; only one that sleeps for want of lines is woken, so workers make no system call.
 * A file has a number for as long as the process runs, which lines on their way can rely on.
 * Functions are for the control thread unless they say otherwise.
 */
#ifndef OBSERVE_LOG_WRITER_H
#define OBSERVE_LOG_WRITER_H

#include "base/error.h"
#include "observe/log_ring.h"

#define LOG_MAX_FILES 1024

int log_writer_start(void); /* 0 or -errno; twice is fine */
void log_writer_stop(void); /* writes what there is; twice is fine */

/* Any thread. NULL: no memory. */
struct log_ring *log_writer_ring(void);
/* Its producer has ended; freed when its lines were written. NULL is fine. */
void log_writer_ring_closed(struct log_ring *ring);
/* A line was put into <ring>. The ring's producer. */
void log_writer_wake(void);

/* Opens it, if it is not open; the error names the path. */
int log_writer_open(const char *path, uint32_t *ret_file, struct error *err);
/* Which files are used from now on: none, then each that is named. Others are closed when the files
 * are opened anew. */
void log_writer_use_none(void);
void log_writer_use(uint32_t file);
/* After a rename: lines from now on go to new files of the old names. Does not wait. */
void log_writer_reopen(void);

struct log_writer_counts {
	uint64_t lines;	  /* taken from the rings */
	uint64_t dropped; /* for want of room, in a ring or before a file */
};

void log_writer_counts(struct log_writer_counts *ret_counts);

#endif
