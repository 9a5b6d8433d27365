/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes of peers as text that cannot be mistaken for anything else.
 *
 * For: log lines, answers of the API. Owns: nothing. May know: base, http's writer.
 * What would make the output longer than <max> bytes is left out, whole characters at a time.
 */
#ifndef OBSERVE_ESCAPE_H
#define OBSERVE_ESCAPE_H

#include "http/message.h"

/* '"', '\' and all that is not printable ASCII become "\x22": one line, one field. */
void escape_text(struct http_writer *w, struct slice bytes, size_t max);
/* The inside of a JSON string (RFC 8259 section 7), always valid UTF-8: a byte that is none
 * becomes the four characters \xHH. */
void escape_json(struct http_writer *w, struct slice bytes, size_t max);

#endif
