/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is to be observed and how it is written, as plain values from configuration.
 *
 * For: config (fills, checks), proxy's specs, daemon. Owns: nothing. Knows: base.
 */
#ifndef OBSERVE_SPEC_H
#define OBSERVE_SPEC_H

#include "base/error.h"
#include "base/strtable.h"

#define FORMAT_MAX_LEN	 4096 /* of a text with variables */
#define FORMAT_MAX_PARTS 256
#define LOG_MAX_LINE	 32768 /* bytes of a line of an access log, its end among them */
#define LOG_STDERR	 "stderr"

enum access_log_kind {
	ACCESS_LOG_NONE,
	ACCESS_LOG_TEXT,
	ACCESS_LOG_JSON, /* one object a line, every field there is */
};

/* Both texts are owned by the config. */
struct access_log_spec {
	enum access_log_kind kind;
	char *format; /* of ACCESS_LOG_TEXT */
	char *file;   /* a path, or LOG_STDERR */
};

extern const struct strtable access_fields; /* what a format may name */
extern const char access_log_default[];	    /* the format where none is given */

/* 0, or -EINVAL and what is wrong: "unknown variable '${clent}', did you mean '${client}'?". */
int format_check(struct slice text, const struct strtable *names, struct error *err);

#endif
