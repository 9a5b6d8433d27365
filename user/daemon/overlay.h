/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Changes made at run time, kept over the file: one JSON merge patch, written to state-path
 * before anybody is told that a change was made.
 *
 * For: every change through the API, and reload. Owns: nothing; lb->overlay is the load
 * balancer's. May know: config, apply.
 */
#ifndef DAEMON_OVERLAY_H
#define DAEMON_OVERLAY_H

#include "daemon/load_balancer.h"

/* The saved overlay, or an empty object. A broken file is set aside and logged. */
json_t *overlay_load(const char *state_path);
/* The file's document with the overlay over it, built and checked; NULL with <err>. */
struct config *overlay_build(const struct doc *file, const json_t *overlay, struct error *err);
/*
 * Merges <patch> (borrowed; json_null() removes) at the path of names <at>, which ends with NULL,
 * applies what comes out, saves it. All or nothing.
 */
int overlay_change(struct load_balancer *lb, const char *const *at, const json_t *patch,
		   struct error *err);
/* What would come out of it; nothing is changed. The caller frees the configuration. */
int overlay_rehearse(struct load_balancer *lb, const char *const *at, const json_t *patch,
		     struct config **ret_config, struct error *err);
int overlay_save(const struct load_balancer *lb, const json_t *overlay, struct error *err);

#endif
