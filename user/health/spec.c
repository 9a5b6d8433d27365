/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/spec.h"

static const char *const type_words[] = {
	[HEALTH_NONE] = "none",
	[HEALTH_TCP] = "tcp",
	[HEALTH_HTTP] = "http",
};
const struct strtable health_type_names = STRTABLE(type_words);
