/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/cli.h"

#include <stdio.h>

#include "cli/api.h"

enum cli_exit cli_version(const struct call *call)
{
	printf(call->json ? "{\"version\": \"%s\"}\n" : "lbadm %s\n", LBD_VERSION);
	return CLI_DONE;
}

static const struct verb verbs[] = {
	{NULL, "", 0, 0, NULL, "lbadm's version; lbd's is in status", cli_version},
	{0},
};
const struct noun version_noun = {"version", "lbadm's version; lbd's is in status", verbs};

int main(int argc, char **argv)
{
	struct call call;
	enum cli_exit r = call_parse(argc, argv, &call);

	if (r != CLI_DONE)
		return (int)r;
	if (call.help) {
		help_print(call.noun, call.verb);
		return CLI_DONE;
	}
	if (call.version)
		return (int)cli_version(&call);
	r = call.verb->run(&call);
	api_close();
	if (fflush(stdout) != 0 && r == CLI_DONE) {
		complain("cannot write the answer");
		r = CLI_REFUSED;
	}
	return (int)r;
}
