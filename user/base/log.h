/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The log: one line per event, written by a thread of its own, so that nobody waits for a disk.
 *
 * For: what an operator reads. Owns: the writer thread and a bounded queue. Knows: nobody.
 * Any thread may log. Lines that do not fit the queue are dropped and counted; the writer says
 * how many. Before log_start and after log_stop lines go straight to stderr.
 * Style: lower case, no full stop, the subject in single quotes, then the reason.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/strtable.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

extern const struct strtable log_level_names;

int log_start(void); /* 0 or -errno */
/* Writes what is queued, ends the thread; a reader that has stopped is waited for two seconds. */
void log_stop(void);
void log_set_level(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
