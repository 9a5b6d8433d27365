/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Cookies of a request (RFC 6265 section 4.2): finding one, passing on the others.
 *
 * For: sticky clients. Owns: nothing. May know: http. Pure.
 */
#ifndef PROXY_COOKIE_H
#define PROXY_COOKIE_H

#include "http/message.h"

/* The first value of that name; false: none. */
bool cookie_find(const struct http_head *head, struct slice name, struct slice *ret_value);
/* Writes the Cookie headers of <head> that hold that name without it, and marks them as not to be
 * passed on; the others stay. */
void cookie_put_others(struct http_head *head, struct slice name, struct http_writer *w);

#endif
