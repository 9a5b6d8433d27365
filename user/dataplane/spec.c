/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dataplane/spec.h"

static const char *const names[] = {
	[HOOK_AUTO] = "auto",
	[HOOK_NATIVE] = "native",
	[HOOK_GENERIC] = "generic",
	[HOOK_TC] = "tc",
};
const struct strtable hook_names = STRTABLE(names);
