/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/cli.h"

const struct noun *const cli_nouns[] = {
	&status_noun,  &attach_noun,  &detach_noun,  &service_noun, &pool_noun,
	&backend_noun, &flow_noun,    &session_noun, &errors_noun,  &audit_noun,
	&stats_noun,   &monitor_noun, &why_noun,     &trace_noun,   &doctor_noun,
	&config_noun,  &upgrade_noun, &version_noun, &help_noun,    NULL,
};
