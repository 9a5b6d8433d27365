/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What on this machine keeps the kernel path from working well, why, and the command that mends it.
 *
 * For: the API. Owns: nothing. May know: base, include/lb, this room. Looks only.
 */
#ifndef DATAPLANE_DOCTOR_H
#define DATAPLANE_DOCTOR_H

#include "dataplane/dataplane.h"

/* A problem loses packets or connections; a note says what to know, or what could be faster. */
enum finding_level { FINDING_PROBLEM, FINDING_NOTE };

struct finding {
	enum finding_level level;
	const char *code; /* "rp_filter" */
	char object[96];  /* interface, service, backend */
	char what[192];	  /* as it is */
	const char *why;  /* what it breaks */
	char fix[256];	  /* a command, or "" where there is none */
};

void dataplane_doctor(struct dataplane *dataplane,
		      void (*each)(void *ctx, const struct finding *finding), void *ctx);

#endif
