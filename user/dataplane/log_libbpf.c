/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/log_libbpf.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

/* The verifier's log comes as one text of many lines; each becomes a line of ours. */
#define MAX_TEXT 16384

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	static char text[MAX_TEXT];
	char *rest = text;

	(void)level;
	(void)vsnprintf(text, sizeof(text), fmt, args);
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (*line)
			log_debug("%s", line);
	}
	return 0;
}

void log_libbpf(void)
{
	(void)libbpf_set_print(print);
}
