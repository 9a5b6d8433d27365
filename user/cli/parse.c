/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/parse.h"
#include "base/strtable.h"

#define DEFAULT_SOCKET "/run/lbd/lbd.sock"
#define MAX_WORDS      32

void complain(const char *fmt, ...)
{
	va_list args;

	(void)fputs("lbadm: ", stderr);
	va_start(args, fmt);
	(void)vfprintf(stderr, fmt, args);
	va_end(args);
	(void)fputc('\n', stderr);
}

/* "unknown command 'poll'; did you mean 'pool'? (status, attach, ...)" */
static void complain_unknown(const char *what, const char *word, const char *const *words, int n)
{
	const char *near = strtable_nearest(words, n, slice_of(word));
	struct buffer list = {0};

	for (int i = 0; i < n; i++)
		buffer_print(&list, "%s%s", i ? ", " : "", words[i]);
	if (near)
		complain("unknown %s '%s': did you mean '%s'? (one of: %s)", what, word, near,
			 list.ptr);
	else
		complain("unknown %s '%s' (one of: %s)", what, word, list.ptr ? list.ptr : "none");
	buffer_fini(&list);
}

const struct noun *noun_find(const char *name)
{
	const char *words[MAX_WORDS];
	int n = 0;

	for (; cli_nouns[n] && n < MAX_WORDS; n++) {
		if (strcmp(cli_nouns[n]->name, name) == 0)
			return cli_nouns[n];
		words[n] = cli_nouns[n]->name;
	}
	complain_unknown("command", name, words, n);
	return NULL;
}

const struct verb *verb_find(const struct noun *noun, const char *name)
{
	const char *words[MAX_WORDS];
	char what[64];
	int n = 0;

	for (; noun->verbs[n].run && n < MAX_WORDS; n++) {
		if (strcmp(noun->verbs[n].name, name) == 0)
			return &noun->verbs[n];
		words[n] = noun->verbs[n].name;
	}
	(void)snprintf(what, sizeof(what), "%s command", noun->name);
	complain_unknown(what, name, words, n);
	return NULL;
}

/* ---- Options -------------------------------------------------------------------------------- */

static const struct option global_options[] = {
	{"socket", "PATH", OPTION_TEXT, NULL, ""},
	{"json", NULL, OPTION_FLAG, NULL, ""},
	{"help", NULL, OPTION_FLAG, NULL, ""},
	{"version", NULL, OPTION_FLAG, NULL, ""},
	{0},
};

static const struct option *option_find(const struct option *options, struct slice name)
{
	for (int i = 0; options && options[i].name; i++) {
		if (slice_eq(name, slice_of(options[i].name)))
			return &options[i];
	}
	return NULL;
}

static enum cli_exit unknown_option(const struct call *call, struct slice name)
{
	const char *words[MAX_WORDS];
	const struct option *options = call->verb ? call->verb->options : NULL;
	char word[64];
	int n = 0;

	(void)snprintf(word, sizeof(word), "%.*s", SLICE_ARG(name));
	for (int i = 0; options && options[i].name && n < MAX_WORDS; i++)
		words[n++] = options[i].name;
	for (int i = 0; global_options[i].name && n < MAX_WORDS; i++)
		words[n++] = global_options[i].name;
	complain_unknown("option", word, words, n);
	return CLI_USAGE;
}

static void set_global(struct call *call, const struct option *option, const char *value)
{
	switch (option - global_options) {
	case 0:
		call->socket = value;
		break;
	case 1:
		call->json = true;
		break;
	case 2:
		call->help = true;
		break;
	default:
		call->version = true;
	}
}

static bool value_fits(const struct option *option, const char *value)
{
	uint64_t number;
	uint32_t ms;

	switch (option->kind) {
	case OPTION_NUMBER:
		if (parse_u64(slice_of(value), &number) && number <= INT32_MAX)
			return true;
		complain("--%s '%s' is not a number", option->name, value);
		return false;
	case OPTION_DURATION:
		if (parse_duration_ms(slice_of(value), &ms))
			return true;
		complain("--%s '%s' is not a duration such as 200ms, 2s, 5m", option->name, value);
		return false;
	default:
		if (*value)
			return true;
		complain("--%s is empty", option->name);
		return false;
	}
}

