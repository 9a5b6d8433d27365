/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What libFuzzer calls: a check that has to hold.
 *
 * For: fuzz_*.c. Owns: nothing.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stdio.h>
#include <stdlib.h>

#include "check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_TARGET(check_one) \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) \
	{ \
		struct check check = {0}; \
		if (!(check_one)((struct slice){(const char *)data, size}, &check)) { \
			fprintf(stderr, #check_one ": %s\n", check.why); \
			abort(); \
		} \
		return 0; \
	}

#endif
