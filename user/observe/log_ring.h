/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lines on their way from one thread that must not wait to the one that writes them.
 *
 * For: a worker (begin, end), the log writer (next, done). Owns: its memory, which is touched as
 * far as lines need it. One producer, one consumer, no locks.
 * A line that finds no room is dropped and counted. Lines name their file by a number.
 */
#ifndef OBSERVE_LOG_RING_H
#define OBSERVE_LOG_RING_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "observe/spec.h"

#define LOG_RING_SIZE (1U << 20)

struct log_ring {
	struct list node; /* the writer's */
	_Atomic bool closed;
	/* The producer's. */
	_Atomic uint64_t head;
	uint64_t tail_seen;
	_Atomic uint64_t dropped;
	char apart[16]; /* neither writes into a cache line of the other */
	/* The consumer's. */
	_Atomic uint64_t tail __attribute__((aligned(64)));
	uint64_t dropped_seen;
	char apart_too[48];
	char data[LOG_RING_SIZE] __attribute__((aligned(64)));
};

struct log_ring *log_ring_new(void); /* NULL: no memory */
void log_ring_free(struct log_ring *ring);

/* Room for one line of at most LOG_MAX_LINE bytes; NULL: it was dropped. */
char *log_ring_begin(struct log_ring *ring);
/* The line of <len> bytes, its '\n' among them, is there. */
void log_ring_end(struct log_ring *ring, uint32_t file, size_t len);

/* The oldest line, for as long as log_ring_done() was not called; false: there is none. */
bool log_ring_next(struct log_ring *ring, uint32_t *ret_file, struct slice *ret_line);
void log_ring_done(struct log_ring *ring);

#endif
