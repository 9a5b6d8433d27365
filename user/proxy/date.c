/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "proxy/date.h"

#include <time.h>

#include "base/clock.h"

struct slice date_at(struct date *date, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000 + 1;

	if (date->second != second) {
		time_t wall = (time_t)(clock_wall_ms() / 1000);
		struct tm tm;

		(void)gmtime_r(&wall, &tm);
		(void)strftime(date->text, sizeof(date->text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		date->second = second;
	}
	return (struct slice){date->text, DATE_LEN};
}
