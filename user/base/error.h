/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What went wrong, for the person who asked: a message, the field it is about, and an errno.
 *
 * For: functions whose caller reports to a person (configuration, API, attach).
 * Owns: nothing; the struct lies with the caller. Knows: nobody.
 * Messages are lower case, no full stop, the subject quoted, then the reason and the mend.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

struct error {
	int code;	   /* -errno */
	char field[64];	   /* the key or argument, or "" */
	char message[512]; /* one sentence */
};

/* Fills <err> (may be NULL) and returns <code>, so that callers can return error_set(...). */
int error_set(struct error *err, int code, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
