/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/cli.h"

#include <stdio.h>

static void print_usage(const struct noun *noun, const struct verb *verb, const char *indent)
{
	printf("%slbadm %s", indent, noun->name);
	if (verb->name)
		printf(" %s", verb->name);
	if (verb->args[0])
		printf(" %s", verb->args);
	if (verb->options)
		printf(" [OPTIONS]");
}

static void print_options(const struct option *options)
{
	for (int i = 0; options && options[i].name; i++) {
		char left[48];

		(void)snprintf(left, sizeof(left), "--%s %s", options[i].name,
			       options[i].value ? options[i].value : "");
		printf("  %-24s %s\n", left, options[i].help);
	}
}

static void print_global_options(void)
{
	puts("\neverywhere:\n"
	     "  --socket PATH            lbd's socket (LBD_SOCKET; /run/lbd/lbd.sock)\n"
	     "  --json                   print the API's JSON\n"
	     "  --help                   this\n"
	     "\nexit status: 0 done, 1 refused by lbd, 2 wrong usage, 3 lbd does not answer");
}

static void print_verb(const struct noun *noun, const struct verb *verb)
{
	printf("%s\n\n", verb->help);
	print_usage(noun, verb, "usage: ");
	puts("");
	if (verb->options)
		puts("\noptions:");
	print_options(verb->options);
}

static void print_noun(const struct noun *noun)
{
	printf("%s\n\nusage: lbadm %s COMMAND\n\ncommands:\n", noun->help, noun->name);
	for (const struct verb *verb = noun->verbs; verb->run; verb++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "%s %s", verb->name, verb->args);
		printf("  %-24s %s\n", left, verb->help);
	}
	printf("\n'lbadm %s COMMAND --help' shows a command's options\n", noun->name);
}

static void print_all(void)
{
	puts("look at and change a running lbd\n\n"
	     "usage: lbadm [--socket PATH] [--json] COMMAND ...\n\ncommands:");
	for (int i = 0; cli_nouns[i]; i++)
		printf("  %-24s %s\n", cli_nouns[i]->name, cli_nouns[i]->help);
	puts("\n'lbadm COMMAND --help' shows more");
}

void help_print(const struct noun *noun, const struct verb *verb)
{
	if (noun && !verb && !noun->verbs[0].name)
		verb = &noun->verbs[0];
	if (verb)
		print_verb(noun, verb);
	else if (noun)
		print_noun(noun);
	else
		print_all();
	print_global_options();
}

static enum cli_exit run_help(const struct call *call)
{
	const struct noun *noun = NULL;
	const struct verb *verb = NULL;

	if (call->n_args > 0) {
		noun = noun_find(call->args[0]);
		if (!noun)
			return CLI_USAGE;
	}
	if (call->n_args > 1) {
		if (!noun->verbs[0].name) {
			complain("'%s' has no commands below it", noun->name);
			return CLI_USAGE;
		}
		verb = verb_find(noun, call->args[1]);
		if (!verb)
			return CLI_USAGE;
	}
	help_print(noun, verb);
	return CLI_DONE;
}

static const struct verb verbs[] = {
	{NULL, "[COMMAND [COMMAND]]", 0, 2, NULL, "explain a command", run_help},
	{0},
};
const struct noun help_noun = {"help", "explain a command", verbs};
