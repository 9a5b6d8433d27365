/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/draining.h"

#include "cli/cli.h"

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

void draining_note(const json_t *answer)
{
	size_t i;
	json_t *process;

	json_array_foreach (json_object_get(answer, "draining"), i, process) {
		long long sessions = number(process, "sessions");

		complain("without the %lld connection%s of process %lld, which drains since an "
			 "upgrade and does not answer",
			 sessions, sessions == 1 ? "" : "s", number(process, "pid"));
	}
}
