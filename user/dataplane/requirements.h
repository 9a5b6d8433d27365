/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What this process and this kernel must have before anything is tried.
 *
 * For: open. Owns: nothing. May know: base.
 */
#ifndef DATAPLANE_REQUIREMENTS_H
#define DATAPLANE_REQUIREMENTS_H

#include "base/error.h"

/* -EPERM or -EOPNOTSUPP with a sentence that says what to do. */
int requirements_check(struct error *err);
/* "6.1.0-13-amd64" is enough, "5.15.0" is not; what is no version is. */
int requirements_kernel(const char *release, struct error *err);

#endif
