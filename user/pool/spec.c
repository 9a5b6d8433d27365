/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "pool/spec.h"

static const char *const admins[] = {
	[ADMIN_ENABLED] = "enabled",
	[ADMIN_DRAINING] = "draining",
	[ADMIN_DISABLED] = "disabled",
};
const struct strtable admin_names = STRTABLE(admins);

static const char *const when_all_downs[] = {
	[WHEN_ALL_DOWN_REJECT] = "reject",
	[WHEN_ALL_DOWN_ALL] = "all",
};
const struct strtable when_all_down_names = STRTABLE(when_all_downs);

static const char *const on_downs[] = {
	[ON_DOWN_KEEP] = "keep",
	[ON_DOWN_RESET] = "reset",
};
const struct strtable on_down_names = STRTABLE(on_downs);

static const char *const retry_ons[] = {
	[RETRY_CONNECT] = "connect", [RETRY_CLOSED] = "closed", [RETRY_TIMEOUT] = "timeout",
	[RETRY_502] = "502",	     [RETRY_503] = "503",	[RETRY_504] = "504",
};
const struct strtable retry_on_names = STRTABLE(retry_ons);
