/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lbadm's commands: nouns with verbs, each a row of a table that parsing and help are made from.
 *
 * For: one file per noun. Owns: nothing; everything points into argv and constant tables.
 * May know: base. Must never know: how lbd works; it talks to its API only (cli/api.h).
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>

enum cli_exit {
	CLI_DONE,
	CLI_REFUSED,	 /* by lbd, which says why */
	CLI_USAGE,	 /* the command line is wrong */
	CLI_UNREACHABLE, /* lbd does not answer */
};

#define CLI_MAX_ARGS	4
#define CLI_MAX_OPTIONS 16

enum option_kind {
	OPTION_FLAG, /* takes no value */
	OPTION_TEXT,
	OPTION_NUMBER,
	OPTION_DURATION,
	OPTION_LIST,  /* separated by commas; "none" for an empty one */
	OPTION_PAIRS, /* "open=1h,fin=5s": an object */
};

struct option {
	const char *name;  /* without "--"; NULL ends the table */
	const char *value; /* what help calls its value; NULL for flags */
	enum option_kind kind;
	const char *key; /* in the request's body or query, "health.type"; NULL: in neither */
	const char *help;
};

struct call;

struct verb {
	const char *name; /* NULL: the noun is the whole command */
	const char *args; /* "POOL BACKEND" */
	int min_args;
	int max_args;
	const struct option *options; /* may be NULL */
	const char *help;
	enum cli_exit (*run)(const struct call *call); /* NULL ends the table */
};

struct noun {
	const char *name;
	const char *help;
	const struct verb *verbs;
};

/* A command line, understood. */
struct call {
	const char *socket;
	bool json;
	bool help;
	bool version;
	const struct noun *noun; /* NULL: none was given */
	const struct verb *verb;
	const char *args[CLI_MAX_ARGS];
	int n_args;
	const char *values[CLI_MAX_OPTIONS]; /* by the verb's table; NULL: not given */
};

/* nouns.c: every noun there is, ended by NULL. */
extern const struct noun *const cli_nouns[];

/* The nouns' files. */
extern const struct noun status_noun;
extern const struct noun attach_noun;
extern const struct noun detach_noun;
extern const struct noun service_noun;
extern const struct noun pool_noun;
extern const struct noun backend_noun;
extern const struct noun flow_noun;
extern const struct noun session_noun;
extern const struct noun errors_noun;
extern const struct noun doctor_noun;
extern const struct noun monitor_noun;
extern const struct noun why_noun;
extern const struct noun trace_noun;
extern const struct noun audit_noun;
extern const struct noun stats_noun;
extern const struct noun config_noun;
extern const struct noun upgrade_noun;
extern const struct noun version_noun;
extern const struct noun help_noun;

/* main.c: the only file that is built with the version. */
enum cli_exit cli_version(const struct call *call);

/* parse.c: CLI_DONE, or CLI_USAGE when it has said what is wrong. */
enum cli_exit call_parse(int argc, char **argv, struct call *ret_call);
const struct noun *noun_find(const char *name); /* says what is valid when there is none */
const struct verb *verb_find(const struct noun *noun, const char *name); /* the same */

/* help.c */
void help_print(const struct noun *noun, const struct verb *verb); /* NULL, NULL: everything */

/* options.c: what was given with the verb's options. */
const char *call_value(const struct call *call, const char *name); /* NULL: not given */
/* The options that have a key as a JSON object, which may be empty; NULL: no memory. */
json_t *call_body(const struct call *call);
/* Says that something has to be given when none of them was. */
bool call_changes_something(const struct call *call);

/* "lbadm: ..." to stderr. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
