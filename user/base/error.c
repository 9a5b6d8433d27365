/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *err, int code, const char *field, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	(void)snprintf(err->field, sizeof(err->field), "%s", field ? field : "");
	va_start(args, fmt);
	(void)vsnprintf(err->message, sizeof(err->message), fmt, args);
	va_end(args);
	return code;
}
