/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/utf8.h"

void report_init(struct report *report, const char *file)
{
	*report = (struct report){.file = file};
}

void report_fini(struct report *report)
{
	buffer_fini(&report->text);
}

void report_add(struct report *report, uint32_t line, uint32_t column, const char *field,
		const char *fmt, ...)
{
	char message[sizeof(report->message)];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	utf8_make_printable(message);
	if (report->errors++ == 0) {
		(void)snprintf(report->field, sizeof(report->field), "%s", field ? field : "");
		(void)snprintf(report->message, sizeof(report->message), "%s", message);
		utf8_make_printable(report->field);
	}
	if (report->errors > REPORT_MAX_LINES) {
		if (report->errors == REPORT_MAX_LINES + 1)
			buffer_print(&report->text, "%s: more mistakes are not shown\n",
				     report->file);
		return;
	}
	if (line)
		buffer_print(&report->text, "%s:%u:%u: %s\n", report->file, line, column, message);
	else if (field && *field)
		buffer_print(&report->text, "%s: %s: %s\n", report->file, field, message);
	else
		buffer_print(&report->text, "%s: %s\n", report->file, message);
}
