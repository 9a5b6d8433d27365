/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All that is wrong with a configuration, each with its place.
 *
 * For: reporting every mistake in one run. Owns: its text. May know: base.
 */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

struct report {
	const char *file;   /* what to call the source in messages */
	struct buffer text; /* "file:line:column: what, why, what would be right\n" each */
	uint32_t errors;
	char field[64];	   /* of the first error: "pools.web.backends[0].weight" */
	char message[512]; /* ... and its sentence without the place */
};

/* More mistakes than this are counted, not shown. */
#define REPORT_MAX_LINES 200

void report_init(struct report *report, const char *file);
void report_fini(struct report *report);
void report_add(struct report *report, uint32_t line, uint32_t column, const char *field,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#endif
