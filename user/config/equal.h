/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Are two specs the same? What a reload asks before it touches anything.
 *
 * For: daemon. Owns: nothing. May know: the rooms' specs.
 */
#ifndef CONFIG_EQUAL_H
#define CONFIG_EQUAL_H

#include "health/spec.h"
#include "pool/spec.h"

bool health_spec_equal(const struct health_spec *a, const struct health_spec *b);
bool backend_spec_equal(const struct backend_spec *a, const struct backend_spec *b);

#endif