/* The value of the option at argv[*at], which moves on when it is the next word. */
static enum cli_exit option_value(const struct option *option, char **argv, int *at,
				  const char **ret_value)
{
	const char *equals = strchr(argv[*at], '=');

	if (option->kind == OPTION_FLAG) {
		if (equals) {
			complain("--%s takes no value", option->name);
			return CLI_USAGE;
		}
		*ret_value = "";
		return CLI_DONE;
	}
	if (!equals && !argv[*at + 1]) {
		complain("--%s needs a value: --%s %s", option->name, option->name, option->value);
		return CLI_USAGE;
	}
	*ret_value = equals ? equals + 1 : argv[++*at];
	return value_fits(option, *ret_value) ? CLI_DONE : CLI_USAGE;
}

static enum cli_exit parse_option(struct call *call, char **argv, int *at)
{
	struct slice name = {argv[*at] + 2, strcspn(argv[*at] + 2, "=")};
	const struct option *own = call->verb ? option_find(call->verb->options, name) : NULL;
	const struct option *option = own ? own : option_find(global_options, name);
	const char **place = own ? &call->values[own - call->verb->options] : NULL;
	const char *value = NULL;
	enum cli_exit r;

	if (!option)
		return unknown_option(call, name);
	r = option_value(option, argv, at, &value);
	if (r != CLI_DONE)
		return r;
	if (!place) {
		set_global(call, option, value);
		return CLI_DONE;
	}
	if (*place) {
		complain("--%s is given twice", option->name);
		return CLI_USAGE;
	}
	*place = value;
	return CLI_DONE;
}

/* ---- Words ---------------------------------------------------------------------------------- */

static enum cli_exit parse_word(struct call *call, const char *word)
{
	if (!call->noun) {
		call->noun = noun_find(word);
		if (call->noun && !call->noun->verbs[0].name)
			call->verb = &call->noun->verbs[0];
		return call->noun ? CLI_DONE : CLI_USAGE;
	}
	if (!call->verb) {
		call->verb = verb_find(call->noun, word);
		return call->verb ? CLI_DONE : CLI_USAGE;
	}
	if (call->n_args == call->verb->max_args) {
		complain("'%s' is one word too many: see 'lbadm %s --help'", word,
			 call->noun->name);
		return CLI_USAGE;
	}
	call->args[call->n_args++] = word;
	return CLI_DONE;
}

static enum cli_exit complain_missing(const struct noun *noun)
{
	(void)fprintf(stderr, "lbadm: which %s%scommand? (one of:", noun ? noun->name : "",
		      noun ? " " : "");
	if (noun) {
		for (int i = 0; noun->verbs[i].run; i++)
			(void)fprintf(stderr, "%s %s", i ? "," : "", noun->verbs[i].name);
	} else {
		for (int i = 0; cli_nouns[i]; i++)
			(void)fprintf(stderr, "%s %s", i ? "," : "", cli_nouns[i]->name);
	}
	(void)fputs("); --help says more\n", stderr);
	return CLI_USAGE;
}

static enum cli_exit check_complete(const struct call *call)
{
	if (call->help || call->version)
		return CLI_DONE;
	if (!call->verb)
		return complain_missing(call->noun);
	if (call->n_args < call->verb->min_args) {
		complain("'%s%s%s' needs %s: see --help", call->noun->name,
			 call->verb->name ? " " : "", call->verb->name ? call->verb->name : "",
			 call->verb->args);
		return CLI_USAGE;
	}
	return CLI_DONE;
}

/* "-" alone is a word; there is one short option. */
static enum cli_exit parse_one(struct call *call, char **argv, int *at)
{
	const char *word = argv[*at];

	if (word[0] != '-' || word[1] == '\0')
		return parse_word(call, word);
	if (word[1] == '-')
		return parse_option(call, argv, at);
	if (strcmp(word, "-h") != 0)
		return unknown_option(call, slice_of(word));
	call->help = true;
	return CLI_DONE;
}

enum cli_exit call_parse(int argc, char **argv, struct call *ret_call)
{
	const char *socket = getenv("LBD_SOCKET");
	struct call call = {.socket = socket && *socket ? socket : DEFAULT_SOCKET};
	bool only_words = false;

	for (int i = 1; i < argc; i++) {
		enum cli_exit r = CLI_DONE;

		if (only_words)
			r = parse_word(&call, argv[i]);
		else if (strcmp(argv[i], "--") == 0)
			only_words = true;
		else
			r = parse_one(&call, argv, &i);
		if (r != CLI_DONE)
			return r;
	}
	*ret_call = call;
	return check_complete(&call);
}
