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

/* 0, or -EINVAL and what is wrong: "unknown variable '${clent}', did you mean '${client}'?". */
int format_check(struct slice text, const struct strtable *names, struct error *err);

#endif
